/** Notes what one update asks of its device and what comes back, for the timeline that says why. */

import type { Exchange } from "@airlift/protocol/api/schemas";
import type { BlockSource } from "@airlift/protocol/coap/body";
import { formatCode, METHOD } from "@airlift/protocol/coap/codes";
import { CoapRefusal, type CoapResponse } from "@airlift/protocol/coap/exchange";
import { countText } from "@airlift/protocol/lib/count-text";
import { AirliftError } from "@airlift/protocol/lib/errors";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { Observation, ObserveOptions, TransferProgress, UploadOptions, WholeOptions } from "@airlift/runtime/coap";
import type { Registration } from "../fleet/registration.ts";
import type { DeviceRequests } from "./device-requests.ts";

/** Takes an exchange; one with the number of an earlier one replaces it. */
export type KeepExchange = (exchange: Exchange) => void;

/** The sum of a download is noted this often while it goes on. */
const FETCH_NOTE_MS = 1_000;

/** An exchange that is under way. */
interface Open {
  readonly number: number;
  readonly request: string;
  readonly startedAtMs: number;
  readonly utcMs: number;
}

export class ExchangeLog {
  readonly #keep: KeepExchange;
  readonly #attempt: number;
  #number: number;
  #fetch: (Open & { bytes: number; blockCount: number; notedAtMs: number }) | undefined;

  /** @param newestNumber Of the exchanges that are kept already; 0 when there are none. */
  constructor(keep: KeepExchange, attempt: number, newestNumber = 0) {
    this.#keep = keep;
    this.#attempt = attempt;
    this.#number = newestNumber;
  }

  /** `requests`, with each noted here. */
  over(requests: DeviceRequests): DeviceRequests {
    return {
      request: (device, request, options) => this.#request(requests, { device, request, options }),
      upload: (device, request, source, options) => this.#upload(requests, { device, request, options }, source),
      observe: (device, request, onNotification, options) =>
        this.#observe(requests, { device, request, options }, onNotification),
    };
  }

  /** The device has fetched everything before `offset` from one of our image doors. */
  fetched(offset: number): void {
    const nowMs = performance.now();
    if (this.#fetch === undefined || offset < this.#fetch.bytes)
      this.#fetch = { ...this.#open("the device fetches the image"), bytes: 0, blockCount: 0, notedAtMs: 0 };
    const fetch = this.#fetch;
    if (offset > fetch.bytes) fetch.blockCount += 1;
    fetch.bytes = offset;
    if (nowMs - fetch.notedAtMs >= FETCH_NOTE_MS) this.#noteFetch();
  }

  /**
   * What was fetched last is noted, and what is fetched from now on is another transfer.
   *
   * @param wholeBytes Of an image that the device has: nobody asks for a block behind the last one.
   */
  endFetch(wholeBytes?: number): void {
    if (wholeBytes !== undefined && this.#fetch !== undefined) this.fetched(wholeBytes);
    if (this.#fetch !== undefined) this.#noteFetch();
    this.#fetch = undefined;
  }

  #noteFetch(): void {
    const fetch = this.#fetch;
    if (fetch === undefined) return;
    fetch.notedAtMs = performance.now();
    const { bytes, blockCount } = fetch;
    this.#close(fetch, { answer: `${countText(bytes, "byte")} sent`, transfer: { bytes, blockCount } });
  }

  async #request(requests: DeviceRequests, { device, request, options }: Asked<WholeOptions>): Promise<CoapResponse> {
    const open = this.#open(nameOf(request));
    let retransmissionCount = 0;
    const onProgress = (progress: TransferProgress): void => {
      retransmissionCount = progress.retransmissionCount;
      options?.onProgress?.(progress);
    };
    const answer = requests.request(device, request, { ...options, onProgress });
    return await this.#noting(answer, (text) => this.#close(open, { answer: text, retransmissionCount }));
  }

  async #upload(
    requests: DeviceRequests,
    { device, request, options }: Asked<UploadOptions>,
    source: BlockSource,
  ): Promise<CoapResponse> {
    const open = this.#open(nameOf(request));
    let retransmissionCount = 0;
    const transfer = { bytes: options?.offset ?? 0, blockCount: 0 };
    const onProgress = (progress: TransferProgress): void => {
      retransmissionCount = progress.retransmissionCount;
      if (progress.bytes > transfer.bytes) transfer.blockCount += 1;
      transfer.bytes = progress.bytes;
      options?.onProgress?.(progress);
    };
    const answer = requests.upload(device, request, source, { ...options, onProgress });
    return await this.#noting(answer, (text) => this.#close(open, { answer: text, retransmissionCount, transfer }));
  }

  async #observe(
    requests: DeviceRequests,
    { device, request, options }: Asked<ObserveOptions>,
    onNotification: (response: CoapResponse) => void,
  ): Promise<Observation> {
    const open = this.#open(`OBSERVE ${pathText(request)}`);
    let retransmissionCount = 0;
    const onRetransmission = (count: number): void => {
      retransmissionCount = count;
    };
    try {
      const observation = await requests.observe(device, request, onNotification, { ...options, onRetransmission });
      const code = formatCode(observation.response.code);
      const answer = observation.isActive ? code : `${code}, does not notify`;
      this.#close(open, { answer, retransmissionCount });
      return observation;
    } catch (error) {
      this.#close(open, { answer: failureText(error), retransmissionCount });
      throw error;
    }
  }

  async #noting(answer: Promise<CoapResponse>, note: (text: string) => void): Promise<CoapResponse> {
    try {
      const response = await answer;
      note(formatCode(response.code));
      return response;
    } catch (error) {
      note(failureText(error));
      throw error;
    }
  }

  #open(request: string): Open {
    this.#number += 1;
    return { number: this.#number, request, startedAtMs: performance.now(), utcMs: Date.now() };
  }

  #close(open: Open, { answer, retransmissionCount = 0, transfer }: Outcome): void {
    const tookMs = Math.max(0, Math.round(performance.now() - open.startedAtMs));
    this.#keep({
      attempt: this.#attempt,
      number: open.number,
      at: new Date(open.utcMs).toISOString(),
      request: open.request,
      answer,
      tookMs,
      retransmissionCount,
      transfer: transfer ? { ...transfer, rateBps: Math.round((transfer.bytes * 1000) / Math.max(1, tookMs)) } : null,
    });
  }
}

interface Asked<Options> {
  readonly device: Registration;
  readonly request: Lwm2mRequest;
  readonly options: Options | undefined;
}

interface Outcome {
  readonly answer: string;
  readonly retransmissionCount?: number;
  readonly transfer?: { readonly bytes: number; readonly blockCount: number };
}

const VERBS = new Map<number, string>(Object.entries(METHOD).map(([verb, code]) => [code, verb.toUpperCase()]));

const pathText = ({ uriPath }: Lwm2mRequest): string => `/${uriPath.join("/")}`;
const nameOf = (request: Lwm2mRequest): string => `${VERBS.get(request.code) ?? request.code} ${pathText(request)}`;

function failureText(error: unknown): string {
  if (error instanceof CoapRefusal) return formatCode(error.response.code);
  if (error instanceof AirliftError) return error.code === "COAP_TIMEOUT" ? "no answer" : `no answer (${error.code})`;
  return "given up";
}

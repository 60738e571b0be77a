/** Runs block-wise transfers over anything that can carry a request. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { BlockDownload, type DownloadOutput } from "@airlift/protocol/coap/block-download";
import type { BlockLimits } from "@airlift/protocol/coap/block-option";
import { BlockUpload, type UploadOutput } from "@airlift/protocol/coap/block-upload";
import { type BlockSink, type BlockSource, memorySource } from "@airlift/protocol/coap/body";
import { CoapRefusal, type CoapRequest, type CoapResponse } from "@airlift/protocol/coap/exchange";
import { concat } from "@airlift/protocol/lib/bytes";
import { BugError, PeerError } from "@airlift/protocol/lib/errors";
import type {
  DownloadOptions,
  DownloadResult,
  DownloadStart,
  RequestOptions,
  TransferOptions,
  UploadOptions,
  WholeOptions,
} from "./coap.ts";

/** The peer of a transfer. */
export interface TransferPeer {
  readonly blocks: BlockLimits;
  request(request: CoapRequest, options: RequestOptions): Promise<CoapResponse>;
}

/** Brings a body into `sink`. @see CoapClient.download */
export async function download(
  peer: TransferPeer,
  request: CoapRequest,
  sink: BlockSink,
  options: DownloadOptions,
): Promise<DownloadResult> {
  const core = new BlockDownload(request, { ...options, limits: peer.blocks });
  const transfer = new Transfer(options);
  let outputs: DownloadOutput[] = core.step({ kind: "start" }, performance.now());
  for (;;) {
    let next: DownloadOutput[] | undefined;
    for (const output of outputs) {
      if (output.kind === "finished") return { sizeBytes: output.sizeBytes, etag: output.etag };
      if (output.kind === "failed") throw output.error;
      if (output.kind === "started") {
        transfer.sizeBytes = output.sizeBytes;
        await options.onStart?.(output);
      } else if (output.kind === "request") {
        const response = await peer.request(output.request, transfer.requestOptions);
        next = core.step({ kind: "response", response }, performance.now());
      } else {
        const written = sink.write(output.bytes, output.offset);
        if (written) await written;
        transfer.progress(core.receivedBytes);
        next = core.step({ kind: "taken" }, performance.now());
      }
    }
    outputs = next ?? core.step({ kind: "wake" }, await transfer.wake(core.wakeAtMs));
  }
}

/** Sends the body that `source` gives. @see CoapClient.upload */
export async function upload(
  peer: TransferPeer,
  request: CoapRequest,
  source: BlockSource,
  options: UploadOptions,
): Promise<CoapResponse> {
  const core = new BlockUpload(request, source.sizeBytes, { ...options, limits: peer.blocks });
  const transfer = new Transfer(options);
  transfer.sizeBytes = source.sizeBytes;
  let outputs: UploadOutput[] = core.step({ kind: "start" }, performance.now());
  for (;;) {
    let next: UploadOutput[] | undefined;
    for (const output of outputs) {
      if (output.kind === "finished") return output.response;
      if (output.kind === "failed") throw output.error;
      if (output.kind === "shrunk") options.onSmallerBlocks?.(output.blockBytes);
      else if (output.kind === "acknowledged") transfer.progress(output.bytes);
      else if (output.kind === "request") {
        const response = await peer.request(output.request, transfer.requestOptions);
        next = core.step({ kind: "response", response }, performance.now());
      } else {
        const bytes = await source.read(output.offset, output.length);
        next = core.step({ kind: "bytes", bytes }, performance.now());
      }
    }
    outputs = next ?? core.step({ kind: "wake" }, await transfer.wake(core.wakeAtMs));
  }
}

/** Longest body of a response that is gathered, unless told otherwise. */
const DEFAULT_WHOLE_BYTES = 65_536;
/** A response of 8 KiB in blocks of 64 octets has seven seconds for each. */
const DEFAULT_WHOLE_MS = 15 * 60_000;
const NEVER_AGAIN = { maxRetries: 0, maxWaitMs: 0 };

/** Request and response as wholes, in as many blocks as it takes. @see CoapClient.requestWhole */
export async function requestWhole(
  peer: TransferPeer,
  request: CoapRequest,
  options: WholeOptions,
): Promise<CoapResponse> {
  const { maxBytes = DEFAULT_WHOLE_BYTES, maxMs = DEFAULT_WHOLE_MS, busy = NEVER_AGAIN } = options;
  const { blockBytes = peer.blocks.maxBytes } = options;
  const parts: Uint8Array[] = [];
  let first: CoapResponse | undefined;
  const onStart = ({ response }: DownloadStart): void => {
    first = response;
  };
  try {
    if (request.payload.length > blockBytes)
      return await upload(peer, request, memorySource(request.payload), { ...options, busy });
    const endsAtMs = performance.now() + maxMs;
    const sink = {
      write: (bytes: Uint8Array): void => {
        // Each block alone is in time; it is their number that never ends.
        if (performance.now() > endsAtMs) throw new PeerError("BODY_TOO_SLOW", "the body takes too long", { maxMs });
        parts.push(bytes);
      },
    };
    await download(peer, request, sink, { ...options, busy, maxBytes, onStart });
  } catch (error) {
    if (error instanceof CoapRefusal) return error.response;
    throw error;
  }
  if (first === undefined) throw new BugError("TRANSFER_STALLED", "a transfer ended without a response");
  return { ...first, payload: concat(parts) };
}

/** What all requests of one transfer share. */
class Transfer {
  sizeBytes: number | undefined;
  /** One token for the whole transfer: some devices expect it, none may mind. */
  readonly requestOptions: RequestOptions;
  readonly #options: TransferOptions;
  #retransmissionCount = 0;
  #bytes = 0;

  constructor(options: TransferOptions) {
    this.#options = options;
    const { signal, confirmable, transmission, responseTimeoutMs } = options;
    this.requestOptions = {
      signal,
      confirmable,
      transmission,
      responseTimeoutMs,
      token: Uint8Array.from(randomBytes(6)),
      onRetransmission: () => {
        this.#retransmissionCount += 1;
        this.#report();
      },
    };
  }

  progress(bytes: number): void {
    this.#bytes = bytes;
    this.#report();
  }

  /** Waits until the core is due; the time then. */
  async wake(wakeAtMs: number | undefined): Promise<number> {
    if (wakeAtMs === undefined) throw new BugError("TRANSFER_STALLED", "a transfer waits for nothing");
    const { signal } = this.#options;
    const delayMs = Math.max(0, Math.ceil(wakeAtMs - performance.now()));
    await sleep(delayMs, undefined, signal ? { signal } : {});
    return Math.max(performance.now(), wakeAtMs);
  }

  #report(): void {
    const { sizeBytes } = this;
    this.#options.onProgress?.({ bytes: this.#bytes, sizeBytes, retransmissionCount: this.#retransmissionCount });
  }
}

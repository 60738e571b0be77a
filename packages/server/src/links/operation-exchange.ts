/** One operation with one device: its turn, its formats one after the other, and what its failure means. */
import { CODE, formatCode, isSuccessCode } from "@airlift/protocol/coap/codes";
import type { CoapResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint } from "@airlift/protocol/coap/options";
import { decodeUtf8 } from "@airlift/protocol/lib/bytes";
import { EnvironmentError, PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { decodeDiscover } from "@airlift/protocol/lwm2m/discover";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import type { Models } from "@airlift/protocol/lwm2m/model";
import type { Path } from "@airlift/protocol/lwm2m/path";
import { decodePayload } from "@airlift/protocol/lwm2m/payload";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import { FormatMemory } from "../fleet/format-memory.ts";
import type { Registration } from "../fleet/registration.ts";
import { Turns } from "../fleet/turns.ts";
import type { DeviceRequests } from "./device-requests.ts";

/** An operation in each of the formats that it may be asked in, best first; at least one. */
export interface Attempts {
  /** What the format is for, as the memory of refusals names it. */
  readonly use: string;
  readonly formats: readonly (number | undefined)[];
  requestIn(format: number | undefined): Lwm2mRequest;
  readonly timeoutMs: number;
  /** How a request is sent; default as a plain request. */
  send?(device: Registration, request: Lwm2mRequest, signal: AbortSignal): Promise<CoapResponse>;
}

/** Longest answer that is taken: a device with all its objects fits. */
const LARGEST_ANSWER_BYTES = 256 * 1024;

/** A refusal of a format: 4.06 of the one wanted, 4.15 of the one sent, 4.02 of the option itself (RFC 7252 §5.10.4). */
const FORMAT_REFUSALS: ReadonlySet<number> = new Set([
  CODE.notAcceptable,
  CODE.unsupportedContentFormat,
  CODE.badOption,
]);

export class OperationExchange {
  readonly memory = new FormatMemory();
  readonly #requests: DeviceRequests;
  readonly #turns = new Turns();

  constructor(requests: DeviceRequests) {
    this.#requests = requests;
  }

  /**
   * The device's answer, of class 2.
   *
   * @throws {PeerError} DEVICE_REFUSED with the device's `code` in its facts · DEVICE_ANSWER for an answer that breaks the protocol.
   * @throws {EnvironmentError} DEVICE_SILENT. @throws {UsageError} DEVICE_BUSY
   */
  async ask(device: Registration, attempts: Attempts): Promise<CoapResponse> {
    const controller = new AbortController();
    // Not AbortSignal.timeout: an observation that began in time must not end with it.
    const timer = setTimeout(() => controller.abort(new SilenceError()), attempts.timeoutMs);
    try {
      return await this.#turns.take(device.endpoint, () => this.#askInTurn(device, attempts, controller.signal));
    } catch (error) {
      throw translate(error, device, attempts.timeoutMs);
    } finally {
      clearTimeout(timer);
    }
  }

  async #askInTurn(device: Registration, attempts: Attempts, signal: AbortSignal): Promise<CoapResponse> {
    const { formats, use } = attempts;
    const send = attempts.send ?? this.#request;
    for (const [at, format] of formats.entries()) {
      signal.throwIfAborted();
      const response = await send(device, attempts.requestIn(format), signal);
      if (isSuccessCode(response.code)) return response;
      const isLast = at === formats.length - 1;
      if (!FORMAT_REFUSALS.has(response.code) || format === undefined) throw refusalOf(response, device);
      this.memory.remember(device.endpoint, use, format);
      if (isLast) throw refusalOf(response, device);
    }
    throw new UsageError("CONTENT_FORMAT", "no format that this device and these values have in common");
  }

  readonly #request = (device: Registration, request: Lwm2mRequest, signal: AbortSignal): Promise<CoapResponse> =>
    this.#requests.request(device, request, { signal, maxBytes: LARGEST_ANSWER_BYTES });
}

/** The values of an answer or a notification. @throws {PeerError} DEVICE_ANSWER */
export function entriesOfAnswer(response: CoapResponse, base: Path, models: Models): Entry[] {
  try {
    return decodePayload(formatOfAnswer(response), response.payload, { base, models });
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    const facts = { reason: error.code, ...error.facts };
    throw new PeerError("DEVICE_ANSWER", `the device's answer cannot be read: ${error.message}`, facts, {
      cause: error,
    });
  }
}

/** What the answer to a Discover lists. @throws {PeerError} DEVICE_ANSWER */
export function discoveredIn(response: CoapResponse, path: Path, { objects }: Registration) {
  try {
    return decodeDiscover(response.payload, path, objects.rootSegments);
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    throw new PeerError(
      "DEVICE_ANSWER",
      `the device's links cannot be read: ${error.message}`,
      { reason: error.code },
      { cause: error },
    );
  }
}

/** A payload without a content format is plain text (LwM2M Core 1.2 §7.4). */
export const formatOfAnswer = (response: CoapResponse): number =>
  optionUint(response.options, OPTION.contentFormat) ?? CONTENT_FORMATS.text;

class SilenceError extends Error {}

/** There is no way to the device now. */
const UNREACHABLE: ReadonlySet<string> = new Set(["COAP_UNREACHABLE", "DEVICE_DISCONNECTED"]);

/** What a refusal means to whoever asked; a device's own words go behind it. @see LwM2M Core 1.2 §7, RFC 7252 §5.9.2 */
const REFUSALS: Readonly<Record<string, string>> = {
  "4.00": "the device does not understand the request",
  "4.01": "the device does not let this server do that: it may have registered at another one",
  "4.03": "the device does not let this server do that",
  "4.04": "the device has nothing there",
  "4.05": "the device does not allow that there, or not now",
  "4.06": "the device has no format for it that this server reads",
  "4.08": "the device has lost a part of the request",
  "4.13": "the request is too large for the device",
  "4.15": "the device does not read the format of these values",
  "5.00": "the device made a mistake",
  "5.01": "the device does not know this operation",
  "5.03": "the device is busy",
};

function refusalOf({ code, payload }: CoapResponse, { home }: Registration): PeerError {
  const words = (decodeUtf8(payload) ?? "").replace(/\p{Cc}/gu, " ").slice(0, 200);
  const said = words === "" ? "" : `: ${words}`;
  const told = formatCode(code);
  const isStranger = code === CODE.unauthorized && home !== undefined;
  const what = isStranger ? `the device knows the server ${home}, which is away, and refuses this one` : REFUSALS[told];
  const sentence = what === undefined ? `the device answered ${told}` : `${what} (${told})`;
  return new PeerError("DEVICE_REFUSED", `${sentence}${said}`, { code: told });
}

function translate(error: unknown, { endpoint, home }: Registration, timeoutMs: number): unknown {
  if (error instanceof SilenceError || (error instanceof EnvironmentError && error.code === "COAP_TIMEOUT")) {
    const known = home === undefined ? "" : `: it knows the server ${home}, which is away`;
    return new EnvironmentError("DEVICE_SILENT", `${endpoint} did not answer in time${known}`, { endpoint, timeoutMs });
  }
  if (error instanceof EnvironmentError && UNREACHABLE.has(error.code))
    return new EnvironmentError(
      "DEVICE_SILENT",
      `${endpoint} cannot be reached: ${error.message}`,
      { endpoint },
      { cause: error },
    );
  if (error instanceof PeerError && !error.code.startsWith("DEVICE_"))
    return new PeerError(
      "DEVICE_ANSWER",
      `the device broke its protocol: ${error.message}`,
      { reason: error.code },
      { cause: error },
    );
  return error;
}

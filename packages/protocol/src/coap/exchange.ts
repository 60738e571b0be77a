/** Requests and responses as an application sees them, whatever carries them: UDP, DTLS or TCP. */
import { EMPTY } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { formatCode, METHOD } from "./codes.ts";
import { type CoapOption, pathOptions, queryOptions } from "./options.ts";

/** The other end. `key` tells two peers apart: an address and port, a DTLS session, a TCP connection. */
export interface Peer {
  readonly key: string;
}

export interface CoapRequest {
  /** See `METHOD`. */
  readonly code: number;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}

export interface CoapResponse {
  /** See `CODE`. */
  readonly code: number;
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}

const NO_OPTIONS: readonly CoapOption[] = [];

/** A request for `/path?query`; `options` are added to those of the path. */
export function createRequest(
  method: keyof typeof METHOD,
  path: string,
  content: { payload?: Uint8Array; options?: readonly CoapOption[] } = {},
): CoapRequest {
  const [bare = "", query = ""] = path.split("?", 2);
  const options = [...pathOptions(bare), ...queryOptions(query), ...(content.options ?? NO_OPTIONS)];
  return { code: METHOD[method], options, payload: content.payload ?? EMPTY };
}

/** A response; without options and payload unless given. */
export function createResponse(
  code: number,
  payload: Uint8Array = EMPTY,
  options: readonly CoapOption[] = NO_OPTIONS,
): CoapResponse {
  return { code, options, payload };
}

/**
 * An error code of CoAP on its way as an exception: a handler throws it to refuse a request with `response`, and a caller
 * gets it when its transfer was refused.
 */
export class CoapRefusal extends PeerError {
  readonly response: CoapResponse;

  constructor(response: CoapResponse, message = `refused with ${formatCode(response.code)}`) {
    super("COAP_REFUSED", message, { status: formatCode(response.code) });
    this.response = response;
  }
}

/** Conditional requests: If-Match, If-None-Match and ETag (RFC 7252 §5.10.6, §5.10.8). */
import { EMPTY, equalBytes } from "../lib/bytes.ts";
import { CODE, isSafeMethod } from "./codes.ts";
import { type CoapRequest, type CoapResponse, createResponse } from "./exchange.ts";
import { OPTION } from "./options.ts";

/**
 * The response that a request's conditions demand instead of carrying it out: 4.12 when one is not met, 2.03 when the client
 * holds the representation already; `undefined` when the request is to be carried out.
 *
 * @param etag Of the current representation, 1 … 8 octets; `undefined` when the resource does not exist.
 */
export function conditionalResponse(request: CoapRequest, etag: Uint8Array | undefined): CoapResponse | undefined {
  let hasIfMatch = false;
  let isMatched = false;
  let isHeld = false;
  for (const { number, value } of request.options) {
    if (number === OPTION.ifNoneMatch && etag !== undefined) return createResponse(CODE.preconditionFailed);
    const isSame = etag !== undefined && equalBytes(value, etag);
    if (number === OPTION.ifMatch) {
      hasIfMatch = true;
      // An empty value stands for any representation.
      isMatched ||= isSame || (value.length === 0 && etag !== undefined);
    } else if (number === OPTION.etag) isHeld ||= isSame;
  }
  if (hasIfMatch && !isMatched) return createResponse(CODE.preconditionFailed);
  if (etag === undefined || !isHeld || !isSafeMethod(request.code)) return undefined;
  return createResponse(CODE.valid, EMPTY, [{ number: OPTION.etag, value: etag }]);
}

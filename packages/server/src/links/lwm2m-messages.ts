/** LwM2M's requests and refusals as CoAP messages. */
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapRequest, type CoapResponse, createResponse } from "@airlift/protocol/coap/exchange";
import {
  type CoapOption,
  OPTION,
  optionUint,
  textOption,
  uintOption,
  uriPath,
  uriQuery,
} from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import type { PeerError } from "@airlift/protocol/lib/errors";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";

/** The CoAP request that carries an LwM2M one. */
export function toCoapRequest(request: Lwm2mRequest): CoapRequest {
  const options: CoapOption[] = [
    ...request.uriPath.map((segment) => textOption(OPTION.uriPath, segment)),
    ...request.uriQuery.map((query) => textOption(OPTION.uriQuery, query)),
  ];
  if (request.contentFormat !== undefined) options.push(uintOption(OPTION.contentFormat, request.contentFormat));
  if (request.accept !== undefined) options.push(uintOption(OPTION.accept, request.accept));
  return { code: request.code, options, payload: request.payload };
}

/** What LwM2M reads from a CoAP request. */
export function toLwm2mRequest(request: CoapRequest): Lwm2mRequest {
  return {
    code: request.code,
    uriPath: uriPath(request.options),
    uriQuery: uriQuery(request.options),
    contentFormat: optionUint(request.options, OPTION.contentFormat),
    accept: optionUint(request.options, OPTION.accept),
    observe: optionUint(request.options, OPTION.observe),
    payload: request.payload,
  };
}

/** Codes of decoders that are not 4.00. */
const CODE_OF_ERROR: Readonly<Record<string, number>> = {
  LWM2M_VERSION: CODE.preconditionFailed,
  CONTENT_FORMAT: CODE.unsupportedContentFormat,
};

/** The answer to a request that a decoder refused, with the reason as its diagnostic payload (RFC 7252 §5.5.2). */
export function refusalOf(error: PeerError): CoapResponse {
  return createResponse(CODE_OF_ERROR[error.code] ?? CODE.badRequest, encodeUtf8(error.message));
}

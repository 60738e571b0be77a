/** LwM2M's requests as CoAP carries them (LwM2M Transport 1.2 §6.4). */
import type { CoapAnswer } from "../coap/body.ts";
import { type CoapRequest, createResponse } from "../coap/exchange.ts";
import { type CoapOption, OPTION, optionUint, textOption, uintOption, uriPath, uriQuery } from "../coap/options.ts";
import type { Lwm2mRequest } from "./request.ts";

/** The request without its block options: LwM2M sees bodies as a whole. */
export function fromCoapRequest({ code, options, payload }: CoapRequest): Lwm2mRequest {
  return {
    code,
    uriPath: uriPath(options),
    uriQuery: uriQuery(options),
    contentFormat: optionUint(options, OPTION.contentFormat),
    accept: optionUint(options, OPTION.accept),
    observe: optionUint(options, OPTION.observe),
    payload,
  };
}

/** The Observe option is left out: `CoapClient.observe` adds its own. */
export function toCoapRequest(request: Lwm2mRequest): CoapRequest {
  const { code, contentFormat, accept, payload } = request;
  const options: CoapOption[] = [
    ...request.uriPath.map((segment) => textOption(OPTION.uriPath, segment)),
    ...optional(OPTION.contentFormat, contentFormat),
    ...request.uriQuery.map((query) => textOption(OPTION.uriQuery, query)),
    ...optional(OPTION.accept, accept),
  ];
  return { code, options, payload };
}

/** An answer of LwM2M: code, content and its format. */
export function toCoapAnswer(answer: {
  readonly code: number;
  readonly contentFormat?: number | undefined;
  readonly payload: Uint8Array;
}): CoapAnswer {
  return createResponse(answer.code, answer.payload, optional(OPTION.contentFormat, answer.contentFormat));
}

function optional(optionNumber: number, value: number | undefined): CoapOption[] {
  return value === undefined ? [] : [uintOption(optionNumber, value)];
}

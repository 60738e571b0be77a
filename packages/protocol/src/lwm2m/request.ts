/** The part of a CoAP request that LwM2M speaks in, free of any transport's own types. */
import { EMPTY } from "../lib/bytes.ts";

/** Method codes (RFC 7252 §12.1.1, RFC 8132 §2). */
export const METHODS = { get: 1, post: 2, put: 3, delete: 4, fetch: 5, patch: 6, ipatch: 7 } as const;

/** Response codes, class in the upper three bits (RFC 7252 §12.1.2). */
export const RESPONSES = {
  created: 0x41,
  deleted: 0x42,
  changed: 0x44,
  content: 0x45,
  badRequest: 0x80,
  unauthorized: 0x81,
  forbidden: 0x83,
  notFound: 0x84,
  methodNotAllowed: 0x85,
  notAcceptable: 0x86,
  preconditionFailed: 0x8c,
  tooLarge: 0x8d,
  unsupportedContentFormat: 0x8f,
  internalServerError: 0xa0,
  notImplemented: 0xa1,
  serviceUnavailable: 0xa3,
} as const;

export interface Lwm2mRequest {
  /** A method code of `METHODS`. */
  readonly code: number;
  readonly uriPath: readonly string[];
  readonly uriQuery: readonly string[];
  readonly contentFormat: number | undefined;
  readonly accept: number | undefined;
  /** The Observe option: 0 starts, 1 ends an observation (RFC 7641 §2). */
  readonly observe: number | undefined;
  readonly payload: Uint8Array;
}

/** A request with everything absent that is not given. */
export function requestOf(parts: Partial<Lwm2mRequest> & Pick<Lwm2mRequest, "code">): Lwm2mRequest {
  return {
    uriPath: [],
    uriQuery: [],
    contentFormat: undefined,
    accept: undefined,
    observe: undefined,
    payload: EMPTY,
    ...parts,
  };
}

/** `request` to a device whose paths start below `rootSegments`. */
export function withRoot(request: Lwm2mRequest, rootSegments: readonly string[]): Lwm2mRequest {
  return rootSegments.length === 0 ? request : { ...request, uriPath: [...rootSegments, ...request.uriPath] };
}

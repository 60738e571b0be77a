/** The part of a CoAP request that LwM2M speaks in, free of any transport's own types. */
import { EMPTY } from "../lib/bytes.ts";

export interface Lwm2mRequest {
  /** A method code of `METHOD`. */
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

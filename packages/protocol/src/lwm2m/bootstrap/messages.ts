/** The bootstrap interface as requests, in both directions (LwM2M Core 1.2 §6.1, Transport 1.2 §6.4.1). */
import { METHOD } from "../../coap/codes.ts";
import { encodeUtf8 } from "../../lib/bytes.ts";
import { PeerError } from "../../lib/errors.ts";
import { CONTENT_FORMATS, LEGACY_FORMATS } from "../content-formats.ts";
import type { Content } from "../operations.ts";
import { type Path, pathOfSegments, ROOT, segmentsOf } from "../path.ts";
import { Queries } from "../queries.ts";
import { type Lwm2mRequest, requestOf } from "../request.ts";

/** Where a server takes Bootstrap-Requests, and a device Bootstrap-Finish. */
export const BOOTSTRAP_PATH: readonly string[] = ["bs"];

/** Where a server takes Bootstrap-Pack-Requests; from LwM2M 1.2 on. */
export const BOOTSTRAP_PACK_PATH: readonly string[] = ["bspack"];

/** What a device says of itself when it asks to be bootstrapped. */
export interface BootstrapRequest {
  /** 1 … 255 octets without control characters; from LwM2M 1.1 on it may be left to the security layer. */
  readonly endpoint: string | undefined;
  /** The content format it prefers (`pct`); absent before LwM2M 1.1. */
  readonly preferredFormat: number | undefined;
}

export function bootstrapRequest({ endpoint, preferredFormat }: BootstrapRequest): Lwm2mRequest {
  const uriQuery = [
    ...(endpoint === undefined ? [] : [`ep=${endpoint}`]),
    ...(preferredFormat === undefined ? [] : [`pct=${preferredFormat}`]),
  ];
  return requestOf({ code: METHOD.post, uriPath: BOOTSTRAP_PATH, uriQuery });
}

/** Asks for everything at once, in the format of `preferredFormat`. */
export function bootstrapPackRequest({ endpoint, preferredFormat }: BootstrapRequest): Lwm2mRequest {
  const uriQuery = endpoint === undefined ? [] : [`ep=${endpoint}`];
  return requestOf({ code: METHOD.get, uriPath: BOOTSTRAP_PACK_PATH, uriQuery, accept: preferredFormat });
}

/** Reads either request. @throws {PeerError} BOOTSTRAP (4.00) for a parameter that is malformed or comes twice. */
export function decodeBootstrapRequest({ uriQuery, accept }: Lwm2mRequest): BootstrapRequest {
  const queries = new Queries(uriQuery, "BOOTSTRAP");
  const endpoint = queries.value("ep");
  if (endpoint !== undefined && !isEndpoint(endpoint))
    throw new PeerError("BOOTSTRAP", "an endpoint name has 1 to 255 octets and no control characters");
  const format = queries.value("pct");
  if (format !== undefined && !/^[0-9]{1,5}$/.test(format))
    throw new PeerError("BOOTSTRAP", "a preferred content format is a number", { parameter: "pct" });
  return { endpoint, preferredFormat: format === undefined ? accept : Number(format) };
}

function isEndpoint(endpoint: string): boolean {
  const { length } = encodeUtf8(endpoint);
  return length >= 1 && length <= 255 && !/\p{Cc}/u.test(endpoint);
}

/** What a bootstrap server asks of a device. */
export type BootstrapOperation =
  | { readonly kind: "discover"; readonly path: Path }
  | { readonly kind: "read"; readonly path: Path; readonly accept: number | undefined }
  | { readonly kind: "write"; readonly path: Path; readonly content: Content }
  | { readonly kind: "delete"; readonly path: Path }
  | { readonly kind: "finish" };

export function bootstrapDiscover(path: Path): Lwm2mRequest {
  return requestOf({ code: METHOD.get, uriPath: segmentsOf(path), accept: CONTENT_FORMATS.linkFormat });
}

export function bootstrapRead(path: Path, accept?: number): Lwm2mRequest {
  return requestOf({ code: METHOD.get, uriPath: segmentsOf(path), accept });
}

export function bootstrapWrite(path: Path, content: Content): Lwm2mRequest {
  return requestOf({ code: METHOD.put, uriPath: segmentsOf(path), ...content });
}

export function bootstrapDelete(path: Path): Lwm2mRequest {
  return requestOf({ code: METHOD.delete, uriPath: segmentsOf(path) });
}

export function bootstrapFinish(): Lwm2mRequest {
  return requestOf({ code: METHOD.post, uriPath: BOOTSTRAP_PATH });
}

/**
 * The operation a device is asked for: a Discover and a Delete may name everything (`/`), a Write an object, an instance
 * or a resource, a Read objects 1 and 2 only.
 *
 * @throws {PeerError} NOT_FOUND (4.04) for a path that names nothing in LwM2M.
 * @throws {PeerError} METHOD (4.05) for a method that is no operation of this interface.
 * @throws {PeerError} BOOTSTRAP (4.00) for queries, which none of them has.
 */
export function decodeBootstrapOperation(request: Lwm2mRequest): BootstrapOperation {
  const { code, uriPath, accept, payload } = request;
  if (request.uriQuery.length > 0) throw new PeerError("BOOTSTRAP", "queries in a bootstrap operation");
  if (code === METHOD.post && uriPath.length === 1 && uriPath[0] === BOOTSTRAP_PATH[0]) return { kind: "finish" };
  const path = readPath(uriPath);
  if (code === METHOD.get && accept === CONTENT_FORMATS.linkFormat && path.length <= 1)
    return { kind: "discover", path };
  if (code === METHOD.get && (path.length === 1 || path.length === 2)) return { kind: "read", path, accept };
  if (code === METHOD.put && path.length >= 1 && path.length <= 3) {
    const { contentFormat = CONTENT_FORMATS.text } = request;
    return {
      kind: "write",
      path,
      content: { contentFormat: LEGACY_FORMATS.get(contentFormat) ?? contentFormat, payload },
    };
  }
  if (code === METHOD.delete && path.length <= 2) return { kind: "delete", path };
  throw new PeerError("METHOD", "no operation of the bootstrap interface", { code });
}

function readPath(uriPath: readonly string[]): Path {
  try {
    return uriPath.length === 0 ? ROOT : pathOfSegments(uriPath);
  } catch (cause) {
    throw new PeerError("NOT_FOUND", "no such path", { count: uriPath.length }, { cause });
  }
}

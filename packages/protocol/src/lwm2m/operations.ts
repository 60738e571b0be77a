/** Device management and reporting as requests: what a server asks and what a device reads out of it (LwM2M Core 1.2 §6.3, §6.4). */

import { CODE, METHOD } from "../coap/codes.ts";
import { type AirliftError, PeerError } from "../lib/errors.ts";
import { type AttributeChange, formatAttributeChange, parseAttributeChange } from "./attributes.ts";
import { decodePaths } from "./composite.ts";
import { CONTENT_FORMATS, LEGACY_FORMATS } from "./content-formats.ts";
import { decodeArguments, type ExecuteArguments, encodeArguments, NO_ARGUMENTS } from "./execute-arguments.ts";
import { formatPath, type Path, pathOfSegments, ROOT, segmentsOf } from "./path.ts";
import { type Lwm2mRequest, requestOf } from "./request.ts";

/** A value or values in their content format. */
export interface Content {
  readonly contentFormat: number;
  readonly payload: Uint8Array;
}

/** Replaces what is there, or changes only what is given. */
export type WriteMode = "replace" | "update";

/** What a server asks of a device. */
export type Operation =
  | { readonly kind: "read"; readonly path: Path; readonly accept: number | undefined }
  | { readonly kind: "discover"; readonly path: Path }
  | { readonly kind: "observe"; readonly path: Path; readonly accept: number | undefined }
  | { readonly kind: "cancelObserve"; readonly path: Path; readonly accept: number | undefined }
  | { readonly kind: "write"; readonly path: Path; readonly mode: WriteMode; readonly content: Content }
  | { readonly kind: "writeAttributes"; readonly path: Path; readonly change: AttributeChange }
  | { readonly kind: "execute"; readonly path: Path; readonly arguments: ExecuteArguments }
  | { readonly kind: "create"; readonly path: Path; readonly content: Content }
  | { readonly kind: "delete"; readonly path: Path }
  /** The operations on several places at once go to the root (LwM2M Core 1.1 §6.3.8 … §6.3.10, §6.4.4). */
  | {
      readonly kind: "readComposite" | "observeComposite" | "cancelObserveComposite";
      readonly path: Path;
      readonly paths: readonly Path[];
      readonly accept: number | undefined;
    }
  | { readonly kind: "writeComposite"; readonly path: Path; readonly content: Content };

/** `accept` is the content format wanted; without one the device chooses. */
export function readRequest(path: Path, accept?: number): Lwm2mRequest {
  return requestOf({ code: METHOD.get, uriPath: segmentsOf(path), accept });
}

export function discoverRequest(path: Path): Lwm2mRequest {
  return requestOf({ code: METHOD.get, uriPath: segmentsOf(path), accept: CONTENT_FORMATS.linkFormat });
}

export function observeRequest(path: Path, accept?: number): Lwm2mRequest {
  return { ...readRequest(path, accept), observe: 0 };
}

/** Ends an observation; it goes out with the token of the request that started it. */
export function cancelObserveRequest(path: Path, accept?: number): Lwm2mRequest {
  return { ...readRequest(path, accept), observe: 1 };
}

export function writeRequest(path: Path, mode: WriteMode, content: Content): Lwm2mRequest {
  const code = mode === "replace" ? METHOD.put : METHOD.post;
  return requestOf({ code, uriPath: segmentsOf(path), ...content });
}

export function writeAttributesRequest(path: Path, change: AttributeChange): Lwm2mRequest {
  return requestOf({ code: METHOD.put, uriPath: segmentsOf(path), uriQuery: formatAttributeChange(change) });
}

/** @throws {UsageError} ARGUMENTS */
export function executeRequest(path: Path, given: ExecuteArguments = NO_ARGUMENTS): Lwm2mRequest {
  const request = requestOf({ code: METHOD.post, uriPath: segmentsOf(path) });
  if (given.size === 0) return request;
  return { ...request, contentFormat: CONTENT_FORMATS.text, payload: encodeArguments(given) };
}

/** A new instance of the object at `path`, its values in `content`. */
export function createRequest(path: Path, content: Content): Lwm2mRequest {
  return requestOf({ code: METHOD.post, uriPath: segmentsOf(path), ...content });
}

export function deleteRequest(path: Path): Lwm2mRequest {
  return requestOf({ code: METHOD.delete, uriPath: segmentsOf(path) });
}

/**
 * The operation a device is asked for. A POST to a resource is an Execute when it carries nothing or plain text, and
 * an update of its instances otherwise; a PUT with neither payload nor content format but with queries is a
 * Write-Attributes.
 *
 * @throws {PeerError} NOT_FOUND (4.04) for a path that names nothing in LwM2M.
 * @throws {PeerError} METHOD (4.05) for a method that is no operation, or none for this path.
 * @throws {PeerError} ATTRIBUTE, ARGUMENTS, REQUEST (4.00)
 */
export function decodeOperation(request: Lwm2mRequest): Operation {
  const path = readPath(request.uriPath);
  switch (request.code) {
    case METHOD.get:
      return decodeGet(path, request);
    case METHOD.put:
      return decodePut(path, request);
    case METHOD.post:
      return decodePost(path, request);
    case METHOD.delete:
      return { kind: "delete", path: assertLevel(path, 2, 4) };
    case METHOD.fetch:
      return decodeFetch(path, request);
    case METHOD.iPatch:
      return { kind: "writeComposite", path: assertLevel(path, 0, 0), content: contentOf(request) };
    default:
      throw new PeerError("METHOD", "no operation of ours", { code: request.code });
  }
}

function readPath(uriPath: readonly string[]): Path {
  try {
    return pathOfSegments(uriPath);
  } catch (cause) {
    throw new PeerError("NOT_FOUND", "no such path", { count: uriPath.length }, { cause });
  }
}

function decodeGet(path: Path, { accept, observe }: Lwm2mRequest): Operation {
  assertLevel(path, 1, 4);
  if (observe === 0) return { kind: "observe", path, accept };
  if (observe === 1) return { kind: "cancelObserve", path, accept };
  return accept === CONTENT_FORMATS.linkFormat ? { kind: "discover", path } : { kind: "read", path, accept };
}

function decodeFetch(path: Path, request: Lwm2mRequest): Operation {
  assertLevel(path, 0, 0);
  const { contentFormat, payload } = contentOf(request);
  const asked = { path: ROOT, paths: decodePaths(contentFormat, payload), accept: request.accept };
  if (request.observe === 0) return { kind: "observeComposite", ...asked };
  return request.observe === 1 ? { kind: "cancelObserveComposite", ...asked } : { kind: "readComposite", ...asked };
}

function decodePut(path: Path, request: Lwm2mRequest): Operation {
  const isBare = request.payload.length === 0 && request.contentFormat === undefined;
  if (isBare && request.uriQuery.length > 0)
    return { kind: "writeAttributes", path: assertLevel(path, 1, 4), change: parseAttributeChange(request.uriQuery) };
  assertNoQuery(request);
  return { kind: "write", path: assertLevel(path, 2, 4), mode: "replace", content: contentOf(request) };
}

function decodePost(path: Path, request: Lwm2mRequest): Operation {
  assertLevel(path, 1, 3);
  assertNoQuery(request);
  const content = contentOf(request);
  if (path.length === 1) return { kind: "create", path, content };
  if (path.length === 3 && content.contentFormat === CONTENT_FORMATS.text)
    return { kind: "execute", path, arguments: decodeArguments(content.payload) };
  return { kind: "write", path, mode: "update", content };
}

/** A payload without a content format is plain text (LwM2M Core 1.2 §7.4). */
function contentOf({ contentFormat = CONTENT_FORMATS.text, payload }: Lwm2mRequest): Content {
  return { contentFormat: LEGACY_FORMATS.get(contentFormat) ?? contentFormat, payload };
}

function assertLevel(path: Path, least: number, most: number): Path {
  if (path.length < least || path.length > most)
    throw new PeerError("METHOD", "not an operation for this path", { path: formatPath(path) });
  return path;
}

function assertNoQuery({ uriQuery }: Lwm2mRequest): void {
  if (uriQuery.length > 0) throw new PeerError("REQUEST", "attributes and values in one request");
}

/** The response code that answers a request that failed with `error`; everything malformed is 4.00. */
export function responseCodeFor(error: AirliftError): number {
  if (!(error instanceof PeerError)) return CODE.internalServerError;
  return RESPONSE_CODES[error.code] ?? CODE.badRequest;
}

const RESPONSE_CODES: Readonly<Record<string, number>> = {
  NOT_FOUND: CODE.notFound,
  METHOD: CODE.methodNotAllowed,
  CONTENT_FORMAT: CODE.unsupportedContentFormat,
  LWM2M_VERSION: CODE.preconditionFailed,
};

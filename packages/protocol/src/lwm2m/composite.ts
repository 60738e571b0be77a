/** Operations on several places at once: FETCH and iPATCH of the root (LwM2M Core 1.1 §6.3.8 … §6.3.10, RFC 8132). */
import { METHOD } from "../coap/codes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { CONTENT_FORMATS } from "./content-formats.ts";
import { formatPath, type Path, parsePath } from "./path.ts";
import { type Lwm2mRequest, requestOf } from "./request.ts";
import { decodeSenmlCborRecords, encodeSenmlCborRecords } from "./senml-cbor.ts";
import { decodeSenmlJsonRecords, encodeSenmlJsonRecords } from "./senml-json.ts";

/** How many paths one request may name. */
export const DEFAULT_MAX_PATHS = 128;

/** Formats that can name places without a value: records that have a name alone. */
export const PATH_LIST_FORMATS: readonly number[] = [CONTENT_FORMATS.senmlCbor, CONTENT_FORMATS.senmlJson];

/** `contentFormat` is that of the list of paths, `accept` that of the values wanted. */
export interface CompositeFormats {
  readonly contentFormat: number;
  readonly accept: number | undefined;
}

/** @throws {UsageError} CONTENT_FORMAT for a format that holds no list of paths, PATHS for none or too many. */
export function readCompositeRequest(
  paths: readonly Path[],
  { contentFormat, accept }: CompositeFormats,
): Lwm2mRequest {
  return requestOf({ code: METHOD.fetch, contentFormat, accept, payload: encodePaths(contentFormat, paths) });
}

/** Values at several places, in a format that names them. */
export function writeCompositeRequest(content: {
  readonly contentFormat: number;
  readonly payload: Uint8Array;
}): Lwm2mRequest {
  return requestOf({ code: METHOD.iPatch, ...content });
}

/** @throws {UsageError} CONTENT_FORMAT, PATHS */
export function encodePaths(format: number, paths: readonly Path[]): Uint8Array {
  if (paths.length === 0 || paths.length > DEFAULT_MAX_PATHS)
    throw new UsageError("PATHS", `between 1 and ${DEFAULT_MAX_PATHS} paths`, { count: paths.length });
  const records = paths.map((path) => ({ n: formatPath(path) }));
  if (format === CONTENT_FORMATS.senmlCbor) return encodeSenmlCborRecords(records);
  if (format === CONTENT_FORMATS.senmlJson) return encodeSenmlJsonRecords(records);
  throw new UsageError("CONTENT_FORMAT", "no format for a list of paths", { format });
}

/**
 * The paths that a request names, at least one, in their order and each once.
 *
 * @throws {PeerError} CONTENT_FORMAT (4.15) · SENML, CBOR, JSON, PATH, TOO_MANY (4.00)
 */
export function decodePaths(format: number, payload: Uint8Array): Path[] {
  const paths = new Map<string, Path>();
  let baseName = "";
  for (const { bn, n = "", ...rest } of recordsOf(format, payload)) {
    if (Object.keys(rest).some((field) => field.startsWith("v")))
      throw new PeerError("SENML", "a value where only names are asked for");
    baseName = bn ?? baseName;
    const name = baseName + n;
    const path = parsePath(name.length > 1 ? name.replace(/\/$/, "") : name);
    paths.set(formatPath(path), path);
  }
  if (paths.size === 0) throw new PeerError("SENML", "no path at all");
  return [...paths.values()];
}

function recordsOf(format: number, payload: Uint8Array) {
  if (format === CONTENT_FORMATS.senmlCbor) return decodeSenmlCborRecords(payload, DEFAULT_MAX_PATHS);
  if (format === CONTENT_FORMATS.senmlJson) return decodeSenmlJsonRecords(payload, DEFAULT_MAX_PATHS);
  throw new PeerError("CONTENT_FORMAT", "no format for a list of paths", { format });
}

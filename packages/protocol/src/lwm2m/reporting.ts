/** The Send operation: a device reports values that nobody asked for (LwM2M Core 1.2 §6.4.6, from LwM2M 1.1 on). */
import { METHOD } from "../coap/codes.ts";
import { PeerError } from "../lib/errors.ts";
import { CONTENT_FORMATS } from "./content-formats.ts";
import type { Entry } from "./entry.ts";
import type { Models } from "./model.ts";
import { STANDARD_MODELS } from "./objects/standard.ts";
import { decodePayload, encodePayload } from "./payload.ts";
import { type Lwm2mRequest, requestOf } from "./request.ts";

/** Where a server takes reports. */
export const SEND_PATH: readonly string[] = ["dp"];

/** Formats that name what they hold; a report has no path of its own. */
const FORMATS: readonly number[] = [CONTENT_FORMATS.senmlCbor, CONTENT_FORMATS.senmlJson, CONTENT_FORMATS.lwm2mCbor];

/** @throws {UsageError} PATH, VALUE_TYPE, VALUE for entries that cannot travel. */
export function sendRequest(entries: readonly Entry[]): Lwm2mRequest {
  const contentFormat = CONTENT_FORMATS.senmlCbor;
  const payload = encodePayload(contentFormat, entries, { base: [], models: STANDARD_MODELS });
  return requestOf({ code: METHOD.post, uriPath: SEND_PATH, contentFormat, payload });
}

/**
 * The values that a report brings, at least one.
 *
 * @throws {PeerError} METHOD (4.05) · CONTENT_FORMAT (4.15) · REQUEST (4.00) for an empty report, and what `decodePayload`
 *   throws.
 */
export function decodeSend({ code, contentFormat, payload }: Lwm2mRequest, models: Models = STANDARD_MODELS): Entry[] {
  if (code !== METHOD.post) throw new PeerError("METHOD", "a report is sent with POST", { code });
  if (contentFormat === undefined || !FORMATS.includes(contentFormat)) {
    throw new PeerError("CONTENT_FORMAT", "no format of a report", { contentFormat });
  }
  const entries = decodePayload(contentFormat, payload, { base: [], models });
  if (entries.length === 0) throw new PeerError("REQUEST", "a report without values");
  return entries;
}

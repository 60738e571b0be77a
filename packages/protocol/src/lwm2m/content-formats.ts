/** The content formats of LwM2M by their CoAP numbers (LwM2M Core 1.2 §7.4). */

export const CONTENT_FORMATS = {
  text: 0,
  linkFormat: 40,
  opaque: 42,
  cbor: 60,
  senmlJson: 110,
  senmlCbor: 112,
  tlv: 11_542,
  lwm2mJson: 11_543,
  lwm2mCbor: 11_544,
} as const;

export type ContentFormatName = keyof typeof CONTENT_FORMATS;

/** Numbers that drafts and LwM2M before 1.0 used, which devices still send, and what they stand for today. */
export const LEGACY_FORMATS: ReadonlyMap<number, number> = new Map([
  [1_541, CONTENT_FORMATS.text],
  [1_542, CONTENT_FORMATS.tlv],
  [1_543, CONTENT_FORMATS.lwm2mJson],
  [1_544, CONTENT_FORMATS.opaque],
]);

/** Formats of values that came after LwM2M 1.0, and with which version (LwM2M Core 1.1, 1.2 §7.4). */
const SINCE: ReadonlyMap<number, string> = new Map([
  [CONTENT_FORMATS.cbor, "1.1"],
  [CONTENT_FORMATS.senmlJson, "1.1"],
  [CONTENT_FORMATS.senmlCbor, "1.1"],
  [CONTENT_FORMATS.lwm2mCbor, "1.2"],
]);

/** Whether a version of LwM2M, "1.0" … "1.2", has a content format. */
export function hasFormat(lwm2mVersion: string, format: number): boolean {
  return lwm2mVersion >= (SINCE.get(format) ?? "1.0");
}

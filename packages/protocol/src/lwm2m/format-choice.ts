/** In which content formats a device is to be asked, best first (LwM2M Core 1.2 §7.4). */
import { CONTENT_FORMATS as F } from "./content-formats.ts";
import type { ResourceType } from "./value.ts";

/** What the format has to hold: one value, those of one object or instance, or those of several places. */
export type FormatUse = "single" | "several" | "composite";

export interface FormatQuestion {
  readonly use: FormatUse;
  /** "1.0", "1.1", "1.2". */
  readonly lwm2mVersion: string;
  /** What the device registered as `ct`; empty when it did not say. */
  readonly registered: readonly number[];
  /** The type of the only value, where it is known. */
  readonly type?: ResourceType | undefined;
  /** Formats that the device has refused before. */
  readonly refused?: ReadonlySet<number> | undefined;
}

/** Best first. SenML and LwM2M CBOR name what they hold; TLV is what a device of 1.0 must know. */
const ORDER: Readonly<Record<string, readonly number[]>> = {
  "1.0": [F.tlv, F.lwm2mJson],
  "1.1": [F.senmlCbor, F.tlv, F.senmlJson, F.lwm2mJson],
  "1.2": [F.senmlCbor, F.lwm2mCbor, F.senmlJson, F.tlv],
};

/** SenML JSON came with 1.1, LwM2M CBOR with 1.2; formats of one value hold nothing else. */
const COMPOSITE: readonly number[] = [F.senmlCbor, F.lwm2mCbor, F.senmlJson];

/**
 * Formats to write in or to accept, best first and never empty: first those the device registered, then those its version
 * knows, at last those it has refused before, in case that it can do nothing else.
 */
export function chooseFormats(question: FormatQuestion): number[] {
  const { registered, refused = new Set(), use } = question;
  const known = candidates(question);
  const isOffered = (format: number): boolean => registered.includes(format);
  const fits = use === "composite" ? (format: number) => COMPOSITE.includes(format) : () => true;
  const more = registered.filter((format) => SEVERAL.includes(format) && use !== "single");
  const ordered = [...new Set([...known.filter(isOffered), ...known, ...more])].filter(fits);
  return [...ordered.filter((format) => !refused.has(format)), ...ordered.filter((format) => refused.has(format))];
}

/** What can hold more than one value. */
const SEVERAL: readonly number[] = [F.senmlCbor, F.lwm2mCbor, F.senmlJson, F.tlv, F.lwm2mJson];

function candidates({ use, lwm2mVersion, type }: FormatQuestion): number[] {
  const several = ORDER[lwm2mVersion] ?? ORDER["1.2"] ?? [];
  if (use === "composite") return several.filter((format) => COMPOSITE.includes(format));
  if (use === "several") return [...several];
  // A value by itself is text for everybody; only octets would grow by it.
  return [...(type === "opaque" ? [F.opaque, F.text] : [F.text]), ...several];
}

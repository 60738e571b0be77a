/** Fuzz targets: every content format throws nothing but PeerError, and what it accepts reads the same once written again. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { encodeUtf8, fromHex } from "@airlift/protocol/lib/bytes";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import type { Context, Entry } from "@airlift/protocol/lwm2m/entry";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import { comparePaths, parsePath } from "@airlift/protocol/lwm2m/path";
import { decodePayload, encodePayload } from "@airlift/protocol/lwm2m/payload";

interface Vector {
  readonly format: number;
  readonly base: string;
  readonly payloadHex?: string;
  readonly payloadText?: string;
}

const vectors = JSON.parse(
  readFileSync(new URL("../../vectors/lwm2m-payloads.json", import.meta.url), "utf8"),
) as Vector[];

const octets = ({ payloadHex, payloadText }: Vector): Uint8Array =>
  (payloadText === undefined ? fromHex(payloadHex ?? "") : encodeUtf8(payloadText)) ?? new Uint8Array(0);

/** A whole object, an instance, and resources of each kind of type. */
const BASES = ["/3", "/3/0", "/2", "/65/0", "/3/0/9", "/3/0/13", "/5/0/0", "/5/0/1", "/6/0/0", "/3/0/22/1"].map(
  parsePath,
);

export const lwm2mPayloads = Object.entries(CONTENT_FORMATS)
  .filter(([name]) => name !== "linkFormat")
  .map(([name, format]) => ({
    name: `lwm2m-${name}`,
    corpus: [
      ...vectors.filter((vector) => vector.format === format).map(octets),
      ...["", "1", "AQIDBAU=", "3:0", "-1.5e3", "\u0001"].map(encodeUtf8),
    ],
    run(bytes: Uint8Array): void {
      for (const base of BASES) check(format, bytes, { base, models: STANDARD_MODELS });
    },
  }));

function check(format: number, bytes: Uint8Array, context: Context): void {
  const entries = decoded(format, bytes, context);
  if (entries === undefined) return;
  const again = written(format, entries, context);
  if (again !== undefined) assert.deepEqual(inOrder(decodePayload(format, again, context)), inOrder(entries));
}

function decoded(format: number, bytes: Uint8Array, context: Context): Entry[] | undefined {
  try {
    return decodePayload(format, bytes, context);
  } catch (error) {
    if (error instanceof PeerError) return undefined;
    throw error;
  }
}

/** A resource that came both as a value and as a list, or twice at two times, is read as it came but not written in TLV. */
function written(format: number, entries: readonly Entry[], context: Context): Uint8Array | undefined {
  try {
    return encodePayload(format, entries, context);
  } catch (error) {
    if (error instanceof UsageError && error.code === "PATH") return undefined;
    throw error;
  }
}

/** What is read does not depend on the order of instances, which TLV groups. */
function inOrder(entries: readonly Entry[]): unknown[] {
  return entries.toSorted((a, b) => comparePaths(a.path, b.path) || (a.timeS ?? 0) - (b.timeS ?? 0)).map(plain);
}

/** Minus zero and zero are one. */
function plain({ path, value, timeS }: Entry): unknown {
  return [path.join("/"), value === 0 ? 0 : value, timeS];
}

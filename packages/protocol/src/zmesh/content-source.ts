/** What can be made of a content's payloads without its key. */
import { UsageError } from "../lib/errors.ts";
import { kindOfSeq, repairOfSeq } from "./chunking.ts";
import type { RepairRow } from "./repair-rows.ts";

/** What can be said of a content without its key. */
export interface ContentShape {
  /** Six octets. */
  readonly name: Uint8Array;
  /** K. */
  readonly dataCount: number;
  /** Octets of a Data payload as it travels: the chunk, and its tag if it has one. */
  readonly payloadBytes: number;
}

/**
 * Parity chunk n: the sum modulo 2 of the Data payloads that its row covers. Needs no key.
 *
 * @param payloadAt The ciphertext payload of a SEQ 1 … K; a Data payload that is not there makes the sum impossible.
 * @returns `undefined` when a payload of the row is missing.
 */
export async function repairPayload(
  shape: ContentShape,
  row: RepairRow,
  payloadAt: (seq: number) => Promise<Uint8Array | undefined> | Uint8Array | undefined,
): Promise<Uint8Array | undefined> {
  const sum = new Uint8Array(shape.payloadBytes);
  for (let seq = 1; seq <= shape.dataCount; seq += 1) {
    if (!row(seq)) continue;
    const payload = await payloadAt(seq);
    if (payload === undefined) return undefined;
    addTo(sum, payload);
  }
  return sum;
}

/** The n of a SEQ that stands for parity, else `undefined`. @throws {PeerError} `SEQ_RANGE` */
export function repairNumberOf(dataCount: number, seq: number): number | undefined {
  return kindOfSeq(seq, dataCount) === "repair" ? repairOfSeq(dataCount, seq) : undefined;
}

/** Modulo 2. @throws {UsageError} `PAYLOAD_SIZE` when it has another length. */
function addTo(sum: Uint8Array, payload: Uint8Array): void {
  if (payload.length !== sum.length)
    throw new UsageError("PAYLOAD_SIZE", "payloads of one content have one length", { sizeBytes: payload.length });
  for (let i = 0; i < sum.length; i += 1) sum[i] = (sum[i] ?? 0) ^ (payload[i] ?? 0);
}

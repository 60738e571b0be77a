import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fromHex, toHex } from "../lib/bytes.ts";
import { REPAIR_SCHEME, type RepairScheme } from "./messages.ts";
import { RepairEncoder } from "./repair-encoder.ts";
import { naturalLog, prbs23, repairRows, rowHash, rowThreshold } from "./repair-rows.ts";

interface RowVector {
  readonly chunkCount: number;
  readonly n: number;
  readonly members: readonly number[];
}
interface Numbered {
  readonly n: number;
  readonly chunk: number;
  readonly value: number;
  readonly hex: string;
}
const vectors = JSON.parse(
  readFileSync(new URL("../../../../tests/vectors/zmesh-rows.json", import.meta.url), "utf8"),
) as {
  scheme2: {
    logarithm: Numbered[];
    threshold: Numbered[];
    hash: Numbered[];
    rows: RowVector[];
    parity: { payloads: string[]; chunks: Numbered[] };
  };
  scheme1: { generator: { start: number; states: number[] }; published: RowVector[]; rows: RowVector[] };
};

function membersOf(scheme: RepairScheme, { chunkCount, n }: RowVector): number[] {
  const isMember = repairRows(scheme, chunkCount)(n);
  return Array.from({ length: chunkCount }, (_, i) => i + 1).filter(isMember);
}

test("§8 scheme 2: logarithm, threshold, hash and rows are the published ones", () => {
  const { logarithm, threshold, hash, rows } = vectors.scheme2;
  for (const { n, value } of logarithm) assert.equal(naturalLog(n), value, `ln ${n}`);
  for (const { n, value } of threshold) assert.equal(rowThreshold(n), value, `T(${n})`);
  for (const { n, chunk, value } of hash) assert.equal(rowHash(n, chunk), value, `hash(${n}, ${chunk})`);
  for (const row of rows) assert.deepEqual(membersOf(REPAIR_SCHEME.hashedRows, row), row.members, `row ${row.n}`);
});

test("§8 scheme 2: a chunk belongs to a row exactly when its hash is below the threshold, in any order of asking", () => {
  const rows = repairRows(REPAIR_SCHEME.hashedRows, 300);
  for (let n = 40; n > 0; n -= 1) {
    const isMember = rows(n);
    for (let chunk = 300; chunk > 0; chunk -= 7)
      assert.equal(isMember(chunk), rowHash(n, chunk) < rowThreshold(n), `${n} ${chunk}`);
  }
});

test("§8: the threshold is min(½, (ln n + 4) / n), within a part in 2000", () => {
  for (let n = 1; n <= 2 ** 24 - 1; n += n < 5000 ? 1 : 9973) {
    const share = Math.min(0.5, (Math.log(n) + 4) / n);
    assert.ok(Math.abs(rowThreshold(n) / 2 ** 32 / share - 1) < 1 / 2000, `row ${n}`);
  }
});

test("TS004-1.0.0: the generator and a row are the published ones, and the other rows those of this file", () => {
  const { generator, published, rows } = vectors.scheme1;
  let state = generator.start;
  for (const expected of generator.states) {
    state = prbs23(state);
    assert.equal(state, expected);
  }
  for (const row of [...published, ...rows])
    assert.deepEqual(membersOf(REPAIR_SCHEME.lorawanTs004, row), row.members, `row ${row.n} of ${row.chunkCount}`);
});

test("TS004-1.0.0: the generator runs through all 2²³ − 1 states", () => {
  let state = prbs23(1);
  let period = 1;
  for (; state !== 1; period += 1) state = prbs23(state);
  assert.equal(period, 2 ** 23 - 1);
});

test("§8: a parity chunk is the sum of the payloads its row covers", () => {
  const { payloads, chunks } = vectors.scheme2.parity;
  const octets = payloads.map((hex) => fromHex(hex) ?? assert.fail());
  const encoder = new RepairEncoder(repairRows(REPAIR_SCHEME.hashedRows, octets.length), octets);
  for (const { n, hex } of chunks) assert.equal(toHex(encoder.parity(n)), hex, `parity ${n}`);
});

test("payloads of different or odd lengths, and contents without chunks, are refused", () => {
  const rows = repairRows(REPAIR_SCHEME.hashedRows, 2);
  for (const sizes of [[8, 16], [12, 12], []])
    assert.throws(
      () =>
        new RepairEncoder(
          rows,
          sizes.map((size) => new Uint8Array(size)),
        ),
      { code: "PAYLOAD_SIZE" },
    );
  for (const count of [0, -1, 1.5, 2 ** 24 - 2])
    assert.throws(() => repairRows(REPAIR_SCHEME.hashedRows, count), { code: "CHUNK_COUNT" });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { PowerCut } from "@airlift/sim/flash";
import { FlashPower, SimWordFlash } from "@airlift/sim/word-flash";
import { seeded } from "@airlift/sim/world";
import { ChunkSet } from "./chunk-set.ts";
import { ScratchStore, scratchBytesFor } from "./scratch-store.ts";

const shape = { chunkCount: 100, payloadBytes: 24 };

function flashOf(records: number, power?: FlashPower): SimWordFlash {
  const flash = new SimWordFlash({ sizeBytes: 1 << 16, pageBytes: 256 });
  const sizeBytes = scratchBytesFor({ flash, ...shape }, records);
  return new SimWordFlash({ sizeBytes, pageBytes: 256 }, power);
}

const payloadOf = (n: number) => Uint8Array.from({ length: 24 }, (_, i) => n * 31 + i);

function parityOf(store: ScratchStore): [n: number, payload: number[]][] {
  return Array.from({ length: store.parityCount }, (_, place) => {
    const payload = new Uint8Array(24);
    for (let stripe = 0; stripe < 3; stripe += 1)
      store.readParityWord(place, stripe, payload.subarray(8 * stripe, 8 * stripe + 8));
    return [store.parityRow(place), [...payload]];
  });
}

test("§8 power loss: a cut at any flash operation leaves the last whole bitmap and every whole parity chunk", () => {
  for (let cutAt = 0; cutAt < 400; cutAt += 1) {
    const power = new FlashPower(seeded(cutAt));
    const flash = flashOf(60, power);
    const saved: number[] = [0];
    const appended: number[] = [];
    let isCut = false;
    power.cutAt = cutAt;
    try {
      const store = new ScratchStore({ flash, ...shape });
      store.format();
      const chunks = new ChunkSet(shape.chunkCount);
      for (let i = 1; i <= 50; i += 1) {
        chunks.add(i);
        chunks.add(101 - i);
        saved.push(chunks.presentCount);
        store.save(chunks);
        appended.push(i);
        store.appendParity(i, payloadOf(i));
      }
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      isCut = true;
    }
    power.restart();
    const store = new ScratchStore({ flash, ...shape });
    const chunks = store.recover();
    // The operation that the power did not outlive may have taken place.
    const bitmap = isCut ? saved.slice(-2) : saved.slice(-1);
    assert.ok(bitmap.includes(chunks.presentCount), `cut at ${cutAt}: ${chunks.presentCount} of ${bitmap}`);
    const parity = parityOf(store);
    assert.ok(parity.length >= appended.length - 1, `cut at ${cutAt}`);
    assert.deepEqual(
      parity,
      appended.slice(0, parity.length).map((n) => [n, [...payloadOf(n)]]),
      `cut at ${cutAt}`,
    );
    // And it goes on from there, on whatever the cut has left.
    store.save(chunks);
    assert.ok(store.appendParity(99, payloadOf(99)));
    assert.equal(parityOf(store).at(-1)?.[0], 99);
    assert.equal(new ScratchStore({ flash, ...shape }).recover().presentCount, chunks.presentCount);
  }
});

test("a full area says so; forgotten parity makes room", () => {
  const store = new ScratchStore({ flash: flashOf(8), ...shape });
  store.format();
  let count = 0;
  while (store.appendParity(count + 1, payloadOf(count))) count += 1;
  assert.ok(count >= 8);
  store.forgetParity();
  assert.equal(store.parityCount, 0);
  assert.ok(store.appendParity(1, payloadOf(1)));
});

test("all that reads as erased is a payload, too", () => {
  const flash = flashOf(8);
  const store = new ScratchStore({ flash, ...shape });
  store.format();
  const full = new ChunkSet(shape.chunkCount);
  for (let chunk = 1; chunk <= shape.chunkCount; chunk += 1) full.add(chunk);
  store.save(full);
  store.appendParity(5, new Uint8Array(24).fill(0xff));
  const after = new ScratchStore({ flash, ...shape });
  assert.equal(after.recover().missingCount, 0);
  assert.deepEqual(parityOf(after), [[5, new Array(24).fill(0xff)]]);
});

test("a scratch flash without room for one parity chunk is refused", () => {
  const flash = new SimWordFlash({ sizeBytes: 2 * 256, pageBytes: 256 });
  assert.throws(() => new ScratchStore({ flash, ...shape }), { name: "EnvironmentError", code: "SCRATCH_SIZE" });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { PowerCut } from "@airlift/sim/flash";
import { FlashPower, SimWordFlash } from "@airlift/sim/word-flash";
import { ChunkSet } from "./chunk-set.ts";
import { ScratchStore } from "./scratch-store.ts";

const CHUNKS = 2_000;
const PAGE_BYTES = 128;

/** What a store that was filled chunk by chunk finds after each of its power cuts. */
class Bench {
  readonly power: FlashPower;
  readonly flash: SimWordFlash;

  constructor(chance: number) {
    this.power = new FlashPower(() => chance);
    this.flash = new SimWordFlash({ sizeBytes: 512 * PAGE_BYTES, pageBytes: PAGE_BYTES }, this.power);
  }

  open(): ScratchStore {
    return new ScratchStore({ flash: this.flash, chunkCount: CHUNKS, payloadBytes: 48 });
  }

  /** Saves sets of one chunk, two chunks, … until the power goes. @returns The set that was saved last. */
  fill(store: ScratchStore, chunks: ChunkSet, cutAfter: number): number {
    this.power.restart();
    this.power.cutAt = cutAfter;
    let savedCount = chunks.presentCount;
    try {
      for (let i = 0; i < 40; i += 1) {
        chunks.add(chunks.presentCount + 1);
        store.save(chunks);
        savedCount = chunks.presentCount;
      }
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
    }
    this.power.restart();
    return savedCount;
  }
}

test("§8 power loss: whatever operation the power does not outlive, twice in a row, the last bitmap saved is found", () => {
  for (const chance of [0, 1]) {
    for (let first = 0; first < 900; first += 1) {
      const bench = new Bench(chance);
      const store = bench.open();
      store.format();
      let savedCount = bench.fill(store, new ChunkSet(CHUNKS), first);
      for (const second of [20, 0]) {
        const again = bench.open();
        const found = again.recover();
        const what = `cut after ${first}, before ${second}, chance ${chance}`;
        assert.ok(found.presentCount === savedCount || found.presentCount === savedCount + 1, what);
        savedCount = bench.fill(again, found, second);
      }
    }
  }
});

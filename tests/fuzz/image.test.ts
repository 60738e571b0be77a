import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "@airlift/sim/world";
import { image } from "./targets/image.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const RUNS = 30_000;

test(`the image decoder throws nothing but PeerError (FUZZ_SEED=${SEED})`, () => {
  const random = seeded(SEED);
  const below = (limit: number): number => Math.floor(random() * limit);
  for (let run = 0; run < RUNS; run += 1) {
    const source = image.corpus[below(image.corpus.length)] ?? new Uint8Array(0);
    const bytes = source.slice(0, random() < 0.3 ? below(source.length + 1) : source.length);
    for (let changes = below(4); changes > 0; changes -= 1) {
      const at = below(bytes.length);
      // Sizes matter most: half of all changes hit the header or the areas behind the payload.
      const place = random() < 0.5 ? at : random() < 0.5 ? at % 32 : Math.max(0, bytes.length - 1 - (at % 160));
      if (bytes.length > 0) bytes[place] = random() < 0.5 ? below(256) : ([0, 1, 0x7f, 0xff][below(4)] ?? 0);
    }
    try {
      image.run(bytes);
    } catch (error) {
      assert.fail(`run ${run}, ${Buffer.from(bytes).toString("hex")}: ${error}`);
    }
  }
});

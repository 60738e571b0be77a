import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "@airlift/sim/world";
import { bootstrapTargets } from "./targets/bootstrap.ts";
import { lwm2mPayloads } from "./targets/lwm2m-payload.ts";
import { lwm2mTexts } from "./targets/lwm2m-text.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 2_000);

/** Octets that mean something to one format or another: lengths, breaks, quotes, brackets, separators. */
const TELLING = [0, 1, 0x08, 0x1b, 0x20, 0x22, 0x27, 0x2c, 0x3c, 0x5b, 0x5f, 0x7f, 0x80, 0x9f, 0xbf, 0xc1, 0xfb, 0xff];

for (const { name, corpus, run } of [...lwm2mPayloads, ...lwm2mTexts, ...bootstrapTargets]) {
  test(`${name}: nothing but PeerError, and what is accepted reads the same again (FUZZ_SEED=${SEED})`, () => {
    const random = seeded(SEED);
    const below = (limit: number): number => Math.floor(random() * limit);
    for (let at = 0; at < RUNS; at += 1) {
      const source = corpus[below(corpus.length)] ?? new Uint8Array(0);
      const bytes = Array.from(source.subarray(0, random() < 0.2 ? below(source.length + 1) : source.length));
      for (let changes = below(4); changes > 0; changes -= 1) {
        const octet = random() < 0.5 ? below(256) : (TELLING[below(TELLING.length)] ?? 0);
        const copied = random() < 0.2 ? bytes.slice(below(bytes.length), below(bytes.length) + 8) : [octet];
        bytes.splice(below(bytes.length + 1), below(3), ...copied);
      }
      try {
        run(Uint8Array.from(bytes));
      } catch (error) {
        assert.fail(`run ${at}, ${Buffer.from(bytes).toString("hex")}: ${error}`);
      }
    }
  });
}

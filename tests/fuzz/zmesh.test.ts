import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "@airlift/protocol/lib/bytes";
import { seeded } from "@airlift/sim/world";
import { mutate } from "./mutate.ts";
import type { FuzzTarget } from "./target.ts";
import * as content from "./targets/zmesh-content.ts";
import * as edge from "./targets/zmesh-edge.ts";
import * as messages from "./targets/zmesh-messages.ts";
import * as receiver from "./targets/zmesh-receiver.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);
const RUNS = 3000;

for (const target of Object.values<FuzzTarget | FuzzTarget[]>({
  ...messages,
  ...content,
  ...receiver,
  ...edge,
}).flat()) {
  test(`${target.name}: nothing but PeerError (FUZZ_SEED=${SEED})`, () => {
    const random = seeded(SEED);
    for (let run = 0; run < RUNS; run += 1) {
      const bytes =
        run < target.corpus.length ? (target.corpus[run] ?? new Uint8Array(0)) : mutate(target.corpus, random);
      try {
        target.run(bytes);
      } catch (error) {
        assert.fail(`run ${run}, ${toHex(bytes)}: ${error}`);
      }
    }
  });
}

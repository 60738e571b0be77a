import { test } from "node:test";
import { toHex } from "@airlift/protocol/lib/bytes";
import { seeded } from "@airlift/sim/world";
import { mutate } from "./mutate.ts";
import { dtlsClientHandshake, dtlsEndpoint, dtlsMessages, dtlsRecords, dtlsServerHandshake } from "./targets/dtls.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 1);

for (const target of [dtlsRecords, dtlsMessages, dtlsServerHandshake, dtlsClientHandshake, dtlsEndpoint]) {
  test(`fuzz ${target.name}: 2000 mutated inputs (FUZZ_SEED=${SEED})`, () => {
    const random = seeded(SEED);
    for (const bytes of target.corpus) target.run(bytes);
    for (let i = 0; i < 2_000; i += 1) {
      const bytes = mutate(target.corpus, random);
      try {
        target.run(bytes);
      } catch (cause) {
        throw new Error(`seed ${SEED}, input ${i}: ${toHex(bytes)}`, { cause });
      }
    }
  });
}

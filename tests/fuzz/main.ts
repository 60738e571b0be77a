/**
 * Feeds every fuzz target with mutated inputs: `npm run fuzz -- [--seconds 60 | --cases 10000000] [--seed N] [--target NAME]`.
 *
 * The seconds are shared by all targets; of cases each gets as many as that. Targets are what the files of `targets/` export: a `FuzzTarget` or an array of them. A finding ends the turn of
 * its target, and the run with exit code 1; it names target and seed, and prints the input as hex, to be added to a corpus.
 */
import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { toHex } from "@airlift/protocol/lib/bytes";
import { seeded } from "@airlift/sim/world";
import { mutate } from "./mutate.ts";
import type { FuzzTarget } from "./target.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    cases: { type: "string" },
    seed: { type: "string", default: String(Date.now() % 2 ** 32) },
    target: { type: "string" },
  },
});
const seed = Number(values.seed);
const folder = new URL("targets/", import.meta.url);
const targets: FuzzTarget[] = [];
for (const file of readdirSync(folder).sort()) {
  if (!file.endsWith(".ts") || file.endsWith(".test.ts")) continue;
  const exported: Record<string, FuzzTarget | FuzzTarget[]> = await import(new URL(file, folder).href);
  const found = Object.values(exported).flat();
  targets.push(...found.filter(({ name }) => values.target === undefined || name === values.target));
}

// Most inputs are refused with an error whose trace nobody reads, and which costs more than the decoding.
const { stackTraceLimit } = Error;
Error.stackTraceLimit = 0;

/** What a target throws at an input that it threw at before, with its trace. */
function traced(target: FuzzTarget, bytes: Uint8Array, first: unknown): unknown {
  Error.stackTraceLimit = stackTraceLimit;
  try {
    target.run(bytes);
    return first;
  } catch (error) {
    return error;
  } finally {
    Error.stackTraceLimit = 0;
  }
}

const caseCount = values.cases === undefined ? Number.POSITIVE_INFINITY : Number(values.cases);
const secondsEach =
  values.cases === undefined ? Number(values.seconds) / Math.max(1, targets.length) : Number.POSITIVE_INFINITY;
for (const target of targets) {
  const random = seeded(seed);
  const startMs = performance.now();
  const endMs = startMs + secondsEach * 1000;
  let count = 0;
  let isSound = true;
  for (; count < caseCount && performance.now() < endMs && isSound; count += 1) {
    const bytes = mutate(target.corpus, random);
    try {
      target.run(bytes);
    } catch (error) {
      console.error(`${target.name}: input ${count} of seed ${seed}: ${toHex(bytes)}\n`, traced(target, bytes, error));
      isSound = false;
      process.exitCode = 1;
    }
  }
  console.log(
    `${target.name}: ${count} inputs in ${((performance.now() - startMs) / 1000).toFixed(1)} s, seed ${seed}`,
  );
}
if (targets.length === 0) {
  console.error("no such target");
  process.exitCode = 2;
}

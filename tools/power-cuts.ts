/** Cuts the power of simulated devices in mid-update, many times: `node tools/power-cuts.ts --count 10000 [--seed 1]`. */
import { parseArgs } from "node:util";
import { cutPower } from "../tests/world/power-cuts.ts";

const { values } = parseArgs({
  options: { count: { type: "string", default: "10000" }, seed: { type: "string", default: "1" } },
});
const count = Number(values.count);
const seed = Number(values.seed);
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed)) {
  console.error("usage: node tools/power-cuts.ts [--count N] [--seed N]");
  process.exit(2);
}
const startedAtMs = performance.now();
const { cuts, devices, bricks } = await cutPower(count, seed);
for (const { seed: at, reason } of bricks) console.error(`seed ${at}: ${reason}`);
const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
console.log(
  `power cuts: ${cuts} in the updates of ${devices} devices (seed ${seed}), ${bricks.length} bricks, ${seconds} s`,
);
process.exitCode = bricks.length > 0 ? 1 : 0;

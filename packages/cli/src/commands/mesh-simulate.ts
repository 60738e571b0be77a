/** `airlift mesh simulate`: our figures beside the published ones, each measured while one waits. */
import { REPAIR_SCHEME } from "@airlift/protocol/zmesh/messages";
import { RepairEncoder } from "@airlift/protocol/zmesh/repair-encoder";
import { repairRows } from "@airlift/protocol/zmesh/repair-rows";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { type GoalReport, measureGoals } from "@airlift/sim/mesh/goals";
import type { Command } from "commander";
import { goalCells, meshMarkdown, RATIO_HEAD, ratioCells } from "../mesh-report.ts";
import { printResult, say, wholeNumber } from "../terminal.ts";
import { table } from "../text.ts";

interface Options {
  readonly seed: number;
  readonly quick?: boolean;
  readonly markdown?: boolean;
}

export function registerMeshSimulate(mesh: Command): void {
  mesh
    .command("simulate")
    .description("measure broadcasts to up to 10,000 devices, beside the goals and what others publish")
    .option("--seed <number>", "the same seed gives the same figures", wholeNumber(0), 1)
    .option("--quick", "at most 1000 devices: seconds instead of a minute")
    .option("--markdown", "print the page docs/benchmarks-mesh.md")
    .action(({ seed, quick = false, markdown = false }: Options, command: Command) => {
      const startMs = performance.now();
      const progress = (part: string) => say(`${secondsSince(startMs)} s: simulating ${part}`);
      const report = measureGoals({ seed, crypto: zmeshCrypto, isQuick: quick, progress });
      say(`${secondsSince(startMs)} s: simulated`);
      say(`20 % parity for 2000 × 48 bytes took ${encodingMs().toFixed(0)} ms here (goal: below 200 ms)`);
      printResult(command, report, () => (markdown ? meshMarkdown(report) : textOf(report)));
    });
}

function textOf({ seed, ratios, goals }: GoalReport): string {
  const shortfalls = goals.filter(({ isMet }) => !isMet);
  const met = goals.filter(({ isMet }) => isMet);
  return [
    `seed ${seed}; ${met.length} of ${goals.length} goals met${shortfalls.length > 0 ? ", shortfalls first" : ""}\n\n`,
    table(["measure", "ours", "goal", "", "others publish"], [...shortfalls, ...met].map(goalCells)),
    "\npackets / K until all devices are complete, K = 2000\n\n",
    table(RATIO_HEAD, ratios.map(ratioCells)),
  ].join("");
}

const secondsSince = (startMs: number): string => ((performance.now() - startMs) / 1000).toFixed(0);

/** How long the encoder takes; of this machine, so not part of the report. */
function encodingMs(): number {
  const payloads = Array.from({ length: 2000 }, (_, i) => new Uint8Array(48).fill(i));
  const encoder = new RepairEncoder(repairRows(REPAIR_SCHEME.hashedRows, payloads.length), payloads);
  const startMs = performance.now();
  for (let n = 1; n <= 400; n += 1) encoder.parity(n);
  return performance.now() - startMs;
}

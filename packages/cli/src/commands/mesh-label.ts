/** `airlift mesh label`: labels for new devices, each with a key of its own. */
import type { Command } from "commander";
import { drawLabel } from "../device/mesh-label.ts";
import { printResult, say, wholeNumber } from "../terminal.ts";

/** Whoever wants more asks again. */
const MOST_LABELS = 100_000;

export function registerMeshLabel(mesh: Command): void {
  mesh
    .command("label <device-id>")
    .description("draw a new device's keys, and print what its QR label says: one line, and a secret")
    .option("--count <number>", "so many: DEVICE-ID-1, DEVICE-ID-2, …", wholeNumber(1, MOST_LABELS))
    .action((deviceId: string, { count }: { readonly count?: number }, command: Command) => {
      const ids = count === undefined ? [deviceId] : Array.from({ length: count }, (_, i) => `${deviceId}-${i + 1}`);
      const labels = ids.map((id) => drawLabel(id));
      say("whoever reads a label can speak to its device and for it");
      printResult(command, labels, () => labels.map((label) => `${label}\n`).join(""));
    });
}

/** `airlift update-show`: one update, why it stands where it stands, and what its device was asked and answered. */
import type { Update } from "@airlift/protocol/api/schemas";
import type { Command } from "commander";
import { exchangeTable } from "../exchange-table.ts";
import { clientOf, printResult } from "../terminal.ts";
import { clockText, pairs, sizeText } from "../text.ts";

export function registerUpdateShow(program: Command): void {
  program
    .command("update-show <id>")
    .description("show an update with its exchanges")
    .action(async (id: string, _: unknown, command: Command) => {
      const client = clientOf(command);
      const [update, exchanges] = await Promise.all([client.update(id), client.exchanges(id)]);
      printResult(
        command,
        { ...update, exchanges },
        () => `${describe(update)}\n${exchangeTable(exchanges) || "no exchange yet\n"}`,
      );
    });
}

function describe(update: Update): string {
  return pairs([
    ["update", update.id],
    ["endpoint", update.endpoint],
    ["image", update.imageId],
    ["target", update.target],
    ["state", `${update.state}${update.failure === null ? "" : ` (${update.failure})`}, attempt ${update.attempt}`],
    ["why", update.sentence],
    ["by", update.method ?? update.by],
    ["sent as", update.deltaId === null ? "the whole image" : `delta ${update.deltaId}`],
    ["package URI", update.packageUri ?? "none"],
    ["transferred", `${sizeText(update.acknowledgedBytes)} of ${sizeText(update.totalBytes)}`],
    ["created", clockText(update.createdAt, Date.now())],
    ["ended", update.finishedAt ?? "not yet"],
  ]);
}

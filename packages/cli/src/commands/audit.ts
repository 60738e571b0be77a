/** `airlift audit`: who changed what, and the proof that nobody has changed that since. */

import { once } from "node:events";
import { AuditCutOutcome, AuditLine, AuditVerification } from "@airlift/protocol/api/audit";
import { pageOf } from "@airlift/protocol/api/schemas";
import { countText } from "@airlift/protocol/lib/count-text";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Command } from "commander";
import { type Client, postOf } from "../client.ts";
import { clientOf, printResult, say, wholeNumber } from "../terminal.ts";
import { clockText, table } from "../text.ts";

export function registerAudit(program: Command): void {
  const audit = program.command("audit").description("the log of who asked for which change");
  audit
    .command("list")
    .description("list the newest lines, newest first")
    .option("--limit <count>", "how many", wholeNumber(1), 50)
    .action(async ({ limit }: { limit: number }, command: Command) => {
      const lines = await newest(clientOf(command), limit);
      printResult(command, lines, () =>
        table(
          ["ID", "AT", "WHO", "ROLE", "PERSON", "FROM", "ACTION", "STATUS"],
          lines.map((one) => [
            `${one.id}`,
            clockText(one.at, Date.now()),
            one.who,
            one.role ?? "-",
            one.person ?? "-",
            one.peer,
            one.action,
            `${one.outcome}`,
          ]),
        ),
      );
    });
  registerVerify(audit);
  audit
    .command("export")
    .description("print all lines as JSON, oldest first, with the checkpoint last; keep that one elsewhere")
    .action(async (_: unknown, command: Command) => {
      let last: AuditLine | undefined;
      for await (const line of clientOf(command).each("audit?order=asc", AuditLine)) {
        await print(line);
        last = line as AuditLine;
      }
      const checkpoint = last === undefined ? null : `${last.id}:${last.hash}`;
      await print({ checkpoint });
      say(`checkpoint ${checkpoint ?? "none: the log is empty"}`);
    });
  audit
    .command("cut")
    .description("delete the lines before a moment; a line of the log tells of it")
    .requiredOption("--before <date>", "a date, 2026-01-31, or a time in UTC")
    .action(async ({ before }: { before: string }, command: Command) => {
      const isDay = /^\d{4}-\d{2}-\d{2}$/.test(before);
      if (!isDay && Number.isNaN(Date.parse(before)))
        command.error(
          `error: --before ${before} is neither a date, 2026-01-31, nor a time in UTC, 2026-01-31T12:00:00Z`,
        );
      const moment = isDay ? `${before}T00:00:00Z` : before;
      const cut = await clientOf(command).call("audit/cut", AuditCutOutcome, postOf({ before: moment }));
      printResult(command, cut, () => cutText(cut));
    });
}

function registerVerify(audit: Command): void {
  audit
    .command("verify")
    .description("recompute the chain; exit 1 when a line was changed, dropped, slipped in or cut off")
    .option("--since <checkpoint>", "the checkpoint of an earlier verification or export, NUMBER:HASH")
    .action(async ({ since }: { since?: string }, command: Command) => {
      const query = since === undefined ? "" : `?${new URLSearchParams({ since })}`;
      const found = await clientOf(command).call(`audit/verification${query}`, AuditVerification);
      printResult(command, found, () => (found.isWhole ? `whole to ${found.checkpoint ?? "its beginning"}\n` : ""));
      if (found.isWhole) return;
      const facts = { brokenAtId: found.brokenAtId };
      throw new EnvironmentError("AUDIT_BROKEN", brokenText(found.brokenAtId ?? 0, since), facts);
    });
}

const cutText = ({ cutCount, checkpoint }: AuditCutOutcome): string =>
  checkpoint === null
    ? "no line is that old: nothing was deleted\n"
    : `${countText(cutCount, "line was", "lines were")} deleted; the log goes on from ${checkpoint}\n`;

/** A log that does not hold a checkpoint may be broken, or another one. */
function brokenText(brokenAtId: number, since: string | undefined): string {
  const broken = `line ${brokenAtId} is missing or was changed`;
  if (since === undefined || Number(since.split(":")[0]) < brokenAtId - 1) return broken;
  return `the log does not hold the checkpoint: ${broken}, or the checkpoint is of another log`;
}

async function newest(client: Client, limit: number): Promise<AuditLine[]> {
  const lines: AuditLine[] = [];
  let cursor = "";
  while (lines.length < limit) {
    const query = new URLSearchParams({ limit: `${Math.min(1000, limit - lines.length)}`, ...(cursor && { cursor }) });
    const page = await client.call(`audit?${query}`, pageOf(AuditLine));
    lines.push(...page.items);
    if (page.next === null) break;
    cursor = page.next;
  }
  return lines;
}

async function print(value: unknown): Promise<void> {
  if (!process.stdout.write(`${JSON.stringify(value)}\n`)) await once(process.stdout, "drain");
}

/** `airlift image show`: all that is known of one image. */
import type { Delta } from "@airlift/protocol/api/schemas";
import type { Command } from "commander";
import { clientOf, printResult } from "../terminal.ts";
import { agoText, clockText, pairs, shareText, sizeText, table } from "../text.ts";

export function registerImageShow(image: Command): void {
  image
    .command("show <id>")
    .description("show one image")
    .action(async (id: string, _: unknown, command: Command) => {
      const one = await clientOf(command).image(id);
      const { signature } = one;
      printResult(command, one, () => {
        const facts = pairs([
          ["id", one.id],
          ["manufacturer", one.manufacturer],
          ["model", one.model],
          ["version", one.version],
          ["hardware", one.hardware.join(", ") || "any"],
          ["size", `${sizeText(one.sizeBytes)} (${one.sizeBytes} bytes)`],
          ["sha256", one.sha256],
          ["format", one.format],
          [
            "signature",
            signature === null ? "none" : `${signature.algorithm}, key ${signature.keyHash ?? "not named"}`,
          ],
          ["verified by", signature?.verifiedBy ?? "nobody"],
          ["security counter", `${one.securityCounter ?? "none"}`],
          ["added", clockText(one.createdAt, Date.now())],
        ]);
        return one.deltas.length === 0 ? facts : `${facts}\n${deltaTable(one.deltas)}`;
      });
    });
}

const deltaTable = (deltas: readonly Delta[]): string =>
  table(
    ["DELTA", "FROM", "SIZE", "SHARE", "ADDED"],
    deltas.map((delta) => [
      delta.id,
      delta.baseVersion,
      sizeText(delta.sizeBytes),
      shareText(delta.share),
      agoText(delta.createdAt, Date.now()),
    ]),
  );

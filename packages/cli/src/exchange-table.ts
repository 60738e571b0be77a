/** The exchanges of an update with its device, for people. */

import type { Exchange } from "@airlift/protocol/api/schemas";
import { countText } from "@airlift/protocol/lib/count-text";
import { clockText, sizeText, table } from "./text.ts";

/** A table and an empty line; nothing when there are no exchanges. */
export function exchangeTable(exchanges: readonly Exchange[]): string {
  if (exchanges.length === 0) return "";
  const rows = exchanges.map((one) => [
    clockText(one.at, Date.now()),
    `${one.attempt}`,
    one.request,
    one.answer,
    `${one.tookMs} ms`,
    one.retransmissionCount === 0 ? "-" : `${one.retransmissionCount}`,
    one.transfer === null ? "" : transferText(one.transfer),
  ]);
  return `${table(["TIME", "ATTEMPT", "ASKED", "ANSWER", "TOOK", "RETRANSMITTED", "TRANSFER"], rows)}\n`;
}

const transferText = ({ bytes, blockCount, rateBps }: NonNullable<Exchange["transfer"]>): string =>
  `${sizeText(bytes)} in ${countText(blockCount, "block")}, ${sizeText(rateBps)}/s`;

/** `airlift gateway list`, `add`, `remove`, `airtime`: the gateways that a server knows. */

import { gatewayTroubles } from "@airlift/protocol/api/gateway-troubles";
import { AirtimeSeries, CreatedGateway, Gateway, type NewGateway } from "@airlift/protocol/api/mesh";
import { subBandNamed } from "@airlift/protocol/zmesh/regions";
import { WIRED } from "@airlift/protocol/zmesh/sub-band-name";
import type { Command } from "commander";
import { NOTHING, postOf, segment } from "../client.ts";
import { clientOf, collected, printResult, say, share, wholeNumber } from "../terminal.ts";
import { agoText, pairs, table } from "../text.ts";

interface AddOptions {
  readonly cell: readonly string[];
  readonly subBand?: string;
  readonly rate?: number;
  readonly lossShare?: number;
}

/** Adds the commands below `airlift gateway`, which by itself runs one. */
export function registerGatewayAdmin(program: Command): void {
  const gateway = program.commands.find((one) => one.name() === "gateway") ?? program.command("gateway");
  gateway
    .command("list")
    .description("list the gateways that the server knows")
    .action(async (_: unknown, command: Command) => {
      const gateways = await clientOf(command).all("gateways", Gateway);
      printResult(
        command,
        gateways,
        () =>
          table(["ID", "CELLS", "BAND", "ONLINE", "USED / BUDGET", "ORDERS", "SEEN"], gateways.map(lineOf)) +
          gateways.map(troublesOf).join(""),
      );
    });
  gateway
    .command("add <id>")
    .description("add one; the token for it is printed this once")
    .requiredOption("--cell <name>", "a cell whose devices hear it; may be given again", collected)
    .option("--sub-band <name>", "where it sends (default: 868.0-868.6)")
    .option("--rate <bps>", "bits a second on air", wholeNumber(1))
    .option("--loss-share <share>", "share of packets that a device there is taken to lose", share(0.9))
    .action(async (id: string, { cell, subBand: band, rate, lossShare: loss }: AddOptions, command: Command) => {
      const asked: NewGateway = {
        id,
        cells: [...cell],
        ...(band !== undefined && { band }),
        ...(rate !== undefined && { rateBps: rate }),
        ...(loss !== undefined && { loss }),
      };
      const created = await clientOf(command).call("gateways", CreatedGateway, postOf(asked));
      if (created.band !== WIRED && subBandNamed(created.band) === undefined)
        say(`${created.band} is in no built-in table: the gateway wants one of its own, --regions`);
      say("the token is good for this gateway alone, and is not shown again");
      printResult(command, created, () =>
        pairs([
          ["gateway", created.id],
          ["token", created.token],
        ]),
      );
    });
  gateway
    .command("remove <id>")
    .description("remove one, with its orders; revoke its token as well")
    .action(async (id: string, _: unknown, command: Command) => {
      await clientOf(command).call(`gateways/${segment(id)}`, NOTHING, { method: "DELETE" });
      printResult(command, { removed: id }, () => `${id} is removed\n`);
    });
  registerAirtime(gateway);
}

function registerAirtime(gateway: Command): void {
  gateway
    .command("airtime <id>")
    .description("airtime used in the sliding window, minute by minute")
    .option("--hours <count>", "how far back", wholeNumber(1), 1)
    .action(async (id: string, { hours }: { readonly hours: number }, command: Command) => {
      const path = `gateways/${segment(id)}/airtime?hours=${hours}`;
      const series = await clientOf(command).call(path, AirtimeSeries);
      printResult(command, series, () =>
        table(
          ["BAND", "MINUTE", "USED s", "OF s"],
          series.items.flatMap(({ band, budgetMs, points }) =>
            points.map(({ at, usedMs }) => [band, at.slice(11, 16), seconds(usedMs), seconds(budgetMs)]),
          ),
        ),
      );
    });
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

function lineOf(one: Gateway): string[] {
  const ledger = one.state?.ledgers.find(({ band }) => band === one.band);
  return [
    one.id,
    one.cells.join(", "),
    one.band,
    one.isOnline ? "yes" : "no",
    ledger === undefined ? "-" : `${seconds(ledger.usedMs)} / ${seconds(ledger.budgetMs)} s`,
    `${one.orderCount}`,
    one.seenAt === null ? "never" : agoText(one.seenAt, Date.now()),
  ];
}

/** A line for each. */
const troublesOf = ({ id, state }: Gateway): string =>
  state === null
    ? ""
    : gatewayTroubles(state)
        .map(({ sentence }) => `${id} ${sentence}\n`)
        .join("");

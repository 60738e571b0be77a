/** `airlift gateway`: the radio edge, until it is told to stop. */
import { readFileSync } from "node:fs";
import { diskFailureOf } from "@airlift/gateway/edge/disk-failure";
import { Gateway, networkKeyOf } from "@airlift/gateway/edge/gateway";
import { WIRED_BAND } from "@airlift/gateway/edge/wired-band";
import { lossyLink } from "@airlift/gateway/links/lossy-link";
import { planLink } from "@airlift/gateway/links/open-link";
import { GatewayId } from "@airlift/protocol/api/gateway";
import { UsageError } from "@airlift/protocol/lib/errors";
import { decodeRegion } from "@airlift/protocol/zmesh/region-file";
import { DEFAULT_SUB_BAND, SUB_BANDS, type SubBand } from "@airlift/protocol/zmesh/regions";
import { type Command, Option } from "commander";
import { pino } from "pino";
import { beginAgainIfCompiled } from "../fresh-start.ts";
import { LARGEST_TRIED_LOSS, printResult, share } from "../terminal.ts";

interface GatewayFlags {
  readonly server?: string;
  readonly token?: string;
  readonly id?: string;
  readonly link?: readonly string[];
  readonly data: string;
  readonly networkKey?: string;
  readonly networkKeyFile?: string;
  readonly band?: string;
  readonly regions?: string;
  readonly loss: number;
  readonly logLevel: string;
}

export function registerGateway(program: Command): void {
  program
    .command("gateway")
    .description("run the radio edge of a mesh: take a server's sessions to the air, within the law")
    .addOption(new Option("--server <url>", "the server's address, https://HOST[:PORT]").env("AIRLIFT_URL"))
    .addOption(new Option("--token <token>", "its token at the server").env("AIRLIFT_TOKEN"))
    .option("--id <name>", "its name at the server")
    .option("--link <uri...>", "udp://GROUP:PORT[?interface=NAME], kiss:/dev/ttyUSB0[?baud=N], kiss+tcp://HOST:PORT")
    .option("--data <dir>", "its own folder: ledger, sessions, contents", ".airlift-gateway")
    .addOption(new Option("--network-key <hex>", "key of the mesh, 32 hex digits").env("AIRLIFT_NETWORK_KEY"))
    .option("--network-key-file <file>", "file with that key")
    .option("--band <name>", `sub-band it sends in, such as 868.0-868.6; wired for links that are no radio`)
    .option("--regions <file>", "table of sub-bands as JSON, in place of the built-in one")
    .option("--loss <share>", "lose this share of what is heard, to try a bad link", share(LARGEST_TRIED_LOSS), 0)
    .addOption(
      new Option("--log-level <level>", "what to log on stderr")
        .choices(["debug", "info", "warn", "error", "silent"])
        .default("info")
        .env("AIRLIFT_LOG_LEVEL"),
    )
    .action(async (_: unknown, command: Command) => run(command.optsWithGlobals<GatewayFlags>(), command));
}

async function run(flags: GatewayFlags, command: Command): Promise<void> {
  const options = readOptions(flags);
  beginAgainIfCompiled();
  try {
    await runUntilStopped(options, flags, command);
  } catch (error) {
    throw diskFailureOf(error, options.dataDir) ?? error;
  }
}

/** @throws What the server has against it, and the errors of node:fs. */
async function runUntilStopped(options: ReturnType<typeof readOptions>, flags: GatewayFlags, command: Command) {
  const log = pino({ level: flags.logLevel }, pino.destination({ dest: 2, sync: true }));
  const stopped = untilStopped();
  const opened = await Promise.all(options.plans.map((plan) => plan.open()));
  const links = options.loss > 0 ? opened.map((link) => lossyLink(link, options.loss)) : opened;
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const { id, serverUrl, token, dataDir, networkKey, band } = options;
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  const gateway = Gateway.open({
    onRefused: fail,
    id,
    serverUrl,
    links,
    dataDir,
    networkKey,
    band,
    version,
    log,
    ...(token !== undefined && { token }),
  });
  await gateway.start();
  const uris = links.map(({ uri }) => uri);
  printResult(
    command,
    { id, band: band.name, links: uris },
    () => `gateway ${id} sends in ${band.name} over ${uris.join(", ")}\n`,
  );
  // A timer that could not keep what it had to has nobody to tell.
  process.on("uncaughtException", (error) => {
    if (diskFailureOf(error, dataDir) === undefined) throw error;
    fail(error);
  });
  await Promise.race([stopped, failed]).finally(() => gateway.close());
}

/** @throws {UsageError} OPTIONS, a line for each mistake. */
function readOptions(flags: GatewayFlags) {
  const mistakes: string[] = [];
  const attempt = <Value>(read: () => Value): Value | undefined => {
    try {
      return read();
    } catch (error) {
      mistakes.push(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  };
  if (!/^https?:\/\//.test(flags.server ?? "") || !URL.canParse(flags.server ?? ""))
    mistakes.push("--server: https://HOST[:PORT] is missing");
  if (!GatewayId.safeParse(flags.id).success)
    mistakes.push("--id: its name at the server is missing, or none that a gateway has there");
  if ((flags.link ?? []).length === 0) mistakes.push("--link is missing");
  const plans = (flags.link ?? []).flatMap((uri) => attempt(() => planLink(uri)) ?? []);
  const keyText = attempt(() =>
    flags.networkKeyFile === undefined ? flags.networkKey : readFileSync(flags.networkKeyFile, "utf8"),
  );
  const networkKey = networkKeyOf(keyText ?? "");
  if (!networkKey) mistakes.push("--network-key: 32 hex digits");
  const isWired = plans.every((plan) => plan.isWired);
  const band = attempt(() => bandOf(flags, isWired));
  if (mistakes.length > 0 || !band || !networkKey) throw new UsageError("OPTIONS", mistakes.join("\n"), { mistakes });
  return {
    plans,
    band,
    networkKey,
    loss: flags.loss,
    dataDir: flags.data,
    id: flags.id ?? "",
    serverUrl: flags.server ?? "",
    token: flags.token,
  };
}

/** A radio has a law; a link that is none may do without. @throws {UsageError} `BAND` */
function bandOf(flags: GatewayFlags, isWired: boolean): SubBand {
  const { band: name = isWired ? WIRED_BAND.name : DEFAULT_SUB_BAND } = flags;
  if (name === WIRED_BAND.name && isWired) return WIRED_BAND;
  if (name === WIRED_BAND.name)
    throw new UsageError(
      "BAND",
      `--band ${name}: for links that are no radio, udp:// alone; a modem sends in a sub-band of the law, such as ${DEFAULT_SUB_BAND}`,
    );
  const bands = flags.regions === undefined ? SUB_BANDS : decodeRegion(readFileSync(flags.regions, "utf8"));
  const band = bands.find((one) => one.name === name);
  if (!band) throw new UsageError("BAND", `--band ${name}: not one of ${bands.map((one) => one.name).join(", ")}`);
  if (band.scope === "channel")
    throw new UsageError(
      "BAND",
      `--band ${name}: its limit is for each channel, and the links here do not say which they use`,
    );
  return band;
}

/** Resolves with the first request to stop; a second one ends the process at once. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}

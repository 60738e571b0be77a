/** `airlift fleet`: many simulated devices in one process. */

import { DEFAULT_AGENT_LIFETIME_S } from "@airlift/device/agent-options";
import { credentialMistakes, type ServerCredentials } from "@airlift/device/credentials";
import { parsePackageUri } from "@airlift/device/transfer/package-uri";
import { countText } from "@airlift/protocol/lib/count-text";
import { LWM2M_VERSIONS, MAX_LIFETIME_S } from "@airlift/protocol/lwm2m/registration";
import { Fleet, type FleetOptions, type FleetSummary } from "@airlift/sim/node/fleet";
import type { TemperShares } from "@airlift/sim/node/temper";
import { seeded } from "@airlift/sim/world";
import type { Command } from "commander";
import { readFleetCredentials } from "../device/credential-options.ts";
import { OptionReader } from "../device/device-options.ts";

interface RawFleetOptions {
  readonly count?: string;
  readonly server?: string;
  readonly credentials?: string;
  readonly endpoint: string;
  readonly version: string;
  readonly lifetime: string;
  readonly lwm2m: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly methods: string;
  readonly loss: string;
  readonly failShare: string;
  readonly silentShare: string;
  readonly fallBackShare: string;
  readonly slowShare: string;
  readonly sleepShare: string;
  readonly powerLossShare: string;
  readonly seed?: string;
  readonly json?: boolean;
}

const MAX_COUNT = 100_000;
const SUMMARY_EVERY_MS = 1_000;

export function registerFleet(program: Command): void {
  program
    .command("fleet")
    .description("simulate a fleet of devices in one process")
    .option("--count <number>", "how many devices")
    .option("--server <uri>", "coap[s][+tcp]://HOST[:PORT]")
    .option("--credentials <file>", "a line for each device: ENDPOINT PSK-IDENTITY PSK-KEY in hex")
    .option("--endpoint <prefix>", "endpoint names are PREFIX-1, PREFIX-2, …", "sim")
    .option("--version <version>", "of the firmware they were made with", "1.0.0")
    .option("--lifetime <seconds>", "lifetime of each registration", String(DEFAULT_AGENT_LIFETIME_S))
    .option("--lwm2m <version>", "1.0, 1.1 or 1.2", "1.1")
    .option("--manufacturer <name>", "as /3/0/0 tells it", "Airlift")
    .option("--model <name>", "as /3/0/1 tells it", "virtual")
    .option("--methods <methods>", "how firmware may come: push, pull or both", "both")
    .option("--loss <share>", "share of all datagrams that is lost", "0")
    .option("--fail-share <share>", "share of updates that go wrong", "0")
    .option("--silent-share <share>", "share of devices that never come back from their first installation", "0")
    .option("--fall-back-share <share>", "share of devices on which no new image starts", "0")
    .option("--slow-share <share>", "share of devices with a slow flash and a slow start", "0")
    .option("--sleep-share <share>", "share of devices that register in queue mode", "0")
    .option("--power-loss-share <share>", "share of devices that lose power once in each download", "0")
    .option("--seed <number>", "repeats the chances of an earlier run")
    .option("--json", "one JSON document a line on stdout")
    .action(async (_: unknown, command: Command) => {
      const raw = command.optsWithGlobals<RawFleetOptions>();
      await run(readFleetOptions(raw), raw.json === true);
    });
}

/** @throws {UsageError} OPTIONS, a line for each mistake. */
function readFleetOptions(raw: RawFleetOptions): FleetOptions {
  const reader = new OptionReader();
  const seed = raw.seed === undefined ? Date.now() : reader.integer("seed", raw.seed, [0, 2 ** 32 - 1]);
  const count = reader.text("count", raw.count);
  const server = reader.server("server", raw.server);
  const credentials = raw.credentials === undefined ? undefined : readFleetCredentials(raw.credentials, reader);
  if (credentials === undefined) reader.credentials(server, {});
  const options: FleetOptions = {
    count: count === "" ? 0 : reader.integer("count", count, [1, MAX_COUNT]),
    server,
    ...(credentials && { credentialsOf: (endpoint: string) => credentials.get(endpoint) }),
    endpointPrefix: reader.text("endpoint", raw.endpoint),
    version: reader.text("version", raw.version),
    lifetimeS: reader.integer("lifetime", raw.lifetime, [1, MAX_LIFETIME_S]),
    lwm2mVersion: reader.choice("lwm2m", raw.lwm2m, LWM2M_VERSIONS),
    manufacturer: reader.text("manufacturer", raw.manufacturer),
    model: reader.text("model", raw.model),
    methods: reader.choice("methods", raw.methods, ["both", "push", "pull"]),
    loss: reader.share("loss", raw.loss),
    failShare: reader.share("fail-share", raw.failShare),
    tempers: readTempers(raw, reader),
    random: seeded(seed),
  };
  if (credentials) checkCredentials(options, credentials, reader);
  reader.assertNone();
  return options;
}

function readTempers(raw: RawFleetOptions, reader: OptionReader): TemperShares {
  const shares = {
    silent: reader.share("silent-share", raw.silentShare),
    fallsBack: reader.share("fall-back-share", raw.fallBackShare),
    slow: reader.share("slow-share", raw.slowShare),
    sleeping: reader.share("sleep-share", raw.sleepShare),
    losesPower: reader.share("power-loss-share", raw.powerLossShare),
  };
  const sum = Object.values(shares).reduce((total, share) => total + share, 0);
  if (sum > 1) reader.mistakes.push("--…-share: together they are more than the whole fleet");
  return shares;
}

/** Each device of the fleet has its own. */
function checkCredentials(
  { count, endpointPrefix, server }: FleetOptions,
  credentials: ReadonlyMap<string, ServerCredentials>,
  reader: OptionReader,
): void {
  const names = Array.from({ length: count || 0 }, (_, index) => `${endpointPrefix}-${index + 1}`);
  const missing = names.filter((name) => !credentials.has(name));
  if (missing.length > 0)
    reader.mistakes.push(`--credentials: none for ${missing[0]} and ${countText(missing.length - 1, "other")}`);
  const scheme = parsePackageUri(server)?.scheme;
  const wrong = scheme && [...credentials.values()].flatMap((each) => credentialMistakes(scheme, each));
  if (wrong && wrong.length > 0) reader.mistakes.push(`--credentials: ${wrong[0]}`);
}

async function run(options: FleetOptions, json: boolean): Promise<void> {
  const fleet = new Fleet(options);
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  const tell = createTeller(json);
  const timer = setInterval(() => tell(fleet.summary), SUMMARY_EVERY_MS);
  try {
    await Promise.race([fleet.start(), stopped]);
    await stopped;
  } finally {
    clearInterval(timer);
    tell(fleet.summary);
    await fleet.stop();
    if (!json && process.stderr.isTTY) process.stderr.write("\n");
  }
}

/** On a terminal one line that changes, elsewhere a line whenever something has. */
function createTeller(json: boolean): (summary: FleetSummary) => void {
  let told = "";
  return (summary) => {
    const text = json ? JSON.stringify(summary) : sentenceOf(summary);
    if (text === told) return;
    told = text;
    if (json) process.stdout.write(`${text}\n`);
    else process.stderr.write(process.stderr.isTTY ? `\r\x1b[2K${text}` : `${text}\n`);
  };
}

function sentenceOf({ count, registered, states, results, versions }: FleetSummary): string {
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .filter(([, number]) => number > 0)
      .map(([name, number]) => `${number} ${name}`)
      .join(", ");
  const outcomes = list(results as Record<string, number>);
  return `${registered}/${count} registered · ${list(states)}${outcomes && ` · ${outcomes}`} · runs ${list(versions)}`;
}

/** What `airlift device` was told, checked as a whole: every mistake is one line. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PULL_SCHEMES, SERVER_SCHEMES } from "@airlift/device/agent-options";
import { credentialMistakes, type ServerCredentials } from "@airlift/device/credentials";
import type { DeliveryMethods } from "@airlift/device/objects/firmware-object";
import { type PullScheme, parsePackageUri } from "@airlift/device/transfer/package-uri";
import { LABEL_RULE, label } from "@airlift/protocol/api/schemas";
import type { PublicKey } from "@airlift/protocol/image/crypto-port";
import type { Trust } from "@airlift/protocol/image/verify";
import { UsageError } from "@airlift/protocol/lib/errors";
import { LWM2M_VERSIONS, type Lwm2mVersion, MAX_LIFETIME_S } from "@airlift/protocol/lwm2m/registration";
import { loadPublicKey } from "@airlift/runtime/crypto";
import { type RawCredentialOptions, readCredentials } from "./credential-options.ts";

/** As the command line gives them: texts and flags. */
interface RawRunOptions {
  readonly endpoint?: string;
  readonly server?: string;
  readonly bootstrap?: string;
  readonly slots?: string;
  readonly version: string;
  readonly lifetime: string;
  readonly lwm2m: string;
  readonly queueMode?: boolean;
  readonly trust?: readonly string[];
  readonly allowUnsigned?: boolean;
  readonly manufacturer: string;
  readonly model: string;
  readonly blockSize?: string;
  readonly methods: string;
  readonly protocols: string;
  readonly loss: string;
  readonly ackTimeout: string;
  readonly json?: boolean;
}

export interface RawDeviceOptions extends RawRunOptions, RawCredentialOptions {}

export interface DeviceOptions {
  readonly endpoint: string;
  readonly server: string;
  /** Whether that is a bootstrap server, and the credentials are the factory's. */
  readonly isBootstrapped: boolean;
  readonly credentials: ServerCredentials | undefined;
  readonly slots: string;
  /** Of the firmware that the device was made with. */
  readonly version: string;
  readonly lifetimeS: number;
  readonly lwm2mVersion: Lwm2mVersion;
  readonly queueMode: boolean;
  readonly trust: Trust;
  readonly manufacturer: string;
  readonly model: string;
  readonly blockBytes: number | undefined;
  readonly methods: DeliveryMethods;
  readonly pullSchemes: readonly PullScheme[];
  readonly ackTimeoutMs: number;
  /** Share of datagrams to lose, 0 … 1. */
  readonly loss: number;
  readonly json: boolean;
}

/** Takes options apart; collects a line for each that is wrong. */
export class OptionReader {
  readonly mistakes: string[] = [];

  text(name: string, text: string | undefined): string {
    if (text === undefined || text === "") this.mistakes.push(`--${name} is missing`);
    return text ?? "";
  }

  /** What images are for: an image with another one could not even be added. */
  label(name: string, text: string): string {
    if (!label.safeParse(text).success) this.mistakes.push(`--${name}: ${LABEL_RULE}`);
    return text;
  }

  /** `coap://host[:port]`, also with coaps, coap+tcp or coaps+tcp. */
  server(name: string, text: string | undefined): string {
    const server = this.text(name, text);
    const parts = parsePackageUri(server);
    if (server !== "" && (!parts || !SERVER_SCHEMES.includes(parts.scheme) || parts.pathAndQuery !== "/")) {
      this.mistakes.push(`--${name} ${server}: not coap[s][+tcp]://HOST[:PORT]`);
    }
    return server;
  }

  /** What the device proves itself with to the server at `uri`. */
  credentials(uri: string, raw: RawCredentialOptions): ServerCredentials | undefined {
    const { credentials, mistakes } = readCredentials(raw, process.env);
    this.mistakes.push(...mistakes);
    const parts = parsePackageUri(uri);
    if (parts && mistakes.length === 0) this.mistakes.push(...credentialMistakes(parts.scheme, credentials));
    return credentials;
  }

  integer(name: string, text: string, [least, most]: readonly [number, number]): number {
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most))
      this.mistakes.push(`--${name} ${text}: not a whole number ${least} … ${most}`);
    return value;
  }

  /** 0 … below 1 */
  share(name: string, text: string): number {
    const value = /^[0-9]*\.?[0-9]+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= 0 && value < 1)) this.mistakes.push(`--${name} ${text}: not a share 0 … 0.99`);
    return value;
  }

  choice<const Choice extends string>(name: string, text: string, choices: readonly Choice[]): Choice {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) this.mistakes.push(`--${name} ${text}: not one of ${choices.join(", ")}`);
    return found ?? (choices[0] as Choice);
  }

  /** Separated by commas, at least one. */
  choices<const Choice extends string>(name: string, text: string, choices: readonly Choice[]): Choice[] {
    return text.split(",").map((one) => this.choice(name, one, choices));
  }

  blockBytes(text: string | undefined): number | undefined {
    if (text === undefined) return undefined;
    const isKnown = ["16", "32", "64", "128", "256", "512", "1024"].includes(text);
    if (!isKnown) this.mistakes.push(`--block-size ${text}: not one of 16, 32, 64, 128, 256, 512, 1024`);
    return isKnown ? Number(text) : undefined;
  }

  trust(files: readonly string[], allowUnsigned: boolean): Trust {
    if (files.length > 0 && allowUnsigned) this.mistakes.push("--trust and --allow-unsigned exclude each other");
    else if (files.length === 0 && !allowUnsigned)
      this.mistakes.push("--trust KEY.pub.pem or --allow-unsigned is missing");
    if (allowUnsigned) return "allow-unsigned";
    return files.flatMap((file) => this.#key(file));
  }

  /** @throws {UsageError} OPTIONS, a line for each mistake. */
  assertNone(): void {
    const { mistakes } = this;
    if (mistakes.length > 0) throw new UsageError("OPTIONS", mistakes.join("\n"), { mistakes });
  }

  #key(file: string): PublicKey[] {
    try {
      return [loadPublicKey(readFileSync(file, "utf8"))];
    } catch (error) {
      this.mistakes.push(`--trust ${file}: ${error instanceof Error ? error.message : String(error)}`);
      return [];
    }
  }
}

/** @throws {UsageError} OPTIONS, a line for each mistake. */
export function readDeviceOptions(raw: RawDeviceOptions): DeviceOptions {
  const reader = new OptionReader();
  const endpoint = reader.text("endpoint", raw.endpoint);
  if (new TextEncoder().encode(endpoint).length > 252) reader.mistakes.push("--endpoint: longer than 252 octets");
  if (raw.server !== undefined && raw.bootstrap !== undefined)
    reader.mistakes.push("--server and --bootstrap exclude each other");
  const isBootstrapped = raw.bootstrap !== undefined;
  const server = isBootstrapped ? reader.server("bootstrap", raw.bootstrap) : reader.server("server", raw.server);
  const options: DeviceOptions = {
    endpoint,
    server,
    isBootstrapped,
    credentials: reader.credentials(server, raw),
    slots: raw.slots ?? join("airlift-slots", encodeURIComponent(endpoint)),
    version: reader.text("version", raw.version),
    lifetimeS: reader.integer("lifetime", raw.lifetime, [1, MAX_LIFETIME_S]),
    lwm2mVersion: reader.choice("lwm2m", raw.lwm2m, LWM2M_VERSIONS),
    queueMode: raw.queueMode ?? false,
    trust: reader.trust(raw.trust ?? [], raw.allowUnsigned ?? false),
    manufacturer: reader.label("manufacturer", raw.manufacturer),
    model: reader.label("model", raw.model),
    blockBytes: reader.blockBytes(raw.blockSize),
    methods: reader.choice("methods", raw.methods, ["both", "push", "pull"]),
    pullSchemes: reader.choices("protocols", raw.protocols, PULL_SCHEMES),
    ackTimeoutMs: reader.integer("ack-timeout", raw.ackTimeout, [10, 60_000]),
    loss: reader.share("loss", raw.loss),
    json: raw.json ?? false,
  };
  reader.assertNone();
  return options;
}

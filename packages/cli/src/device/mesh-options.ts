/** What `airlift mesh device` and `airlift mesh fleet` are told alike, checked as a whole: every mistake is one line. */
import { readFileSync } from "node:fs";
import { networkKeyOf } from "@airlift/gateway/edge/gateway";
import { type LinkPlan, planLink } from "@airlift/gateway/links/open-link";
import { LABEL_RULE, label } from "@airlift/protocol/api/schemas";
import type { PublicKey } from "@airlift/protocol/image/crypto-port";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { TargetDevice } from "@airlift/protocol/zmesh/target";
import { NO_TRIAD, triadOf } from "@airlift/protocol/zmesh/version-triad";
import { loadPublicKey } from "@airlift/runtime/crypto";
import { type Command, Option } from "commander";
import { LARGEST_TRIED_LOSS, share, wholeNumber } from "../terminal.ts";

/** A day: no device is so long without a word. */
const LONGEST_SPREAD_MS = 86_400_000;

/** As the command line gives them. */
export interface RawMeshOptions {
  readonly link?: string;
  readonly networkKey?: string;
  readonly networkKeyFile?: string;
  readonly slots?: string;
  readonly trust?: readonly string[];
  readonly allowUnsigned?: boolean;
  readonly version: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly hardware: string;
  readonly pull?: boolean;
  readonly loss: number;
  readonly newsSpread: number;
  readonly json?: boolean;
}

export interface MeshOptions {
  readonly plan: LinkPlan;
  readonly networkKey: Uint8Array;
  readonly target: Omit<TargetDevice, "version" | "securityCounter">;
  readonly trust: readonly PublicKey[] | "allow-unsigned";
  /** Of the firmware that the device was made with. */
  readonly version: string;
  readonly pulls: boolean;
  /** Share of frames that are not heard, 0 … below 1. */
  readonly loss: number;
  readonly newsSpreadMs: number;
}

export function addMeshOptions(command: Command): Command {
  return command
    .option("--link <uri>", "udp://GROUP:PORT[?interface=NAME], kiss:/dev/ttyUSB0 or kiss+tcp://HOST:PORT")
    .addOption(new Option("--network-key <hex>", "key of the mesh, 32 hex digits").env("AIRLIFT_NETWORK_KEY"))
    .option("--network-key-file <file>", "file with that key")
    .option("--trust <key.pub.pem...>", "keys whose manifests count")
    .option("--allow-unsigned", "take images without a manifest")
    .option("--version <version>", "version of the firmware it was made with", "1.0.0")
    .option("--manufacturer <name>", "who made it", "Airlift")
    .option("--model <name>", "what it is", "virtual")
    .option("--hardware <revision>", "its hardware revision", "1")
    .option("--pull", "ask for packets that are missing, instead of waiting for the broadcast")
    .option("--loss <share>", "lose this share of what is heard, to try a bad link", share(LARGEST_TRIED_LOSS), 0)
    .option("--news-spread <ms>", "time over which devices spread their news", wholeNumber(0, LONGEST_SPREAD_MS), 5000);
}

/** Collects what is wrong, so that all of it is told at once. */
export class Mistakes {
  readonly #lines: string[] = [];

  add(line: string): void {
    this.#lines.push(line);
  }

  attempt<Value>(read: () => Value): Value | undefined {
    try {
      return read();
    } catch (error) {
      this.add(error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  /** @throws {UsageError} OPTIONS, a line for each mistake. */
  assertNone(): void {
    if (this.#lines.length > 0) throw new UsageError("OPTIONS", this.#lines.join("\n"), { mistakes: this.#lines });
  }
}

/** What is wrong goes to `mistakes`; then the result is of no use. */
export function readMeshOptions(flags: RawMeshOptions, mistakes: Mistakes): MeshOptions {
  const { networkKey: keyText, networkKeyFile, allowUnsigned = false } = flags;
  const text = mistakes.attempt(() => (networkKeyFile === undefined ? keyText : readFileSync(networkKeyFile, "utf8")));
  const networkKey = networkKeyOf(text ?? "");
  if (networkKey === undefined) mistakes.add("--network-key: 32 hex digits");
  const keys = (flags.trust ?? []).flatMap(
    (file) => mistakes.attempt(() => loadPublicKey(readFileSync(file, "utf8"))) ?? [],
  );
  if ((flags.trust ?? []).length > 0 === allowUnsigned)
    mistakes.add("--trust KEY.pub.pem or --allow-unsigned: one of the two");
  const plan = mistakes.attempt(() => planLink(flags.link ?? ""));
  for (const name of ["manufacturer", "model", "hardware"] as const)
    if (!label.safeParse(flags[name]).success) mistakes.add(`--${name}: ${LABEL_RULE}`);
  if (triadOf(flags.version) === undefined) mistakes.add(`--version ${flags.version}: ${NO_TRIAD}`);
  return {
    plan: plan as LinkPlan,
    networkKey: networkKey as Uint8Array,
    target: { manufacturer: flags.manufacturer, model: flags.model, hardwareRevision: flags.hardware },
    trust: allowUnsigned ? "allow-unsigned" : keys,
    version: flags.version,
    pulls: flags.pull === true,
    loss: flags.loss,
    newsSpreadMs: flags.newsSpread,
  };
}

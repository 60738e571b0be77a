/** `airlift mesh pack`: all messages that carry an image over a Z-Mesh network. */
import { readFile } from "node:fs/promises";
import { UsageError } from "@airlift/protocol/lib/errors";
import {
  DEFAULT_MTU_BYTES,
  ENC_TYPE,
  isUnusualMtu,
  kindOfSeq,
  largestRepair,
  seqOfRepair,
} from "@airlift/protocol/zmesh/chunking";
import { AT_ONCE } from "@airlift/protocol/zmesh/instant";
import type { PackedContent } from "@airlift/protocol/zmesh/packed-content";
import { packRelease } from "@airlift/protocol/zmesh/release";
import { encodeSchedule } from "@airlift/protocol/zmesh/schedule";
import { NO_TRIAD, triadOf } from "@airlift/protocol/zmesh/version-triad";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { type Command, Option } from "commander";
import { formatLine, hexOf, type KeyOptions, keyPairOf, type MessageLine, unreadableFile } from "../mesh-lines.ts";
import { say, wholeNumber } from "../terminal.ts";

interface Options extends KeyOptions {
  readonly manufacturer: string;
  readonly model: string;
  readonly version: string;
  readonly mtu: number;
  readonly enc: keyof typeof ENC_TYPE;
  readonly time: number;
  readonly repair: number;
}

export function registerMeshPack(mesh: Command): void {
  mesh
    .command("pack <image>")
    .description("print the messages of an image, one line of JSON each: schedule, begin, data, end, repair")
    .requiredOption("--manufacturer <name>", "who makes the device")
    .requiredOption("--model <name>", "the device's model")
    .requiredOption("--version <version>", "the version that runs after the update")
    .option("--mtu <bytes>", "payload bytes of a radio packet, 40 to 1024", wholeNumber(1), DEFAULT_MTU_BYTES)
    .addOption(new Option("--enc <type>", "encryption").choices(Object.keys(ENC_TYPE)).default("ctr"))
    .option("--key <hex>", "16 bytes; drawn anew by default. Never use one again for another image", hexOf(16))
    .option("--iv <hex>", "9 bytes, the first bit 0", hexOf(9))
    .option("--time <ms>", "when the first packet is sent, Unix milliseconds; 0 = on request", wholeNumber(0), AT_ONCE)
    .option("--repair <count>", "parity messages to add", wholeNumber(0), 0)
    .action(async (file: string, options: Options) => {
      const content = pack(await read(file), options);
      for (const line of linesOf(content, options)) process.stdout.write(formatLine(line));
      if (isUnusualMtu(content.mtuBytes))
        say(`an MTU of ${content.mtuBytes} is outside 48 … 104: check what your radios can hold`);
      if (triadOf(options.version) === undefined) say(`no device can say that it runs ${options.version}: ${NO_TRIAD}`);
      say(options.enc === "none" ? "not encrypted" : "the schedule carries the key: keep it secret");
    });
}

function pack(image: Uint8Array, options: Options): PackedContent {
  const { manufacturer, model, version, mtu, enc, repair } = options;
  const encType = ENC_TYPE[enc];
  const keys = keyPairOf(options) ?? (enc === "none" ? NO_KEYS : undefined);
  const input = { identity: { manufacturer, model, version }, image, ...(keys && { keys }) };
  // Who asks for `--enc none` has allowed it.
  const how = { mtuBytes: mtu, encType, isPlainAllowed: enc === "none", repairCount: repair };
  const { image: content } = packRelease(input, how, zmeshCrypto);
  if (repair > largestRepair(content.dataCount)) throw new UsageError("REPAIR_COUNT", "SEQ cannot number so many");
  return content;
}

function* linesOf(content: PackedContent, { time, repair }: Options): Generator<MessageLine> {
  yield { kind: "schedule", seq: null, bytes: encodeSchedule(content.scheduleAt(time)) };
  const lastSeq = seqOfRepair(content.dataCount, repair);
  for (let seq = 0; seq <= lastSeq; seq += 1) {
    yield { kind: kindOfSeq(seq, content.dataCount), seq, bytes: content.payloadAt(seq) };
  }
}

const NO_KEYS = { key: new Uint8Array(16), iv: new Uint8Array(9) };

async function read(file: string): Promise<Uint8Array> {
  return await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw unreadableFile(file, error);
  });
}

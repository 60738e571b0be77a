/** `airlift mesh unpack`: the image out of messages, in any order, as long as there are enough of them. */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { EnvironmentError, PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { ENC_TYPE } from "@airlift/protocol/zmesh/chunking";
import { ContentAssembly, type HeardMessage } from "@airlift/protocol/zmesh/content-assembly";
import type { ContentKeys } from "@airlift/protocol/zmesh/content-cipher";
import { NAME_BYTES } from "@airlift/protocol/zmesh/content-name";
import { BEGIN_BYTES, END_BYTES } from "@airlift/protocol/zmesh/messages";
import { Refusals } from "@airlift/protocol/zmesh/refusals";
import { decodeSchedule } from "@airlift/protocol/zmesh/schedule";
import { writeFileAtomically } from "@airlift/runtime/atomic-file";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { Command } from "commander";
import { hexOf, type KeyOptions, keyPairOf, type MessageLine, parseLine, unreadableFile } from "../mesh-lines.ts";
import { printResult, say } from "../terminal.ts";
import { sizeText } from "../text.ts";

interface Options extends KeyOptions {
  readonly out: string;
  readonly name?: Uint8Array;
}

/** Longer lines are no messages: twice the largest MTU in hex, and some room. */
const LARGEST_LINE_CHARS = 4096;

export function registerMeshUnpack(mesh: Command): void {
  mesh
    .command("unpack <file.jsonl>")
    .description("put an image together from the messages that `mesh pack` prints, in any order, parity included")
    .requiredOption("--out <image>", "file for the image")
    .option("--key <hex>", "16 bytes; needed without a schedule among the messages", hexOf(16))
    .option("--iv <hex>", "9 bytes", hexOf(9))
    .option("--name <hex>", "6 bytes on air; needed with --enc ccm and no schedule", hexOf(NAME_BYTES))
    .action(async (file: string, options: Options, command: Command) => {
      const refusals = new Refusals();
      let assembly: ContentAssembly | undefined;
      try {
        const lines = await readLines(file, refusals);
        if (lines.length === 0) throw new PeerError("NO_MESSAGES", `${file}: there is no message in this file`);
        const keys = keysOf(lines, options, refusals);
        assembly = new ContentAssembly(keys, zmeshCrypto);
        const { bytes, dataCount, repairedCount, isDigestChecked } = assembly.assemble(lines.flatMap(messageOf));
        await writeFileAtomically(options.out, bytes, { mode: 0o644 }).catch((cause: Error) => {
          throw new EnvironmentError("FILE_WRITE", `${options.out} cannot be written: ${cause.message}`, {}, { cause });
        });
        const result = {
          file: options.out,
          sizeBytes: bytes.length,
          packets: dataCount,
          repaired: repairedCount,
          isDigestChecked,
        };
        printResult(
          command,
          result,
          () => `${options.out}  ${sizeText(bytes.length)}, ${repairedCount} of ${dataCount} packets repaired\n`,
        );
        if (keys.encType === ENC_TYPE.none) say("the messages were not encrypted");
        if (!isDigestChecked) say("without an End message only the checksum could be checked");
      } finally {
        for (const [code, count] of [...refusals.counts, ...(assembly?.refusals.counts ?? [])])
          say(`refused ${count}: ${code}`);
      }
    });
}

async function readLines(file: string, refusals: Refusals): Promise<MessageLine[]> {
  const lines: MessageLine[] = [];
  try {
    for await (const line of createInterface({
      input: createReadStream(file, "utf8"),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      if (line.trim() === "") continue;
      const parsed = refusals.guard(() => parseLine(line.slice(0, LARGEST_LINE_CHARS)));
      if (parsed) lines.push(parsed);
    }
  } catch (error) {
    throw unreadableFile(file, error as NodeJS.ErrnoException);
  }
  return lines;
}

/** From the schedule among the messages; what the command line says counts more. */
function keysOf(lines: readonly MessageLine[], options: Options, refusals: Refusals): ContentKeys {
  const pair = keyPairOf(options);
  for (const { kind, bytes } of lines) {
    const schedule = kind === "schedule" ? refusals.guard(() => decodeSchedule(bytes)) : undefined;
    if (schedule) return { ...schedule, ...pair, name: options.name ?? schedule.name };
  }
  if (!pair) throw new UsageError("NO_KEY", "there is no schedule among the messages: give --key and --iv");
  const isTagged = lines.some(
    ({ kind, bytes }) =>
      (kind === "begin" && bytes.length > BEGIN_BYTES) || (kind === "end" && bytes.length > END_BYTES),
  );
  if (isTagged && !options.name)
    throw new UsageError("NO_NAME", "with Enc. Type 2 and no schedule, --name is needed too");
  return { ...pair, encType: isTagged ? ENC_TYPE.ccm : ENC_TYPE.ctr, name: options.name ?? new Uint8Array(NAME_BYTES) };
}

function messageOf({ kind, seq, bytes }: MessageLine): HeardMessage[] {
  return seq === null ? [] : [{ seq, payload: bytes, isEnd: kind === "end" }];
}

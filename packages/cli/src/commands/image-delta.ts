/** `airlift image delta`: what a new image has that an old one has not, as a file or straight into the store. */
import { readFile, writeFile } from "node:fs/promises";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { encodeZstdDelta } from "@airlift/runtime/zstd-delta";
import type { Command } from "commander";
import type { Client } from "../client.ts";
import { uploadDisplay } from "../progress.ts";
import { clientOf, printResult } from "../terminal.ts";
import { printable, shareText, sizeText } from "../text.ts";
import { uploadImage } from "../upload.ts";

interface Options {
  readonly out?: string;
}

export function registerImageDelta(image: Command): void {
  image
    .command("delta <base> <new>")
    .description("make the delta from one image to another, and add it to the store")
    .option("-o, --out <file>", "write it to a file instead; the images may be files then")
    .action(async (base: string, wanted: string, { out }: Options, command: Command) => {
      if (out === undefined) await addDelta(command, base, wanted);
      else await writeDelta(command, { base, wanted, out });
    });
}

async function addDelta(command: Command, base: string, wanted: string): Promise<void> {
  for (const id of [base, wanted])
    if (!isId(id)) throw new UsageError("IMAGE_ID", `${id} is not the id of an image; a delta of files needs --out`);
  const client = clientOf(command);
  const [from, to] = [await client.image(base), await client.image(wanted)];
  const delta = encodeZstdDelta(await client.imageBytes(base), await client.imageBytes(wanted));
  const { manufacturer, model, version, hardware } = to;
  const name = { manufacturer, model, version, hardware };
  const added = await uploadImage(client, new Blob([delta]), { name, ...uploadDisplay() });
  printResult(command, added.delta, () => {
    const named = printable(`${manufacturer} ${model}, from ${from.version} to ${version}`);
    return `${added.delta?.id}  ${named}: ${savingText(delta.length, to.sizeBytes)}\n`;
  });
}

interface Wish {
  readonly base: string;
  readonly wanted: string;
  readonly out: string;
}

async function writeDelta(command: Command, { base, wanted, out }: Wish): Promise<void> {
  const image = await bytesOf(command, wanted);
  const delta = encodeZstdDelta(await bytesOf(command, base), image);
  await writeFile(out, delta).catch((error: NodeJS.ErrnoException) => {
    throw new EnvironmentError("FILE_WRITE", `${out} cannot be written: ${error.message}`, {}, { cause: error });
  });
  const facts = { file: out, sizeBytes: delta.length, share: delta.length / image.length };
  printResult(command, facts, () => `${out}  ${savingText(delta.length, image.length)}\n`);
}

/** A file of that name goes before an image of that id. */
async function bytesOf(command: Command, named: string): Promise<Uint8Array> {
  try {
    return await readFile(named);
  } catch (error) {
    if (!isId(named))
      throw new UsageError("FILE", `${named}: there is no such file, nor is it an image's id`, {}, { cause: error });
    const client: Client = clientOf(command);
    return await client.imageBytes(named);
  }
}

const isId = (text: string): boolean => /^[0-9a-f]{16}$/.test(text);

const savingText = (sizeBytes: number, wholeBytes: number): string =>
  `${sizeText(sizeBytes)}, ${shareText(sizeBytes / wholeBytes)} of the whole image`;

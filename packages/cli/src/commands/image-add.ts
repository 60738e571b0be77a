/** `airlift image add`: uploads firmware, signed on the way when a key is given. */
import { openAsBlob } from "node:fs";
import { access, constants, readFile, stat } from "node:fs/promises";
import type { SigningKey } from "@airlift/protocol/image/crypto-port";
import { inspectImage } from "@airlift/protocol/image/inspect";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { imageInMemory } from "@airlift/protocol/image/reader";
import { parseMcubootVersion } from "@airlift/protocol/image/version";
import { UsageError } from "@airlift/protocol/lib/errors";
import { imageCrypto, loadSigningKey } from "@airlift/runtime/crypto";
import type { Command } from "commander";
import { uploadDisplay } from "../progress.ts";
import { clientOf, collected, printResult, say } from "../terminal.ts";
import { printable, shareText, sizeText } from "../text.ts";
import { uploadImage } from "../upload.ts";

interface Options {
  readonly manufacturer: string;
  readonly model: string;
  readonly version: string;
  readonly hardware?: readonly string[];
  readonly sign?: string;
}

export function registerImageAdd(image: Command): void {
  image
    .command("add <file>")
    .description("add an image to the server's store, or a delta to an image that is there")
    .requiredOption("--manufacturer <name>", "who makes the device, as it says itself in /3/0/0")
    .requiredOption("--model <name>", "the device's model, as it says itself in /3/0/1")
    .requiredOption("--version <version>", "the version that runs after the update, as the device will say in /3/0/3")
    .option("--hardware <revision>", "a hardware revision it runs on; may be repeated; none = any", collected)
    .option("--sign <key.pem>", "make a signed MCUboot image of a raw file with this private key")
    .action(async (file: string, { hardware = [], ...options }: Options, command: Command) => {
      const content =
        options.sign === undefined ? await blobOf(file) : await signed(file, options.sign, options.version);
      const { manufacturer, model, version } = options;
      const name = { manufacturer, model, version, hardware };
      const added = await uploadImage(clientOf(command), content, { name, ...uploadDisplay() });
      for (const warning of added.warnings) say(printable(`warning: ${warning}`));
      printResult(command, added, () => {
        const named = printable(`${added.manufacturer} ${added.model} ${added.version}`);
        const { delta } = added;
        if (delta !== null)
          return `${delta.id}  ${printable(`delta from ${delta.baseVersion} to ${named}`)}, ${sizeText(delta.sizeBytes)}, ${shareText(delta.share)} of the whole image\n`;
        return `${added.id}  ${named}, ${sizeText(added.sizeBytes)}\n`;
      });
    });
}

async function blobOf(file: string): Promise<Blob> {
  const { isFile } = await stat(file).then(
    (found) => ({ isFile: found.isFile() }),
    (error) => unreadable(file, error),
  );
  if (!isFile) throw new UsageError("FILE", `${file} is not a file`);
  await access(file, constants.R_OK).catch((error) => unreadable(file, error));
  return await openAsBlob(file);
}

async function signed(file: string, keyFile: string, version: string): Promise<Blob> {
  const key = await signingKey(keyFile);
  const payload = await readFile(file).catch((error) => unreadable(file, error));
  if (payload.length === 0) throw new UsageError("IMAGE_EMPTY", `${file} is empty`);
  const { format } = await inspectImage(imageInMemory(payload));
  if (format !== "raw")
    throw new UsageError("ALREADY_AN_IMAGE", `${file} is an MCUboot image already: add it without --sign`);
  const image = makeMcubootImage(payload, { version: parseMcubootVersion(version) }, { crypto: imageCrypto, key });
  return new Blob([image as Uint8Array<ArrayBuffer>]);
}

async function signingKey(file: string): Promise<SigningKey> {
  const pem = await readFile(file, "utf8").catch((error) => unreadable(file, error));
  try {
    return loadSigningKey(pem);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(error.code, `${file}: ${error.message}`, error.facts, { cause: error });
  }
}

function unreadable(file: string, error: NodeJS.ErrnoException): never {
  const reason = error.code === "ENOENT" ? "there is no such file" : error.message;
  throw new UsageError("FILE", `${file}: ${reason}`, {}, { cause: error });
}

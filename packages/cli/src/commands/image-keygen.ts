/** `airlift image keygen`: a key pair that signs images. */
import { rm, writeFile } from "node:fs/promises";
import { KEY_KINDS, type KeyKind } from "@airlift/protocol/image/crypto-port";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { generateSigningKey } from "@airlift/runtime/crypto";
import { type Command, Option } from "commander";
import { printResult, say } from "../terminal.ts";

interface Options {
  readonly out: string;
  readonly kind: KeyKind;
}

export function registerImageKeygen(image: Command): void {
  image
    .command("keygen")
    .description("make a key pair; devices get the public half")
    .requiredOption("--out <key.pem>", "file for the private key; the public one is written beside it as KEY.pub.pem")
    .addOption(new Option("--kind <kind>", "kind of key").choices(KEY_KINDS).default("ed25519"))
    .action(async ({ out, kind }: Options, command: Command) => {
      const publicFile = `${out.replace(/\.pem$/, "")}.pub.pem`;
      const { privatePem, publicPem } = generateSigningKey(kind);
      await writeNew(out, privatePem, 0o600);
      await writeNew(publicFile, publicPem, 0o644).catch(async (error) => {
        await rm(out);
        throw error;
      });
      printResult(command, { kind, privateKey: out, publicKey: publicFile }, () => `${out}\n${publicFile}\n`);
      say(`keep ${out} secret; give ${publicFile} to the devices and to \`airlift serve --trust\``);
    });
}

/** An existing key is never overwritten: images signed by it would lose their only proof. */
async function writeNew(file: string, content: string, mode: number): Promise<void> {
  await writeFile(file, content, { flag: "wx", mode }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EEXIST") throw new UsageError("FILE_EXISTS", `${file} exists, and keys are not overwritten`);
    throw new EnvironmentError("FILE_WRITE", `${file} cannot be written: ${error.message}`, {}, { cause: error });
  });
}

/** Files that a command is given, with one clear line when they cannot be read. */
import { readFile } from "node:fs/promises";
import { UsageError } from "@airlift/protocol/lib/errors";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EISDIR: "this is a folder, not a file",
  EACCES: "this account may not read it",
};

/** @throws {UsageError} FILE */
export async function fileText(file: string): Promise<string> {
  return await readFile(file === "-" ? "/dev/stdin" : file, "utf8").catch((error: NodeJS.ErrnoException) => {
    const reason = REASONS[error.code ?? ""] ?? error.message;
    throw new UsageError("FILE", `${file}: ${reason}`, {}, { cause: error });
  });
}

/** Files that a command is given, with one clear line when they cannot be read. */
import { readFile } from "node:fs/promises";
import { UsageError } from "@airlift/protocol/lib/errors";

/** @throws {UsageError} FILE */
export async function fileText(file: string): Promise<string> {
  return await readFile(file === "-" ? "/dev/stdin" : file, "utf8").catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === "ENOENT" ? "there is no such file" : error.message;
    throw new UsageError("FILE", `${file}: ${reason}`, {}, { cause: error });
  });
}

/** Files that a command is given, with one clear line when they cannot be read. */
import { open, readFile } from "node:fs/promises";
import { UsageError } from "@airlift/protocol/lib/errors";

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "there is no such file",
  EISDIR: "this is a folder, not a file",
  EACCES: "this account may not read it",
};

/** @throws {UsageError} FILE */
export async function fileText(file: string): Promise<string> {
  return await readFile(pathOf(file), "utf8").catch((error) => {
    throw unreadable(file, error);
  });
}

/** Its lines without their ends, one held at a time. @throws {UsageError} FILE */
export async function* fileLines(file: string): AsyncGenerator<string> {
  try {
    const handle = await open(pathOf(file));
    yield* handle.readLines();
  } catch (error) {
    throw unreadable(file, error as NodeJS.ErrnoException);
  }
}

const pathOf = (file: string): string => (file === "-" ? "/dev/stdin" : file);

function unreadable(file: string, error: NodeJS.ErrnoException): UsageError {
  const reason = REASONS[error.code ?? ""] ?? error.message;
  return new UsageError("FILE", `${file}: ${reason}`, {}, { cause: error });
}

/** The slots' directory on a real file system. */
import { mkdirSync } from "node:fs";
import { type FileHandle, open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { syncFolder } from "@airlift/runtime/atomic-file";
import type { SlotFile, SlotFiles } from "../ports.ts";

const FLAGS = { read: "r", update: "r+", create: "w+" } as const;
const FULL: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/**
 * Opens `directory` and makes it and its `folders` where they are missing.
 *
 * @throws {EnvironmentError} `FILE_SYSTEM` when that cannot be.
 */
export function openDirectory(directory: string, folders: readonly string[] = ["."]): SlotFiles {
  try {
    for (const folder of folders) mkdirSync(join(directory, folder), { recursive: true });
  } catch (cause) {
    throw failed(cause, directory);
  }
  const attempt = async <T>(name: string, work: (path: string) => Promise<T>): Promise<T> => {
    const path = join(directory, name);
    return work(path).catch((cause) => {
      throw failed(cause, path);
    });
  };
  return {
    open: async (name, how) => {
      const absent = how === "create" ? undefined : "ENOENT";
      const handle = await attempt(name, (path) => tolerate(open(path, FLAGS[how], 0o600), absent));
      return handle && slotFile(handle, (work) => attempt(name, work));
    },
    rename: (from, to) => attempt(from, (path) => rename(path, join(directory, to))),
    unlink: (name) => attempt(name, (path) => tolerate(unlink(path), "ENOENT")),
    syncFolderOf: (name) => attempt(name, (path) => syncFolder(dirname(path))),
  };
}

function slotFile(handle: FileHandle, attempt: <T>(work: () => Promise<T>) => Promise<T>): SlotFile {
  return {
    sizeBytes: () => attempt(async () => (await handle.stat()).size),
    read: (offset, length) =>
      attempt(async () => {
        const bytes = new Uint8Array(length);
        const { bytesRead } = await handle.read(bytes, 0, length, offset);
        return bytes.subarray(0, bytesRead);
      }),
    write: (offset, bytes) =>
      attempt(async () => {
        let written = 0;
        while (written < bytes.length) {
          written += (await handle.write(bytes, written, bytes.length - written, offset + written)).bytesWritten;
        }
      }),
    truncate: (sizeBytes) => attempt(() => handle.truncate(sizeBytes)),
    sync: () => attempt(() => handle.sync()),
    close: () => attempt(() => handle.close()),
  };
}

async function tolerate<T>(work: Promise<T>, code: string | undefined): Promise<T | undefined> {
  return work.catch((error) => {
    if (code !== undefined && codeOf(error) === code) return undefined;
    throw error;
  });
}

function failed(cause: unknown, path: string): EnvironmentError {
  const code = codeOf(cause);
  return FULL.has(code)
    ? new EnvironmentError("NO_SPACE", "no space is left for the image", { path, code }, { cause })
    : new EnvironmentError(
        "FILE_SYSTEM",
        `${path} cannot be used: ${(cause as Error).message}`,
        { path, code },
        { cause },
      );
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | undefined)?.code;
}

/** Files that are there whole or not at all, whenever the power goes. */
import { randomBytes } from "node:crypto";
import { open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Octal permissions; the default is for the owner alone. */
export interface AtomicFileOptions {
  readonly mode?: number;
}

/**
 * Replaces `path` by `content` in one step; durable when the promise settles. On an error the old file stays.
 * The errors are those of node:fs.
 */
export async function writeFileAtomically(
  path: string,
  content: Uint8Array | string,
  { mode = 0o600 }: AtomicFileOptions = {},
): Promise<void> {
  const unfinished = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}`);
  const file = await open(unfinished, "wx", mode);
  try {
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  } catch (error) {
    await unlink(unfinished).catch(() => undefined);
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes durable what was created, renamed or removed in a folder. Nothing happens where folders cannot be opened. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Files that are replaced as a whole and at once, for callers who must not go on before it is done. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Durable when it returns; on an error the old file stays. The errors are those of node:fs. */
export function replaceFile(path: string, content: string): void {
  const draft = `${path}.new`;
  const file = openSync(draft, "w", 0o600);
  try {
    // Other than writeSync, it is not content with a part: a disk that is getting full takes one without a word.
    writeFileSync(file, content);
    fsyncSync(file);
  } catch (error) {
    closeSync(file);
    unlinkSync(draft);
    throw error;
  }
  closeSync(file);
  renameSync(draft, path);
  syncFolder(dirname(path));
}

/** The value in a file; `undefined` when there is none, `"damaged"` when it is no JSON. */
export function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch {
    return "damaged";
  }
}

function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

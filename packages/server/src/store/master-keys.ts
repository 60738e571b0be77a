/**
 * What device keys are encrypted under at rest: AES-256-GCM with a nonce for each text, bound to the row it stands in.
 *
 * A key file has one key a line. The first seals; the others only open what is not sealed anew yet.
 */
import { createCipheriv, createDecipheriv, createHash, createSecretKey, randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { writeFileAtomically } from "@airlift/runtime/atomic-file";

/** Where the keys come from: a text (keys joined by commas) goes before the file. */
export interface MasterKeySource {
  readonly text: string | null;
  /** Made with a new key when it is missing. */
  readonly file: string;
  /** Told once, when the file was made. */
  readonly onCreated?: ((file: string) => void) | undefined;
}

/** `bytes` = nonce, ciphertext, tag. */
export interface Sealed {
  readonly keyVersion: string;
  readonly bytes: Buffer;
}

interface MasterKey {
  readonly version: string;
  readonly key: Buffer;
}

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class MasterKeys {
  #keys: readonly MasterKey[];
  /** null = the keys came from the environment. */
  readonly #file: string | null;

  private constructor(keys: readonly MasterKey[], file: string | null) {
    this.#keys = keys;
    this.#file = file;
  }

  /**
   * Reads the keys, or makes the first one.
   *
   * @throws {UsageError} MASTER_KEY when what is there is no key.
   * @throws {EnvironmentError} MASTER_KEY_FILE when it cannot be read or written.
   */
  static async open({ text, file, onCreated }: MasterKeySource): Promise<MasterKeys> {
    if (text !== null) return new MasterKeys(parseKeys(text.split(","), "AIRLIFT_MASTER_KEY"), null);
    const found = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw fileFailure(file, error);
    });
    if (found !== undefined) {
      await refuseOpenFile(file);
      return new MasterKeys(parseKeys(found.split("\n"), file), file);
    }
    const created = randomBytes(KEY_BYTES);
    const keys = new MasterKeys([keyOf(created)], file);
    await keys.#write(keys.#keys);
    onCreated?.(file);
    return keys;
  }

  /** Names the key that seals: 16 hex digits that tell nothing about it. */
  get currentVersion(): string {
    return this.#current.version;
  }

  /** More than one while a change of the key is under way. */
  get count(): number {
    return this.#keys.length;
  }

  /** Whether something sealed under this key can be opened. */
  has(version: string): boolean {
    return this.#keys.some((one) => one.version === version);
  }

  /** @param place What the text belongs to; it opens nowhere else. */
  seal(secret: Uint8Array, place: string): Sealed {
    const { key, version } = this.#current;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", createSecretKey(key), nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(place, "utf8"));
    const bytes = Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
    return { keyVersion: version, bytes };
  }

  /** @throws {EnvironmentError} SEALED when the key is not here, or the text was changed or moved. */
  unseal({ keyVersion, bytes }: Sealed, place: string): Buffer {
    const found = this.#keys.find((one) => one.version === keyVersion);
    if (found === undefined)
      throw new EnvironmentError("SEALED", `master key ${keyVersion} is not here`, { keyVersion });
    try {
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const decipher = createDecipheriv("aes-256-gcm", createSecretKey(found.key), nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(place, "utf8"));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    } catch (error) {
      throw new EnvironmentError("SEALED", "what is stored was changed or moved", { keyVersion }, { cause: error });
    }
  }

  /**
   * Puts a fresh key before the others. An earlier change that is not complete is continued instead: no second key is made.
   *
   * @throws {UsageError} MASTER_KEY_FIXED (409) when the keys came from the environment.
   */
  async addKey(): Promise<void> {
    if (this.#file === null)
      throw new UsageError(
        "MASTER_KEY_FIXED",
        "the master key is in AIRLIFT_MASTER_KEY: start again with NEW,OLD there, and with NEW alone after that",
      );
    if (this.#keys.length > 1) return;
    const keys = [keyOf(randomBytes(KEY_BYTES)), ...this.#keys];
    await this.#write(keys);
    this.#keys = keys;
  }

  /** Forgets all keys but the current one; only when nothing is sealed under them any more. */
  async dropOldKeys(): Promise<void> {
    if (this.#keys.length === 1) return;
    const keys = [this.#current];
    if (this.#file !== null) await this.#write(keys);
    this.#keys = keys;
  }

  get #current(): MasterKey {
    return this.#keys[0] as MasterKey;
  }

  async #write(keys: readonly MasterKey[]): Promise<void> {
    const file = this.#file as string;
    try {
      mkdirSync(dirname(file), { recursive: true });
      await writeFileAtomically(file, keys.map(({ key }) => `${key.toString("hex")}\n`).join(""), { mode: 0o600 });
    } catch (error) {
      throw fileFailure(file, error);
    }
  }
}

const keyOf = (key: Buffer): MasterKey => ({
  key,
  version: createHash("sha256").update("airlift master key").update(key).digest("hex").slice(0, 16),
});

function parseKeys(lines: readonly string[], source: string): readonly MasterKey[] {
  const texts = lines.map((line) => line.trim()).filter((line) => line !== "");
  const keys = texts.map((text) => {
    const key = /^[0-9A-Fa-f]{64}$/.test(text) ? Buffer.from(text, "hex") : undefined;
    // The text itself stays out of the message: it may be a key with a mistake in it.
    if (key === undefined) throw new UsageError("MASTER_KEY", `${source}: a master key has 64 hexadecimal digits`);
    return keyOf(key);
  });
  if (keys.length === 0) throw new UsageError("MASTER_KEY", `${source} holds no key`);
  return keys;
}

async function refuseOpenFile(file: string): Promise<void> {
  const { mode } = await stat(file);
  if (process.platform !== "win32" && (mode & 0o007) !== 0)
    throw new UsageError("MASTER_KEY", `${file} is open to everybody on this machine: chmod 600 ${file}`);
}

const fileFailure = (file: string, error: unknown): EnvironmentError =>
  new EnvironmentError("MASTER_KEY_FILE", `${file}: ${(error as Error).message}`, { file }, { cause: error });

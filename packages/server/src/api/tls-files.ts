/** Certificate and key of https from files, read again when they change or a SIGHUP comes; connections that stand go on. */
import { X509Certificate } from "node:crypto";
import { unwatchFile, watchFile } from "node:fs";
import { readFile } from "node:fs/promises";
import { createSecureContext, type Server } from "node:tls";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyBaseLogger } from "fastify";

export interface TlsMaterial {
  /** PEM: the certificate and those above it. */
  readonly cert: string;
  readonly key: string;
}

export interface TlsFileNames {
  readonly tlsCertFile: string | null;
  readonly tlsKeyFile: string | null;
}

/** Whoever renews certificates writes two files; one of them alone does not fit. */
const LOOK_EVERY_MS = 5000;

export class TlsFiles {
  readonly #names: { readonly cert: string; readonly key: string };
  readonly #log: FastifyBaseLogger;
  readonly #reload = (): void => void this.reload();
  #server: Server | undefined;
  #current: TlsMaterial;

  private constructor(names: { cert: string; key: string }, current: TlsMaterial, log: FastifyBaseLogger) {
    this.#names = names;
    this.#current = current;
    this.#log = log;
    for (const name of Object.values(names))
      watchFile(name, { interval: LOOK_EVERY_MS, persistent: false }, this.#reload);
    process.on("SIGHUP", this.#reload);
  }

  /**
   * @returns `undefined` when no files are named.
   * @throws {UsageError} TLS_FILES when they cannot be used.
   */
  static async open({ tlsCertFile, tlsKeyFile }: TlsFileNames, log: FastifyBaseLogger): Promise<TlsFiles | undefined> {
    if (tlsCertFile === null || tlsKeyFile === null) return undefined;
    const names = { cert: tlsCertFile, key: tlsKeyFile };
    return new TlsFiles(names, await read(names), log);
  }

  get current(): TlsMaterial {
    return this.#current;
  }

  /** Gives `server` what is read from now on. */
  serve(server: Server): void {
    this.#server = server;
  }

  /** Reads both files again. What cannot be used is told and changes nothing. */
  async reload(): Promise<void> {
    try {
      const fresh = await read(this.#names);
      if (fresh.cert === this.#current.cert && fresh.key === this.#current.key) return;
      this.#current = fresh;
      this.#server?.setSecureContext({ ...fresh, minVersion: "TLSv1.2" });
      this.#log.info({ validTo: new X509Certificate(fresh.cert).validTo }, "the certificate of https was read again");
    } catch (error) {
      this.#log.warn({ err: error }, "the certificate of https stays as it is");
    }
  }

  close(): void {
    for (const name of Object.values(this.#names)) unwatchFile(name, this.#reload);
    process.off("SIGHUP", this.#reload);
  }
}

async function read(names: { readonly cert: string; readonly key: string }): Promise<TlsMaterial> {
  try {
    const [cert, key] = await Promise.all([readFile(names.cert, "utf8"), readFile(names.key, "utf8")]);
    // Fails here rather than in the first handshake when they do not belong together.
    createSecureContext({ cert, key });
    return { cert, key };
  } catch (error) {
    const message = `--tls-cert ${names.cert} with --tls-key ${names.key} cannot be used: ${(error as Error).message}`;
    throw new UsageError("TLS_FILES", message, {}, { cause: error });
  }
}

/** Fetches packages: connects when the pull says so, and hands one block at a time to the update. */

import type { FailureResult } from "@airlift/protocol/update/firmware-update";
import { type Driven, drive } from "@airlift/runtime/drive";
import { type CoapConnection, type CoapPullOptions, pullCoap, pullFromServer } from "./coap-pull.ts";
import { NoPullSecurity, type StreamPullOptions } from "./pull-security.ts";
import { type PackageUri, parsePackageUri } from "./transfer/package-uri.ts";
import { Pull, type PullInput, type PullOutput, type PullPolicy } from "./transfer/pull.ts";
import { pullErrorOf } from "./transfer/pull-error.ts";
import type { PullFailure } from "./transfer/pull-failure.ts";

export interface PullStart {
  readonly pull: number;
  readonly uri: string;
  readonly offset: number;
  readonly etag: Uint8Array | undefined;
}

/** Where a puller's news go. */
export interface PullListener {
  onOrigin(pull: number, etag: Uint8Array | undefined): void;
  /** Until `next` is called for it, no further chunk comes. */
  onChunk(pull: number, offset: number, bytes: Uint8Array): void;
  onEnded(pull: number): void;
  onChanged(pull: number): void;
  onFailed(pull: number, result: FailureResult): void;
  onPause(pull: number, failure: PullFailure, afterMs: number): void;
}

export interface PullerOptions {
  readonly coap: CoapPullOptions;
  readonly streams: StreamPullOptions;
  readonly listener: PullListener;
  readonly policy?: PullPolicy | undefined;
}

interface Active extends PullStart {
  readonly parts: PackageUri;
  readonly driven: Driven<PullInput>;
  /** Ends the connection that is open. */
  abort: AbortController;
  /** Lets the connection go on when its chunk is stored. */
  proceed: (() => void) | undefined;
}

export class Puller {
  readonly #options: PullerOptions;
  #active: Active | undefined;
  #sizeBytes: number | undefined;
  #isSuspended = false;
  #restart: { readonly uri: string; readonly count: number } | undefined;

  constructor(options: PullerOptions) {
    this.#options = options;
  }

  /** Of the image that is fetched, when its server says it. */
  get sizeBytes(): number | undefined {
    return this.#sizeBytes;
  }

  start(start: PullStart) {
    this.stop();
    this.#sizeBytes = undefined;
    const parts = parsePackageUri(start.uri);
    if (parts === undefined) return this.#options.listener.onFailed(start.pull, "invalidUri");
    const restartCount = this.#restart?.uri === start.uri ? this.#restart.count : 0;
    const { policy } = this.#options;
    const isSuspended = this.#isSuspended;
    const core = new Pull({ random: Math.random, restartCount, isSuspended, ...(policy && { policy }) });
    const driven = drive<PullInput, PullOutput>(core, { kind: "wake" }, (output) => this.#perform(active, output));
    const active: Active = { ...start, parts, driven, abort: new AbortController(), proceed: undefined };
    this.#active = active;
    driven.feed({ kind: "start", offset: start.offset, etag: start.etag });
  }

  /** The last chunk is stored; `storedBytes` octets of the image are. */
  next(pull: number, storedBytes: number) {
    const active = this.#active;
    if (active?.pull !== pull) return;
    active.driven.feed({ kind: "stored", storedBytes });
    active.proceed?.();
  }

  /** Whether pulls stand still: their connections are closed, and what is started meanwhile waits. */
  suspend(isSuspended: boolean) {
    this.#isSuspended = isSuspended;
    this.#active?.driven.feed({ kind: isSuspended ? "suspend" : "resume" });
  }

  /** Ends whatever is being fetched, and its connection. */
  stop() {
    const active = this.#active;
    this.#active = undefined;
    active?.driven.stop();
    active?.abort.abort();
  }

  #perform(active: Active, output: PullOutput) {
    const { listener } = this.#options;
    if (this.#active !== active) return;
    switch (output.kind) {
      case "connect":
        active.abort = new AbortController();
        void this.#connect(active, output.offset, output.etag);
        return;
      case "pause":
        return listener.onPause(active.pull, output.failure, output.afterMs);
      case "disconnect":
        return active.abort.abort();
      case "startOver":
        if (output.counts) this.#countRestart(active.uri);
        return listener.onChanged(active.pull);
      case "giveUp":
        return this.#giveUp(active, output.result);
    }
  }

  #giveUp(active: Active, result: FailureResult) {
    this.#restart = undefined;
    this.stop();
    this.#options.listener.onFailed(active.pull, result);
  }

  #countRestart(uri: string) {
    const before = this.#restart?.uri === uri ? this.#restart.count : 0;
    this.#restart = { uri, count: before + 1 };
  }

  async #connect(active: Active, offset: number, etag: Uint8Array | undefined): Promise<void> {
    const { signal } = active.abort;
    try {
      await this.#fetch(active, offset, etag);
      if (this.#active !== active || signal.aborted) return;
      this.#restart = undefined;
      this.#active = undefined;
      active.driven.stop();
      this.#options.listener.onEnded(active.pull);
    } catch (error) {
      if (this.#active !== active || signal.aborted) return;
      if (error instanceof NoPullSecurity) this.#giveUp(active, error.result);
      else active.driven.feed({ kind: "failed", ...pullErrorOf(error, offset > 0) });
    }
  }

  #fetch(active: Active, offset: number, etag: Uint8Array | undefined): Promise<unknown> {
    const { scheme } = active.parts;
    return scheme === "http" || scheme === "https"
      ? this.#fetchHttp(active, offset, etag)
      : this.#fetchCoap(active, offset, etag);
  }

  async #fetchCoap(active: Active, offset: number, etag: Uint8Array | undefined): Promise<void> {
    const { coap, streams } = this.#options;
    const connection: CoapConnection = {
      uri: active.uri,
      parts: active.parts,
      offset,
      etag,
      signal: active.abort.signal,
      onOrigin: (tag, sizeBytes) => this.#answered(active, tag, sizeBytes),
      write: (bytes, at) => this.#chunk(active, at, bytes),
    };
    if (await pullFromServer(coap, connection)) return;
    const isStream = active.parts.scheme.endsWith("+tcp");
    if (!isStream) return pullCoap(coap, connection);
    const { pullCoapTcp } = await import("./stream-pull.ts");
    return pullCoapTcp(streams, coap.blockBytes, connection);
  }

  async #fetchHttp(active: Active, fromOffset: number, etag: Uint8Array | undefined): Promise<void> {
    const { securityFor, timeoutFor } = this.#options.streams;
    const { signal } = active.abort;
    const security = active.parts.scheme === "https" ? await securityFor(active.uri) : undefined;
    signal.throwIfAborted();
    // As with streams: HTTP and TLS take as much memory as the rest of the agent, and only who uses them has them.
    const { pullHttp } = await import("@airlift/runtime/http-ranges");
    let at = fromOffset;
    await pullHttp({
      uri: active.uri,
      fromOffset,
      idleTimeoutMs: timeoutFor(active.uri),
      ...(security && { security }),
      ...(etag && { etag }),
      signal,
      onOrigin: (origin) => {
        at = origin.offset;
        this.#answered(active, origin.etag, origin.sizeBytes);
      },
      write: async (bytes) => {
        await this.#chunk(active, at, bytes);
        at += bytes.length;
      },
    });
  }

  #answered(active: Active, etag: Uint8Array | undefined, sizeBytes: number | undefined): void {
    if (this.#active !== active) return;
    active.driven.feed({ kind: "answered", etag });
    this.#sizeBytes = sizeBytes;
    this.#options.listener.onOrigin(active.pull, etag);
  }

  #chunk(active: Active, offset: number, bytes: Uint8Array): Promise<void> {
    const { signal } = active.abort;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason);
      if (signal.aborted || this.#active !== active) {
        onAbort();
        return;
      }
      signal.addEventListener("abort", onAbort, { once: true });
      active.driven.feed({ kind: "storing" });
      active.proceed = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      this.#options.listener.onChunk(active.pull, offset, bytes);
    });
  }
}

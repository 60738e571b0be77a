/** Fetches packages: connects when the pull says so, and hands one block at a time to the update. */

import { isIP } from "node:net";
import { CODE } from "@airlift/protocol/coap/codes";
import { CoapRefusal, createRequest } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint, textOption } from "@airlift/protocol/coap/options";
import type { TransmissionParameters } from "@airlift/protocol/coap/transmission";
import { AirliftError } from "@airlift/protocol/lib/errors";
import type { FailureResult } from "@airlift/protocol/update/firmware-update";
import type { CoapClient } from "@airlift/runtime/coap";
import { type Driven, drive } from "@airlift/runtime/drive";
import { pullHttp } from "@airlift/runtime/http-ranges";
import { resolveUdpPeer, type UdpPeer } from "@airlift/runtime/udp";
import { type PackageUri, parsePackageUri } from "./transfer/package-uri.ts";
import { Pull, type PullInput, type PullOutput, type PullPolicy } from "./transfer/pull.ts";
import type { PullFailure } from "./transfer/pull-failure.ts";

export interface PullStart {
  readonly pull: number;
  readonly uri: string;
  readonly offset: number;
  readonly etag: Uint8Array | undefined;
}

/** Where a puller's news go. */
export interface PullListener {
  onOrigin(pull: number, etag: Uint8Array | undefined, sizeBytes: number | undefined): void;
  /** Until `next` is called for it, no further chunk comes. */
  onChunk(pull: number, offset: number, bytes: Uint8Array): void;
  onEnded(pull: number): void;
  onChanged(pull: number): void;
  onFailed(pull: number, result: FailureResult): void;
  onPause(pull: number, failure: PullFailure, afterMs: number): void;
}

export interface PullerOptions {
  readonly client: CoapClient<UdpPeer>;
  readonly listener: PullListener;
  readonly policy?: PullPolicy | undefined;
  readonly transmission?: TransmissionParameters | undefined;
  readonly blockBytes?: number | undefined;
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
  #restart: { readonly uri: string; readonly count: number } | undefined;

  constructor(options: PullerOptions) {
    this.#options = options;
  }

  start(start: PullStart) {
    this.stop();
    const parts = parsePackageUri(start.uri);
    if (parts === undefined) return this.#options.listener.onFailed(start.pull, "invalidUri");
    const restartCount = this.#restart?.uri === start.uri ? this.#restart.count : 0;
    const { policy } = this.#options;
    const core = new Pull({ random: Math.random, restartCount, ...(policy && { policy }) });
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

  /** Ends whatever is being fetched. */
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
      case "startOver":
        this.#restart = { uri: active.uri, count: (this.#restart?.uri === active.uri ? this.#restart.count : 0) + 1 };
        return listener.onChanged(active.pull);
      case "giveUp":
        this.#restart = undefined;
        this.stop();
        return listener.onFailed(active.pull, output.result);
    }
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
      active.driven.feed({ kind: "failed", ...failureOf(error, offset > 0) });
    }
  }

  #fetch(active: Active, offset: number, etag: Uint8Array | undefined): Promise<unknown> {
    const { scheme } = active.parts;
    return scheme === "http" || scheme === "https"
      ? this.#fetchHttp(active, offset, etag)
      : this.#fetchCoap(active, offset, etag);
  }

  async #fetchCoap(active: Active, offset: number, etag: Uint8Array | undefined): Promise<void> {
    const { parts, abort } = active;
    const { client, transmission, blockBytes } = this.#options;
    const peer = await resolveUdpPeer(parts.host, parts.port);
    const hostOption = isIP(parts.host) ? [] : [textOption(OPTION.uriHost, parts.host)];
    const request = createRequest("get", parts.pathAndQuery, { options: hostOption });
    const sink = { write: (bytes: Uint8Array, at: number) => this.#chunk(active, at, bytes) };
    await client.download(peer, request, sink, {
      offset,
      etag,
      transmission,
      blockBytes,
      signal: abort.signal,
      onStart: (start) => this.#answered(active, start.etag, start.sizeBytes),
    });
  }

  async #fetchHttp(active: Active, fromOffset: number, etag: Uint8Array | undefined): Promise<void> {
    let at = fromOffset;
    await pullHttp({
      uri: active.uri,
      fromOffset,
      ...(etag && { etag }),
      signal: active.abort.signal,
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
    this.#options.listener.onOrigin(active.pull, etag, sizeBytes);
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
      active.proceed = () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      this.#options.listener.onChunk(active.pull, offset, bytes);
    });
  }
}

/** Too Many Requests, Service Unavailable. */
const BUSY_STATUS: ReadonlySet<unknown> = new Set([429, 503]);

/** @param isResumed A server that does not know the part asked for has another image by now. */
function failureOf(error: unknown, isResumed: boolean): { failure: PullFailure; retryAfterMs?: number } {
  if (error instanceof CoapRefusal) return refusalOf(error, isResumed);
  if (!(error instanceof AirliftError)) return { failure: "refused" };
  switch (error.code) {
    case "HOST_UNKNOWN":
      return { failure: isTemporary(error.cause) ? "connection" : "noSuchHost" };
    case "ETAG_CHANGED":
    case "BLOCK_MISMATCH":
      return { failure: "changed" };
    case "COAP_TIMEOUT":
    case "COAP_UNREACHABLE":
    case "COAP_OVERLOADED":
    case "COAP_RESET":
    case "CONNECTION_LOST":
    case "IDLE_TIMEOUT":
    case "TLS_FAILED":
      return { failure: "connection" };
    case "NOT_FOUND":
      return { failure: "notFound" };
    case "HTTP_STATUS":
      return { failure: BUSY_STATUS.has(error.facts["status"]) ? "busy" : "refused" };
    case "HTTP_RANGE":
      return { failure: isResumed ? "changed" : "refused" };
    case "HTTP_URI":
      return { failure: "badUri" };
    default:
      return { failure: "refused" };
  }
}

function refusalOf({ response }: CoapRefusal, isResumed: boolean): { failure: PullFailure; retryAfterMs?: number } {
  switch (response.code) {
    case CODE.notFound:
      return { failure: "notFound" };
    case CODE.serviceUnavailable:
    case CODE.tooManyRequests:
      return { failure: "busy", retryAfterMs: 1000 * (optionUint(response.options, OPTION.maxAge) ?? 0) };
    case CODE.badRequest:
    case CODE.badOption:
    case CODE.requestEntityIncomplete:
    case CODE.preconditionFailed:
      return { failure: isResumed ? "changed" : "refused" };
    default:
      return { failure: "refused" };
  }
}

/** The resolver could not ask anybody, so the name may well exist. */
function isTemporary(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "EAI_AGAIN";
}

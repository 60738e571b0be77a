/**
 * The patience of one pull: when to connect, when to try again and from where, when to give up.
 *
 * What is stored is never fetched twice as long as the image has an entity tag to recognise it by.
 */
import type { Core, Random } from "@airlift/protocol/lib/core";
import type { FailureResult } from "@airlift/protocol/update/firmware-update";
import { isWorthRetrying, type PullFailure, RESULT_OF_FAILURE } from "./pull-failure.ts";

export interface PullPolicy {
  /** Tries after the first one without a single new octet between them; each octet stored starts the count anew. */
  readonly retryCount: number;
  /** Before the first retry; doubled with every further one. */
  readonly firstDelayMs: number;
  readonly longestDelayMs: number;
  /** How often a download without an entity tag may begin again from its first octet. */
  readonly untaggedRestartCount: number;
}

/** A link that is gone for ten minutes ends no download; over CoAP each try adds its own 62 … 93 s. */
export const DEFAULT_PULL_POLICY: PullPolicy = {
  retryCount: 15,
  firstDelayMs: 1_000,
  longestDelayMs: 60_000,
  untaggedRestartCount: 3,
};

export type PullInput =
  /** Begin at `offset`, which is 0 unless `etag` is known. */
  | { readonly kind: "start"; readonly offset: number; readonly etag: Uint8Array | undefined }
  /** The first answer of a connection. */
  | { readonly kind: "answered"; readonly etag: Uint8Array | undefined }
  /** So many octets of the image are in the store. */
  | { readonly kind: "stored"; readonly storedBytes: number }
  | { readonly kind: "failed"; readonly failure: PullFailure; readonly retryAfterMs?: number }
  /** The link is back: no reason to wait any longer. */
  | { readonly kind: "linkUp" }
  | { readonly kind: "wake" };

export type PullOutput =
  | { readonly kind: "connect"; readonly offset: number; readonly etag: Uint8Array | undefined }
  | { readonly kind: "pause"; readonly afterMs: number; readonly failure: PullFailure }
  /** Forget what is stored and pull anew. */
  | { readonly kind: "startOver" }
  | { readonly kind: "giveUp"; readonly result: FailureResult };

export interface PullOptions {
  readonly policy?: PullPolicy;
  readonly random: Random;
  /** How often this image was begun anew before. */
  readonly restartCount?: number;
}

export class Pull implements Core<PullInput, PullOutput> {
  readonly #policy: PullPolicy;
  readonly #random: Random;
  readonly #restartCount: number;
  #storedBytes = 0;
  /** Where the connection began. */
  #fromBytes = 0;
  #etag: Uint8Array | undefined;
  #hasAnswered = false;
  #failureCount = 0;
  #connectAtMs: number | undefined;

  constructor({ policy = DEFAULT_PULL_POLICY, random, restartCount = 0 }: PullOptions) {
    this.#policy = policy;
    this.#random = random;
    this.#restartCount = restartCount;
  }

  get wakeAtMs(): number | undefined {
    return this.#connectAtMs;
  }

  step(input: PullInput, nowMs: number): PullOutput[] {
    switch (input.kind) {
      case "start":
        this.#storedBytes = input.offset;
        this.#etag = input.etag;
        return [this.#connect()];
      case "answered":
        this.#hasAnswered = true;
        this.#etag = input.etag;
        return [];
      case "stored":
        if (input.storedBytes > this.#storedBytes) this.#failureCount = 0;
        this.#storedBytes = input.storedBytes;
        return [];
      case "failed":
        return [this.#failed(input.failure, input.retryAfterMs ?? 0, nowMs)];
      case "linkUp":
        return this.#connectAtMs === undefined ? [] : [this.#reconnect()];
      case "wake":
        return this.#connectAtMs !== undefined && this.#connectAtMs <= nowMs ? [this.#reconnect()] : [];
    }
  }

  #connect(): PullOutput {
    this.#connectAtMs = undefined;
    this.#fromBytes = this.#storedBytes;
    return { kind: "connect", offset: this.#storedBytes, etag: this.#storedBytes > 0 ? this.#etag : undefined };
  }

  /** Without an entity tag nobody can tell whether the rest belongs to what is stored. */
  #reconnect(): PullOutput {
    if (this.#storedBytes === 0 || this.#etag !== undefined) return this.#connect();
    this.#connectAtMs = undefined;
    if (this.#restartCount < this.#policy.untaggedRestartCount) return { kind: "startOver" };
    return { kind: "giveUp", result: "connectionLost" };
  }

  #failed(failure: PullFailure, retryAfterMs: number, nowMs: number): PullOutput {
    if (failure === "changed" && this.#fromBytes > 0 && this.#restartCount === 0) return { kind: "startOver" };
    const isFinal = !isWorthRetrying(failure, this.#hasAnswered) || this.#failureCount >= this.#policy.retryCount;
    if (isFinal) return { kind: "giveUp", result: RESULT_OF_FAILURE[failure] };
    const { firstDelayMs, longestDelayMs } = this.#policy;
    const delayMs = Math.min(longestDelayMs, firstDelayMs * 2 ** this.#failureCount);
    this.#failureCount += 1;
    const afterMs = Math.max(retryAfterMs, delayMs * (0.5 + this.#random() / 2));
    this.#connectAtMs = nowMs + afterMs;
    return { kind: "pause", afterMs, failure };
  }
}

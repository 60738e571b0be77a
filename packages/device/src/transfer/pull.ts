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
  /** Octets have arrived and are on their way into the store; the next input of theirs is `stored`. */
  | { readonly kind: "storing" }
  /** So many octets of the image are in the store. */
  | { readonly kind: "stored"; readonly storedBytes: number }
  | { readonly kind: "failed"; readonly failure: PullFailure; readonly retryAfterMs?: number }
  /** No traffic until `resume`. */
  | { readonly kind: "suspend" }
  /** Traffic is possible: no reason to wait any longer. */
  | { readonly kind: "resume" }
  | { readonly kind: "wake" };

export type PullOutput =
  | { readonly kind: "connect"; readonly offset: number; readonly etag: Uint8Array | undefined }
  | { readonly kind: "pause"; readonly afterMs: number; readonly failure: PullFailure }
  /** Close the connection. */
  | { readonly kind: "disconnect" }
  /** Forget what is stored and pull anew. `counts`: it is one of the few times that this may happen. */
  | { readonly kind: "startOver"; readonly counts: boolean }
  | { readonly kind: "giveUp"; readonly result: FailureResult };

export interface PullOptions {
  readonly policy?: PullPolicy;
  readonly random: Random;
  /** How often this image was begun anew before. */
  readonly restartCount?: number;
  /** Begin without traffic, until `resume`. */
  readonly isSuspended?: boolean;
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
  #isSuspended: boolean;
  #isStoring = false;
  /** Connects as soon as what has arrived is stored: only then it is known from where. */
  #isConnectDue = false;

  constructor({ policy = DEFAULT_PULL_POLICY, random, restartCount = 0, isSuspended = false }: PullOptions) {
    this.#isSuspended = isSuspended;
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
        return this.#isSuspended ? [] : this.#connect();
      case "answered":
        this.#hasAnswered = true;
        this.#etag = input.etag;
        return [];
      case "storing":
        this.#isStoring = true;
        return [];
      case "stored":
        return this.#stored(input.storedBytes);
      case "failed":
        return this.#isSuspended ? [] : [this.#failed(input.failure, input.retryAfterMs ?? 0, nowMs)];
      case "suspend":
        return this.#suspend();
      case "resume":
        return this.#resume();
      case "wake":
        return this.#connectAtMs !== undefined && this.#connectAtMs <= nowMs ? this.#reconnect(true) : [];
    }
  }

  #stored(storedBytes: number): PullOutput[] {
    if (storedBytes > this.#storedBytes) this.#failureCount = 0;
    this.#storedBytes = storedBytes;
    this.#isStoring = false;
    return this.#isConnectDue ? this.#reconnect(false) : [];
  }

  #suspend(): PullOutput[] {
    if (this.#isSuspended) return [];
    this.#isSuspended = true;
    this.#isConnectDue = false;
    this.#connectAtMs = undefined;
    return [{ kind: "disconnect" }];
  }

  /** What the device's owner has suspended is not held against the server. */
  #resume(): PullOutput[] {
    const wasSuspended = this.#isSuspended;
    this.#isSuspended = false;
    if (wasSuspended) return this.#reconnect(false);
    return this.#connectAtMs === undefined ? [] : this.#reconnect(true);
  }

  #connect(): PullOutput[] {
    this.#connectAtMs = undefined;
    this.#isConnectDue = this.#isStoring;
    if (this.#isStoring) return [];
    this.#fromBytes = this.#storedBytes;
    const etag = this.#storedBytes > 0 ? this.#etag : undefined;
    return [{ kind: "connect", offset: this.#storedBytes, etag }];
  }

  /** Without an entity tag nobody can tell whether the rest belongs to what is stored. */
  #reconnect(counts: boolean): PullOutput[] {
    if (this.#isStoring || this.#storedBytes === 0 || this.#etag !== undefined) return this.#connect();
    this.#connectAtMs = undefined;
    this.#isConnectDue = false;
    const mayStartOver = !counts || this.#restartCount < this.#policy.untaggedRestartCount;
    return [mayStartOver ? { kind: "startOver", counts } : { kind: "giveUp", result: "connectionLost" }];
  }

  #failed(failure: PullFailure, retryAfterMs: number, nowMs: number): PullOutput {
    if (failure === "changed" && this.#fromBytes > 0 && this.#restartCount === 0) {
      return { kind: "startOver", counts: true };
    }
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

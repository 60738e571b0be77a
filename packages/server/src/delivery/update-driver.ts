/** Drives one device's update to its end: a table, what was last seen, and the next moment to act. */
import { compareVersions } from "@airlift/protocol/image/version";
import type { Core } from "@airlift/protocol/lib/core";
import { BugError } from "@airlift/protocol/lib/errors";
import {
  type DeliveryMethod,
  type FailureKind,
  isFinalUpdateState,
  type UpdateState,
} from "@airlift/protocol/update/device-update";
import { chooseDelivery, type DeliveryChoice } from "./delivery-choice.ts";
import { DEVICE_UPDATE, type UpdateAction, type UpdateEvent } from "./device-update.ts";
import type { UpdatePolicy } from "./policy.ts";
import { type DeviceReport, FAILURE_OF_RESULT, interpretReport, type Situation } from "./report.ts";
import { sentenceFor } from "./sentences.ts";

/** What is to be done, for whom. */
export interface UpdateOrder {
  readonly updateId: string;
  readonly endpoint: string;
  readonly imageId: string;
  readonly imageVersion: string;
  readonly totalBytes: number;
  readonly by: DeliveryMethod;
}

/** Everything about an update that must outlive the server: a plain value, saved with each transition. */
export interface UpdateSnapshot {
  readonly state: UpdateState;
  readonly failure: FailureKind | null;
  readonly apply: boolean;
  readonly choice: DeliveryChoice | null;
  readonly transferStarted: boolean;
  readonly transferCount: number;
  readonly executeCount: number;
  readonly versionBefore: string | null;
  readonly acknowledgedBytes: number;
}

/** How a request to the device ended. `code` is a CoAP response code, "4.05"; absent when no answer came. */
export type RequestOutcome =
  | { readonly outcome: "accepted" }
  | { readonly outcome: "refused"; readonly code: string }
  | { readonly outcome: "noAnswer" };

export type DriverInput =
  /** The first input: whether the device is registered now. */
  | { readonly kind: "start"; readonly registered: boolean }
  /** The device has registered (again). */
  | { readonly kind: "registered" }
  /** The device's registration expired, or it de-registered. */
  | { readonly kind: "unregistered" }
  /** The device gave another sign of life. */
  | { readonly kind: "heard" }
  /** State or Update Result changed, as a notification says. */
  | { readonly kind: "notified" }
  | { readonly kind: "report"; readonly look: number; readonly report: DeviceReport | undefined }
  | ({ readonly kind: "transferAnswered" } & RequestOutcome)
  | ({ readonly kind: "pushEnded" } & RequestOutcome)
  | ({ readonly kind: "executeAnswered" } & RequestOutcome)
  | ({ readonly kind: "resetAnswered" } & RequestOutcome)
  /** The device has so many bytes of the image. */
  | { readonly kind: "progress"; readonly acknowledgedBytes: number }
  | { readonly kind: "apply" }
  | { readonly kind: "cancel" }
  | { readonly kind: "wake" };

export type DriverOutput =
  /** To be stored before anything after it is performed. `to` equals `from` for a remark. */
  | {
      readonly kind: "transition";
      readonly from: UpdateState;
      readonly event: UpdateEvent;
      readonly sentence: string;
      readonly snapshot: UpdateSnapshot;
    }
  | { readonly kind: "look"; readonly look: number }
  | { readonly kind: "observe" }
  | { readonly kind: "endObservation" }
  | { readonly kind: "startTransfer"; readonly choice: DeliveryChoice }
  | { readonly kind: "stopTransfer" }
  | { readonly kind: "resetDevice"; readonly form: "emptyUri" | "zeroPackage" }
  | { readonly kind: "execute" };

/** Resets in each of the two forms before a device counts as impossible to reset. */
const RESET_COUNT = 4;
const LONGEST_POLL_MS = 15 * 60_000;

/** The last block is acknowledged by the image being there: nobody asks for one behind it. */
const HAS_IMAGE: ReadonlySet<UpdateEvent> = new Set(["imageDownloaded", "imageHeld"]);

/** Refusals that are about the moment: blocks got lost, or the device is busy (RFC 7959 §2.9.2, RFC 7252 §5.9.3.4). */
const isPassing = (answer: RequestOutcome): boolean =>
  answer.outcome === "refused" && (answer.code === "4.08" || answer.code === "5.03");

export class UpdateDriver implements Core<DriverInput, DriverOutput> {
  readonly #order: UpdateOrder;
  readonly #policy: UpdatePolicy;
  #snapshot: UpdateSnapshot;
  #report: DeviceReport | undefined;
  #responseCode: string | undefined;
  /** A remark that only repeats this one is not made. */
  #lastSentence: string | undefined;
  #lookCount = 0;
  #lookPending = false;
  #registered = false;
  /** Looks up to this number were asked for before the last request, and say nothing about its effect. */
  #staleLook = 0;
  #pushRunning = false;
  #resetCount = 0;
  #lastHeardMs = 0;
  #unansweredCount = 0;
  #pollAtMs: number | undefined;
  #retryAtMs: number | undefined;
  #stallAtMs: number | undefined;
  #applyDueMs: number | undefined;

  constructor(order: UpdateOrder, policy: UpdatePolicy, snapshot: UpdateSnapshot) {
    this.#order = order;
    this.#policy = policy;
    this.#snapshot = snapshot;
  }

  get snapshot(): UpdateSnapshot {
    return this.#snapshot;
  }

  get wakeAtMs(): number | undefined {
    if (isFinalUpdateState(this.#snapshot.state)) return undefined;
    const times = [this.#pollAtMs, this.#retryAtMs, this.#stallAtMs, this.#applyDueMs, this.#silentAtMs];
    return times.reduce((first, atMs) => (atMs !== undefined && (first === undefined || atMs < first) ? atMs : first));
  }

  /** Whether the table lets the operator do this now. */
  allows(command: "apply" | "cancel"): boolean {
    return DEVICE_UPDATE[this.#snapshot.state][command] !== undefined;
  }

  step(input: DriverInput, nowMs: number): DriverOutput[] {
    if (isFinalUpdateState(this.#snapshot.state)) return [];
    if (input.kind !== "wake" && input.kind !== "apply" && input.kind !== "cancel" && input.kind !== "unregistered") {
      this.#noteLife(input, nowMs);
    }
    switch (input.kind) {
      case "start":
        return this.#start(input.registered, nowMs);
      case "unregistered":
        this.#registered = false;
        this.#pollAtMs = undefined;
        return this.#take("vanished", nowMs);
      case "registered":
        this.#registered = true;
        // What was asked before went to where the device was, and tells of the time before at best.
        this.#staleLook = this.#lookCount;
        return [...this.#dropPush(), ...this.#take("appeared", nowMs)];
      case "heard":
        return this.#unansweredCount > 0 ? this.#look(nowMs) : [];
      case "notified":
        return this.#snapshot.state === "waiting" && this.#retryAtMs !== undefined ? [] : this.#look(nowMs);
      case "report":
        return this.#onReport(input.look, input.report, nowMs);
      case "transferAnswered":
        return this.#onTransferAnswered(input, nowMs);
      case "pushEnded":
        return this.#onPushEnded(input, nowMs);
      case "executeAnswered":
        return this.#onExecuteAnswered(input, nowMs);
      case "resetAnswered":
        return this.#snapshot.state === "waiting" ? this.#onResetAnswered(input, nowMs) : [];
      case "progress":
        return this.#onProgress(input.acknowledgedBytes, nowMs);
      case "apply":
        this.#snapshot = { ...this.#snapshot, apply: true };
        return this.#take("apply", nowMs);
      case "cancel":
        return this.#take("cancel", nowMs);
      case "wake":
        return this.#onWake(nowMs);
    }
  }

  get #silentAtMs(): number | undefined {
    return this.#snapshot.state === "waitingToApply" ? undefined : this.#lastHeardMs + this.#policy.silentAfterMs;
  }

  #noteLife(input: DriverInput, nowMs: number): void {
    const unanswered =
      ("outcome" in input && input.outcome === "noAnswer") || (input.kind === "report" && input.report === undefined);
    if (unanswered) {
      this.#unansweredCount += 1;
    } else {
      this.#lastHeardMs = nowMs;
      if (input.kind !== "heard") this.#unansweredCount = 0;
      if (this.#snapshot.state === "transferring") this.#stallAtMs ??= nowMs + this.#policy.stallTimeoutMs;
    }
  }

  #start(registered: boolean, nowMs: number): DriverOutput[] {
    const begin = registered ? "start" : "startAbsent";
    const outputs = this.#snapshot.state === "queued" ? this.#take(begin, nowMs) : [];
    if (this.#snapshot.state === "transferring") {
      this.#stallAtMs = nowMs + this.#policy.stallTimeoutMs;
      this.#snapshot = { ...this.#snapshot, transferStarted: true };
    }
    if (this.#snapshot.state === "applying" || this.#snapshot.state === "confirming") {
      this.#applyDueMs = nowMs + this.#policy.applyTimeoutMs;
    }
    this.#registered = registered;
    if (registered) outputs.push(...this.#take("appeared", nowMs));
    return outputs;
  }

  /** Asks for a report unless one is on its way that was asked for late enough. */
  #look(nowMs: number): DriverOutput[] {
    if (!this.#registered) return [];
    if (this.#lookPending && this.#lookCount > this.#staleLook) return [];
    this.#lookCount += 1;
    this.#lookPending = true;
    this.#schedulePoll(nowMs);
    return [{ kind: "look", look: this.#lookCount }];
  }

  /** Only a registered device can be asked; any other is waited for. */
  #schedulePoll(nowMs: number): void {
    if (!this.#registered) return;
    const { pollIntervalMs } = this.#policy;
    const doublings = Math.min(this.#unansweredCount, 10);
    this.#pollAtMs = nowMs + Math.min(pollIntervalMs * 2 ** doublings, Math.max(pollIntervalMs, LONGEST_POLL_MS));
  }

  #onReport(look: number, report: DeviceReport | undefined, nowMs: number): DriverOutput[] {
    if (look === this.#lookCount) this.#lookPending = false;
    this.#schedulePoll(nowMs);
    if (report === undefined) return [];
    if (look <= this.#staleLook) return look === this.#lookCount ? this.#look(nowMs) : [];
    this.#report = report;
    const choice = report.firmware ? chooseDelivery(this.#order.by, report.firmware) : undefined;
    if (this.#retryAtMs !== undefined) return [];
    const event = interpretReport(report, this.#situation(report, choice));
    if (event === undefined) return [];
    if (event === "ready" && choice !== undefined) this.#snapshot = { ...this.#snapshot, choice };
    if (event === "occupied" && this.#resetCount >= RESET_COUNT) return this.#take("resetUseless", nowMs);
    return this.#take(event, nowMs);
  }

  #situation(report: DeviceReport, choice: DeliveryChoice | undefined): Situation {
    const { state, transferStarted, transferCount, executeCount, versionBefore, apply } = this.#snapshot;
    const { transferAttemptCount } = this.#policy;
    const isVersion = (version: string | null): boolean =>
      report.version !== null && version !== null && compareVersions(report.version, version) === 0;
    return {
      state,
      isTargetVersion: isVersion(this.#order.imageVersion),
      isVersionBefore: isVersion(versionBefore),
      canDeliver: choice !== undefined,
      transferStarted,
      pulling: this.#snapshot.choice?.kind === "pull",
      pushRunning: this.#pushRunning,
      transfersLeft: transferCount < transferAttemptCount,
      installsLeft: executeCount < transferAttemptCount,
      applyWanted: apply,
    };
  }

  #onTransferAnswered(answer: RequestOutcome, nowMs: number): DriverOutput[] {
    this.#staleLook = this.#lookCount;
    if (this.#snapshot.state !== "transferring") return [];
    // Without an answer the device may have taken the Write all the same; what it reports next decides.
    this.#snapshot = { ...this.#snapshot, transferStarted: true };
    if (answer.outcome === "noAnswer" || isPassing(answer)) return this.#look(nowMs);
    if (answer.outcome === "accepted") return this.#take("transferAccepted", nowMs);
    this.#responseCode = answer.code;
    return this.#take("transferRefused", nowMs);
  }

  #onPushEnded(answer: RequestOutcome, nowMs: number): DriverOutput[] {
    this.#pushRunning = false;
    this.#staleLook = this.#lookCount;
    if (this.#snapshot.state !== "transferring") return [];
    this.#snapshot = { ...this.#snapshot, transferStarted: true };
    // 4.xx is the answer to the Write itself; a 5.xx leaves its reason in Update Result, and so does a broken transfer.
    if (answer.outcome === "refused" && answer.code.startsWith("4.") && !isPassing(answer)) {
      this.#responseCode = answer.code;
      return this.#take("transferRefused", nowMs);
    }
    return this.#look(nowMs);
  }

  #onExecuteAnswered(answer: RequestOutcome, nowMs: number): DriverOutput[] {
    this.#staleLook = this.#lookCount;
    if (this.#snapshot.state !== "downloaded") return [];
    if (answer.outcome === "accepted") return this.#take("executed", nowMs);
    if (answer.outcome === "noAnswer") return this.#look(nowMs);
    // At once it would be as busy; the next look is soon enough.
    if (isPassing(answer)) return [];
    this.#responseCode = answer.code;
    return this.#take("executeRefused", nowMs);
  }

  #onResetAnswered(answer: RequestOutcome, nowMs: number): DriverOutput[] {
    this.#staleLook = this.#lookCount;
    return answer.outcome === "noAnswer" ? [] : this.#take("resetSent", nowMs);
  }

  #onProgress(acknowledgedBytes: number, nowMs: number): DriverOutput[] {
    // A device that asks for the same block for ever gets no further.
    if (this.#snapshot.state !== "transferring" || acknowledgedBytes === this.#snapshot.acknowledgedBytes) return [];
    this.#snapshot = { ...this.#snapshot, acknowledgedBytes };
    this.#stallAtMs = nowMs + this.#policy.stallTimeoutMs;
    return [];
  }

  #onWake(nowMs: number): DriverOutput[] {
    const isDue = (atMs: number | undefined): boolean => atMs !== undefined && atMs <= nowMs;
    if (isDue(this.#applyDueMs)) return this.#take("applyOverdue", nowMs);
    if (isDue(this.#stallAtMs)) {
      if (this.#registered && this.#unansweredCount === 0) return this.#take("stalled", nowMs);
      // A device without power or link is waited for until it counts as silent: it may still go on where it stopped.
      this.#stallAtMs = undefined;
    }
    if (isDue(this.#silentAtMs)) return this.#take("silent", nowMs);
    if (isDue(this.#retryAtMs)) {
      this.#retryAtMs = undefined;
      return this.#look(nowMs);
    }
    if (!isDue(this.#pollAtMs)) return [];
    this.#pollAtMs = undefined;
    this.#lookPending = false;
    return this.#pushRunning ? [] : this.#look(nowMs);
  }

  /** Takes the arrow of `event`, if there is one: says so, then acts. */
  #take(event: UpdateEvent, nowMs: number): DriverOutput[] {
    const from = this.#snapshot.state;
    const arrow = DEVICE_UPDATE[from][event];
    if (arrow === undefined) return [];
    const { failure } = arrow.extra;
    this.#snapshot = {
      ...this.#snapshot,
      state: arrow.to,
      failure: failure === "reported" ? this.#reportedFailure() : (failure ?? null),
      ...(HAS_IMAGE.has(event) && { acknowledgedBytes: this.#order.totalBytes }),
    };
    this.#setLimits(from, nowMs);
    const sentence = this.#sentence(event, from);
    const actions = arrow.actions.flatMap((action) => this.#act(action, nowMs));
    if (sentence === undefined) return actions;
    return [{ kind: "transition", from, event, sentence, snapshot: this.#snapshot }, ...actions];
  }

  #reportedFailure(): FailureKind {
    return FAILURE_OF_RESULT[this.#report?.firmware?.result ?? 0] ?? "connectionLost";
  }

  #setLimits(from: UpdateState, nowMs: number): void {
    const { state } = this.#snapshot;
    if (state === from) return;
    this.#stallAtMs = state === "transferring" ? nowMs + this.#policy.stallTimeoutMs : undefined;
    const isApplying = state === "applying" || state === "confirming";
    if (isApplying) this.#applyDueMs ??= nowMs + this.#policy.applyTimeoutMs;
    else this.#applyDueMs = undefined;
    if (this.#pollAtMs === undefined) this.#schedulePoll(nowMs);
  }

  #sentence(event: UpdateEvent, from: UpdateState): string | undefined {
    const { transferCount, executeCount, choice, acknowledgedBytes, state } = this.#snapshot;
    const sentence = sentenceFor(event, {
      imageVersion: this.#order.imageVersion,
      report: this.#report,
      choice: choice ?? undefined,
      totalBytes: this.#order.totalBytes,
      acknowledgedBytes,
      responseCode: this.#responseCode,
      attempt: Math.max(transferCount, executeCount),
      attemptCount: this.#policy.transferAttemptCount,
      delayMs: this.#retryDelayMs(),
      limitMs: this.#limitMs(event),
    });
    if (sentence === undefined && state !== from) {
      throw new BugError("NO_SENTENCE", `a transition without a sentence: ${from} to ${state} by ${event}`);
    }
    if (state === from && sentence === this.#lastSentence) return undefined;
    this.#lastSentence = sentence;
    return sentence;
  }

  #limitMs(event: UpdateEvent): number {
    if (event === "stalled") return this.#policy.stallTimeoutMs;
    return event === "silent" ? this.#policy.silentAfterMs : this.#policy.applyTimeoutMs;
  }

  #retryDelayMs(): number {
    return this.#policy.retryDelayMs * 2 ** Math.max(0, this.#snapshot.transferCount - 1);
  }

  #act(action: UpdateAction, nowMs: number): DriverOutput[] {
    switch (action) {
      case "look":
        return this.#look(nowMs);
      case "startTransfer":
        return this.#startTransfer();
      case "scheduleTransfer":
        this.#retryAtMs = nowMs + this.#retryDelayMs();
        this.#snapshot = { ...this.#snapshot, transferStarted: false };
        return [];
      case "resetDevice":
        return this.#resetDevice();
      case "execute":
        this.#snapshot = { ...this.#snapshot, executeCount: this.#snapshot.executeCount + 1 };
        this.#staleLook = this.#lookCount;
        return [{ kind: "execute" }];
      case "stopTransfer":
        this.#pushRunning = false;
        return [{ kind: "stopTransfer" }];
      case "observe":
      case "endObservation":
        return [{ kind: action }];
    }
  }

  /** A device that registers in the middle of a push has started anew and forgot it; waiting for its answer is idle. */
  #dropPush(): DriverOutput[] {
    if (!this.#pushRunning) return [];
    this.#pushRunning = false;
    this.#snapshot = { ...this.#snapshot, transferStarted: true };
    return [{ kind: "stopTransfer" }];
  }

  #startTransfer(): DriverOutput[] {
    const { choice, transferCount } = this.#snapshot;
    if (choice === null) throw new BugError("NO_CHOICE", "a transfer starts only after its way was chosen");
    this.#snapshot = {
      ...this.#snapshot,
      transferCount: transferCount + 1,
      transferStarted: false,
      acknowledgedBytes: 0,
      versionBefore: this.#report?.version ?? null,
    };
    this.#pushRunning = choice.kind === "push";
    this.#staleLook = this.#lookCount;
    return [{ kind: "startTransfer", choice }];
  }

  #resetDevice(): DriverOutput[] {
    // Where the server has sent nothing, there is nothing of ours to take back.
    if (this.#snapshot.state !== "waiting" && !this.#snapshot.transferStarted && !this.#snapshot.transferCount)
      return [];
    this.#resetCount += 1;
    return [{ kind: "resetDevice", form: this.#resetCount % 2 === 1 ? "emptyUri" : "zeroPackage" }];
  }
}

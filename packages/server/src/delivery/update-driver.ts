/** Drives one device's update to its end: a table, what was last seen, and the next moment to act. */
import type { Core } from "@airlift/protocol/lib/core";
import { BugError } from "@airlift/protocol/lib/errors";
import { type FailureKind, isFinalUpdateState, type UpdateState } from "@airlift/protocol/update/device-update";
import { chooseDelivery } from "./delivery-choice.ts";
import { DEVICE_UPDATE, HAS_IMAGE, type UpdateAction, type UpdateEvent } from "./device-update.ts";
import {
  type DriverInput,
  type DriverOutput,
  newSnapshot,
  type RequestOutcome,
  type UpdateOrder,
  type UpdateSnapshot,
} from "./driver-messages.ts";
import { Looks } from "./looks.ts";
import { choosePackage, packageOf } from "./package-choice.ts";
import { Patience } from "./patience.ts";
import type { UpdatePolicy } from "./policy.ts";
import { type DeviceReport, FAILURE_OF_RESULT, interpretReport, isInactive, type Situation } from "./report.ts";
import { sentenceFor } from "./sentences.ts";
import { situationOf } from "./situation.ts";
import {
  asText,
  withBefore,
  withChoice,
  withProgress,
  withRefusal,
  withResumption,
  withTransfer,
} from "./transfer-steps.ts";
import { resetFormFor, updateObjectOf } from "./update-object.ts";

/** Resets, in the two forms by turns, before a device counts as impossible to reset. */
const RESET_COUNT = 4;

/** Refusals that are about the moment: blocks got lost, or the device is busy (RFC 7959 §2.9.2, RFC 7252 §5.9.3.4). */
const isPassing = (answer: RequestOutcome): boolean =>
  answer.outcome === "refused" && (answer.code === "4.08" || answer.code === "5.03");

/** How a device answers a stranger, or a server whose access rights do not suffice (LwM2M 1.2 §8.2). */
const UNAUTHORIZED = "4.01";

type Refusal = Extract<UpdateEvent, "transferRefused" | "executeRefused">;

type ReportInput = Extract<DriverInput, { kind: "report" }>;

export class UpdateDriver implements Core<DriverInput, DriverOutput> {
  readonly #order: UpdateOrder;
  readonly #policy: UpdatePolicy;
  readonly #patience: Patience;
  #snapshot: UpdateSnapshot;
  #report: DeviceReport | undefined;
  #responseCode: string | undefined;
  #why: string | undefined;
  /** A remark that only repeats this one is not made. */
  #lastSentence: string | undefined;
  readonly #looks = new Looks();
  #pushRunning = false;
  #resetCount = 0;
  /** It was asked to apply, and has not answered. */
  #isExecuteOpen = false;
  /** The last push broke off without an answer. */
  #pushBroke = false;
  /** It answered as to a stranger; whether it does to every request, the next look tells. */
  #doubted: Refusal | undefined;
  /** It slept when the update was taken up, so that nothing of it is observed yet. */
  #isUnobserved = false;

  constructor(order: UpdateOrder, policy: UpdatePolicy, snapshot: UpdateSnapshot) {
    this.#order = order;
    this.#policy = policy;
    this.#patience = new Patience(policy);
    // A snapshot of an older program lacks what was added since.
    this.#snapshot = { ...newSnapshot(snapshot.apply), ...snapshot };
  }

  get snapshot(): UpdateSnapshot {
    return this.#snapshot;
  }

  get wakeAtMs(): number | undefined {
    return isFinalUpdateState(this.#snapshot.state) ? undefined : this.#patience.wakeAtMs;
  }

  /** What is sent, or would be. */
  get #package(): ReturnType<typeof packageOf> {
    return packageOf(this.#order, this.#snapshot);
  }

  /** Whether the table lets the operator do this now. */
  allows(command: "apply" | "cancel"): boolean {
    return DEVICE_UPDATE[this.#snapshot.state][command] !== undefined;
  }

  step(input: DriverInput, nowMs: number): DriverOutput[] {
    if (isFinalUpdateState(this.#snapshot.state)) return [];
    this.#noteLife(input, nowMs);
    switch (input.kind) {
      case "start":
        return this.#start(input, nowMs);
      case "unregistered":
        this.#patience.registered = false;
        return this.#take("vanished", nowMs);
      case "registered":
        this.#patience.registered = true;
        // What was asked before went to where the device was, and tells of the time before at best.
        this.#looks.outdate();
        this.#pushBroke = false;
        this.#isExecuteOpen = false;
        this.#doubted = undefined;
        return [...this.#dropPush(), ...this.#take("appeared", nowMs)];
      case "asleep":
        return this.#sleep(nowMs);
      case "awake":
        return this.#wakeUp(nowMs);
      case "heard":
        return this.#patience.isUnanswered ? this.#look(nowMs) : [];
      case "notified":
        return this.#patience.isWaitingToRetry || this.#looks.isFlooded(nowMs, this.#policy.pollIntervalMs)
          ? []
          : this.#look(nowMs);
      case "report":
        return this.#onReport(input, nowMs);
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
        // Who is permitted anew is asked as often as the first time.
        this.#snapshot = { ...this.#snapshot, apply: true, executeCount: 0 };
        return this.#take("apply", nowMs);
      case "hold":
        return this.#hold(nowMs);
      case "cancel":
        return this.#take("cancel", nowMs);
      case "wake":
        return this.#onWake(nowMs);
    }
  }

  #noteLife(input: DriverInput, nowMs: number): void {
    if (["wake", "apply", "hold", "cancel", "unregistered", "asleep"].includes(input.kind)) return;
    const isUnanswered =
      ("outcome" in input && input.outcome === "noAnswer") || (input.kind === "report" && input.report === undefined);
    if (isUnanswered) this.#patience.unanswered();
    else this.#patience.heard(nowMs, input.kind !== "heard");
  }

  #start({ registered, asleep = false }: Extract<DriverInput, { kind: "start" }>, nowMs: number): DriverOutput[] {
    this.#patience.registered = registered;
    if (asleep) this.#patience.slept();
    this.#isUnobserved = asleep;
    const { state } = this.#snapshot;
    // What a push had sent before a restart of ours is unknown; the device's report tells.
    if (state === "transferring") this.#snapshot = { ...this.#snapshot, transferStarted: true };
    this.#patience.entered(state, nowMs);
    const outputs = state === "queued" ? this.#take(registered ? "start" : "startAbsent", nowMs) : [];
    if (registered) outputs.push(...this.#take(asleep ? "asleep" : "appeared", nowMs));
    return outputs;
  }

  #hold(nowMs: number): DriverOutput[] {
    const { apply, state } = this.#snapshot;
    if (!apply) return [];
    this.#snapshot = { ...this.#snapshot, apply: false };
    const isAsked = this.#isExecuteOpen || state === "applying" || state === "confirming";
    return this.#take(isAsked ? "holdLate" : "hold", nowMs);
  }

  /** Asks for a report unless one is on its way that was asked for late enough. */
  #look(nowMs: number): DriverOutput[] {
    if (!this.#patience.isReachable) return [];
    const look = this.#looks.begin();
    if (look === undefined) return [];
    this.#patience.schedulePoll(nowMs);
    return [{ kind: "look", look }];
  }

  /** What it is asked now would be lost, so nothing is; a push that is on its way keeps it awake. */
  #sleep(nowMs: number): DriverOutput[] {
    if (this.#pushRunning || !this.#patience.awake) return [];
    this.#patience.slept();
    return this.#take("asleep", nowMs);
  }

  #wakeUp(nowMs: number): DriverOutput[] {
    if (this.#patience.awake) return [];
    this.#patience.woke();
    this.#looks.outdate();
    const event = this.#isUnobserved ? "appeared" : "awake";
    this.#isUnobserved = false;
    return this.#take(event, nowMs);
  }

  #onReport({ look, report, schemes, why }: ReportInput, nowMs: number): DriverOutput[] {
    this.#looks.ended(look);
    this.#patience.schedulePoll(nowMs);
    this.#why = why;
    // That a sleeper does not answer is no news, and no reason to ask it again.
    if (report === undefined && !this.#patience.awake) return [];
    if (report === undefined) return this.#unreadable(nowMs);
    if (this.#looks.isStale(look)) return this.#looks.isNewest(look) ? this.#look(nowMs) : [];
    this.#report = report;
    if (this.#doubted !== undefined) return this.#refused(this.#doubted, nowMs);
    const choice = report.firmware ? chooseDelivery({ by: this.#order.by, schemes }, report.firmware) : undefined;
    if (this.#patience.isWaitingToRetry) return [];
    const situation = this.#situation(report, choice !== undefined);
    const event = interpretReport(report, situation);
    this.#snapshot = {
      ...this.#snapshot,
      isInactive: report.firmware !== null && isInactive(report.firmware, situation),
    };
    if (event === undefined) return [];
    if (event === "ready" && choice !== undefined) {
      const packageChoice = choosePackage(this.#order, this.#snapshot, report);
      this.#snapshot = { ...withChoice(this.#snapshot, choice), packageChoice };
    }
    if (event === "deltaRefused") this.#snapshot = withRefusal(this.#snapshot, report.firmware?.result ?? 0);
    if (event === "mustPrepare") this.#snapshot = withBefore(this.#snapshot, report);
    if (event === "deferred") this.#patience.deferred(this.#deferPeriodMs(report), nowMs);
    if ((event === "occupied" || event === "mustPrepare") && this.#resetCount >= RESET_COUNT)
      return this.#take("resetUseless", nowMs);
    return this.#take(event, nowMs);
  }

  /** Who may not even look was taken for another: the device takes orders where it has registered, and will again. */
  #unreadable(nowMs: number): DriverOutput[] {
    this.#doubted = undefined;
    return this.#take("unanswered", nowMs);
  }

  #onRefusal(event: Refusal, code: string, nowMs: number): DriverOutput[] {
    this.#responseCode = code;
    if (code !== UNAUTHORIZED) return this.#take(event, nowMs);
    this.#doubted = event;
    return this.#look(nowMs);
  }

  #refused(event: Refusal, nowMs: number): DriverOutput[] {
    this.#doubted = undefined;
    return this.#take(event, nowMs);
  }

  #deferPeriodMs({ firmware }: DeviceReport): number {
    const periodS = firmware?.maximumDeferPeriodS;
    return typeof periodS === "number" && periodS > 0 ? periodS * 1000 : this.#policy.deferTimeoutMs;
  }

  #situation(report: DeviceReport, canDeliver: boolean): Situation {
    return situationOf(report, {
      order: this.#order,
      policy: this.#policy,
      snapshot: this.#snapshot,
      canDeliver,
      pushRunning: this.#pushRunning,
      pushBroke: this.#pushBroke,
    });
  }

  #onTransferAnswered(answer: RequestOutcome, nowMs: number): DriverOutput[] {
    // Of a push there is no such answer unless it could not begin.
    this.#pushRunning = false;
    this.#looks.outdate();
    if (this.#snapshot.state !== "transferring") return [];
    // Without an answer the device may have taken the Write all the same; what it reports next decides.
    this.#snapshot = { ...this.#snapshot, transferStarted: true };
    if (answer.outcome === "noAnswer" || isPassing(answer)) return this.#look(nowMs);
    if (answer.outcome === "accepted") return this.#take("transferAccepted", nowMs);
    return this.#onRefusal("transferRefused", answer.code, nowMs);
  }

  #onPushEnded(answer: RequestOutcome, nowMs: number): DriverOutput[] {
    this.#pushRunning = false;
    this.#looks.outdate();
    if (this.#snapshot.state !== "transferring") return [];
    this.#snapshot = { ...this.#snapshot, transferStarted: true };
    this.#pushBroke = answer.outcome === "noAnswer";
    const text = answer.outcome === "refused" && answer.code === "4.15" ? asText(this.#snapshot) : undefined;
    if (text !== undefined) {
      this.#snapshot = text;
      return this.#take("formatRefused", nowMs);
    }
    // 4.xx is the answer to the Write itself; a 5.xx leaves its reason in Update Result, and so does a broken transfer.
    if (answer.outcome === "refused" && answer.code.startsWith("4.") && !isPassing(answer))
      return this.#onRefusal("transferRefused", answer.code, nowMs);
    return this.#look(nowMs);
  }

  #onExecuteAnswered(answer: RequestOutcome, nowMs: number): DriverOutput[] {
    this.#looks.outdate();
    this.#isExecuteOpen = false;
    if (this.#snapshot.state === "applying") return this.#onActivateAnswered(answer, nowMs);
    if (this.#snapshot.state !== "downloaded") return [];
    if (answer.outcome === "accepted") return this.#take("executed", nowMs);
    if (answer.outcome === "noAnswer") return this.#look(nowMs);
    // At once it would be as busy; the next look is soon enough.
    if (isPassing(answer)) return [];
    return this.#onRefusal("executeRefused", answer.code, nowMs);
  }

  #onActivateAnswered(answer: RequestOutcome, nowMs: number): DriverOutput[] {
    if (answer.outcome !== "refused" || isPassing(answer)) return this.#look(nowMs);
    return this.#onRefusal("executeRefused", answer.code, nowMs);
  }

  #onResetAnswered(answer: RequestOutcome, nowMs: number): DriverOutput[] {
    this.#looks.outdate();
    return answer.outcome === "noAnswer" ? [] : this.#take("resetSent", nowMs);
  }

  #onProgress(acknowledgedBytes: number, nowMs: number): DriverOutput[] {
    // A device that asks for the same block for ever gets no further.
    if (this.#snapshot.state !== "transferring" || acknowledgedBytes === this.#snapshot.acknowledgedBytes) return [];
    this.#snapshot = withProgress(this.#snapshot, acknowledgedBytes);
    this.#patience.progressed(nowMs);
    return [];
  }

  #onWake(nowMs: number): DriverOutput[] {
    const due = this.#patience.takeDue(nowMs);
    if (due === undefined) return [];
    if (due === "applyOverdue" && this.#patience.isDeferred) return this.#take("deferredTooLong", nowMs);
    if (due !== "retry" && due !== "poll") return this.#take(due, nowMs);
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
      ...(HAS_IMAGE.has(event) && { acknowledgedBytes: this.#package.sizeBytes }),
    };
    if (arrow.to !== from) this.#patience.entered(arrow.to, nowMs);
    const sentence = this.#sentence(event, from);
    const actions = arrow.actions.flatMap((action) => this.#act(action, nowMs));
    if (sentence === undefined) return actions;
    return [{ kind: "transition", from, event, sentence, snapshot: this.#snapshot }, ...actions];
  }

  #reportedFailure(): FailureKind {
    return FAILURE_OF_RESULT[this.#report?.firmware?.result ?? 0] ?? "connectionLost";
  }

  #sentence(event: UpdateEvent, from: UpdateState): string | undefined {
    const { transferCount, executeCount, choice, packageChoice, acknowledgedBytes, state } = this.#snapshot;
    const sentence = sentenceFor(event, {
      imageVersion: this.#order.imageVersion,
      report: this.#report,
      choice: choice ?? undefined,
      packageChoice,
      totalBytes: this.#package.sizeBytes,
      acknowledgedBytes,
      responseCode: this.#responseCode,
      why: this.#why,
      attempt: Math.max(transferCount, executeCount),
      attemptCount: this.#policy.transferAttemptCount,
      delayMs: this.#patience.retryDelayMs(transferCount),
      limitMs: this.#limitMs(event),
      isHeld: state === "waitingToApply" || state === "downloaded",
      objectName: updateObjectOf(this.#order.target).name,
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

  #act(action: UpdateAction, nowMs: number): DriverOutput[] {
    switch (action) {
      case "look":
        return this.#look(nowMs);
      case "startTransfer":
        return this.#startTransfer();
      case "resumeTransfer":
        return this.#resumeTransfer();
      case "scheduleTransfer":
        this.#patience.scheduleRetry(this.#snapshot.transferCount, nowMs);
        this.#snapshot = { ...this.#snapshot, transferStarted: false };
        return [];
      case "resetDevice":
        return this.#resetDevice();
      case "execute":
        this.#snapshot = { ...this.#snapshot, executeCount: this.#snapshot.executeCount + 1 };
        this.#isExecuteOpen = true;
        this.#looks.outdate();
        return [{ kind: "execute", step: this.#snapshot.isInactive ? "activate" : "install" }];
      case "activate":
        this.#snapshot = { ...this.#snapshot, executeCount: this.#snapshot.executeCount + 1 };
        this.#looks.outdate();
        return [{ kind: "execute", step: "activate" }];
      case "stopTransfer":
        this.#pushRunning = false;
        return [{ kind: "stopTransfer" }];
      case "observe":
      case "withdrawExecute":
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
    const { choice } = this.#snapshot;
    if (choice === null) throw new BugError("NO_CHOICE", "a transfer starts only after its way was chosen");
    this.#snapshot = withTransfer(this.#snapshot, this.#report);
    this.#pushRunning = choice.kind === "push";
    this.#pushBroke = false;
    this.#looks.outdate();
    const holdBack = !this.#snapshot.apply && this.#report?.firmware?.automaticUpgrade === true;
    return [{ kind: "startTransfer", choice, packageId: this.#package.id, offset: 0, holdBack }];
  }

  /** The device may still have what was acknowledged; if it has not, it asks for the beginning (4.08). */
  #resumeTransfer(): DriverOutput[] {
    const { choice, acknowledgedBytes } = this.#snapshot;
    if (choice === null) throw new BugError("NO_CHOICE", "a transfer goes on only after its way was chosen");
    this.#snapshot = withResumption(this.#snapshot);
    this.#pushRunning = true;
    this.#pushBroke = false;
    this.#looks.outdate();
    return [{ kind: "startTransfer", choice, packageId: this.#package.id, offset: acknowledgedBytes, holdBack: false }];
  }

  #resetDevice(): DriverOutput[] {
    // Where the server has sent nothing, there is nothing of ours to take back.
    if (this.#snapshot.state !== "waiting" && !this.#snapshot.transferStarted && !this.#snapshot.transferCount)
      return [];
    this.#resetCount += 1;
    const form = resetFormFor(this.#order.target, this.#report?.firmware ?? undefined, this.#resetCount);
    return [{ kind: "resetDevice", form }];
  }
}

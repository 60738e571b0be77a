/** Devices that take updates as a campaign's delivery would report them: good, failing, silent, slow, sleeping, falling back, losing power. */
import type { Random } from "@airlift/protocol/lib/core";
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import type { FailureKind, UpdateState } from "@airlift/protocol/update/device-update";

/** How a device takes an update. */
export const BEHAVIOURS = ["good", "failing", "silent", "slow", "sleeping", "fallingBack", "powerLosing"] as const;

export type Behaviour = (typeof BEHAVIOURS)[number];

/** One change that a device's update goes through. */
export interface Report {
  readonly campaignId: string;
  readonly endpoint: string;
  readonly attempt: number;
  readonly state: UpdateState;
  readonly failure: FailureKind | null;
  readonly sentence: string;
}

interface Step {
  readonly state: UpdateState;
  readonly afterMs: number;
  readonly failure?: FailureKind;
}

interface Running {
  readonly campaignId: string;
  readonly attempt: number;
  readonly version: string;
  readonly steps: Step[];
  isHeld: boolean;
}

export interface DeliveryOptions {
  readonly random: Random;
  behaviourOf(endpoint: string): Behaviour;
  /** The device runs this version from now on. */
  onInstalled(endpoint: string, version: string): void;
}

/** Delivery in virtual time: `begin`, `apply` and `cancel` as a server's, `due` gives what devices report by then. */
export class DeliveryModel {
  readonly #options: DeliveryOptions;
  readonly #running = new Map<string, Running>();
  readonly #deadlines = new Deadlines<string>();
  /** Attempts that were ever begun: each once. */
  readonly begun = new Set<string>();

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  get wakeAtMs(): number | undefined {
    return this.#deadlines.earliestMs;
  }

  isRunning(endpoint: string): boolean {
    return this.#running.has(endpoint);
  }

  /** Begins an attempt; false when it was begun before, or the device has another. */
  begin(endpoint: string, of: Pick<Running, "campaignId" | "attempt" | "version">, nowMs: number): boolean {
    const key = `${of.campaignId} ${endpoint} ${of.attempt}`;
    if (this.begun.has(key) || this.#running.has(endpoint)) return false;
    this.begun.add(key);
    const running = { ...of, steps: this.#downloadOf(this.#options.behaviourOf(endpoint)), isHeld: false };
    this.#running.set(endpoint, running);
    this.#schedule(endpoint, running, nowMs);
    return true;
  }

  apply(endpoint: string, attempt: number, nowMs: number): void {
    const running = this.#running.get(endpoint);
    if (!running?.isHeld || running.attempt !== attempt) return;
    running.isHeld = false;
    running.steps.push(...this.#installOf(this.#options.behaviourOf(endpoint)));
    this.#schedule(endpoint, running, nowMs);
  }

  /** Ends an attempt softly; who installs goes on. Undefined when there is nothing to end. */
  cancel(endpoint: string, attempt: number): Report | undefined {
    const running = this.#running.get(endpoint);
    if (!running || running.attempt !== attempt) return undefined;
    if (!running.isHeld && running.steps.every(({ state }) => state !== "waitingToApply")) return undefined;
    this.#running.delete(endpoint);
    this.#deadlines.delete(endpoint);
    return { ...running, endpoint, state: "cancelled", failure: null, sentence: "cancelled by the operator" };
  }

  /** Everything that devices have reported by now. */
  due(nowMs: number): Report[] {
    const reports: Report[] = [];
    for (let one = this.#deadlines.popDue(nowMs); one !== undefined; one = this.#deadlines.popDue(nowMs)) {
      const running = this.#running.get(one);
      const step = running?.steps.shift();
      if (running && step) reports.push(this.#advance(one, { running, step }, nowMs));
    }
    return reports;
  }

  #advance(endpoint: string, { running, step }: { running: Running; step: Step }, nowMs: number): Report {
    const { state, failure = null } = step;
    if (state === "waitingToApply") running.isHeld = true;
    if (state === "succeeded") this.#options.onInstalled(endpoint, running.version);
    if (running.steps.length > 0) this.#schedule(endpoint, running, nowMs);
    else if (!running.isHeld) this.#running.delete(endpoint);
    const { campaignId, attempt } = running;
    const sentence = failure === null ? `the device is ${state}` : `failed: ${failure}`;
    return { campaignId, endpoint, attempt, state, failure, sentence };
  }

  #schedule(endpoint: string, { steps }: Running, nowMs: number): void {
    const [next] = steps;
    if (next) this.#deadlines.set(endpoint, nowMs + next.afterMs);
  }

  #downloadOf(behaviour: Behaviour): Step[] {
    const minutes = (from: number, to: number): number =>
      Math.round((from + this.#options.random() * (to - from)) * 60_000);
    const held: Step[] = [
      { state: "transferring", afterMs: 500 },
      { state: "waitingToApply", afterMs: behaviour === "slow" ? minutes(60, 240) : minutes(1, 4) },
    ];
    if (behaviour === "sleeping") return [{ state: "waiting", afterMs: minutes(1, 360) }, ...held];
    if (behaviour === "silent") return [{ state: "silent", afterMs: 24 * 3_600_000 }];
    if (behaviour === "powerLosing" && this.#options.random() < 0.5)
      return [
        { state: "transferring", afterMs: 500 },
        { state: "failed", failure: "connectionLost", afterMs: minutes(1, 30) },
      ];
    return held;
  }

  #installOf(behaviour: Behaviour): Step[] {
    const applying: Step = { state: "applying", afterMs: 1000 };
    if (behaviour === "failing") return [applying, { state: "failed", failure: "updateFailed", afterMs: 30_000 }];
    if (behaviour === "fallingBack")
      return [applying, { state: "confirming", afterMs: 20_000 }, { state: "fellBack", afterMs: 60_000 }];
    return [applying, { state: "confirming", afterMs: 20_000 }, { state: "succeeded", afterMs: 5000 }];
  }
}

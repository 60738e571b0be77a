/** One package above the firmware (object 9): its download and installation run the core of object 5. */
import { CODE } from "@airlift/protocol/coap/codes";
import { BugError, UsageError } from "@airlift/protocol/lib/errors";
import { SOFTWARE_MANAGEMENT_ID } from "@airlift/protocol/lwm2m/objects/software-management";
import {
  restarted,
  SOFTWARE_MANAGEMENT,
  type SoftwareAction,
  type SoftwareEvent,
  type SoftwareNews,
  type SoftwareRequest,
  type SoftwareResult,
  type SoftwareState,
} from "@airlift/protocol/update/software-management";
import { CODE_OF_ANSWER, PackagePushes } from "./package-pushes.ts";
import type { UpdateHandlers } from "./ports.ts";
import type { PullClient, PullDesk } from "./pull-desk.ts";
import { pullListener } from "./pull-listener.ts";
import type { PullListener } from "./puller.ts";
import type { PersistedSoftware, SoftwareHandlers, SoftwareOptions } from "./software-ports.ts";
import { inTime } from "./time-limit.ts";
import { Trial } from "./trial.ts";
import { fromStore, toStore } from "./update/persisted.ts";
import { eventsOf } from "./update/software-news.ts";
import { UpdateRunner } from "./update-runner.ts";

export interface SoftwarePorts {
  readonly desk: PullDesk;
  readonly acceptsPushes: boolean;
  readonly trialTimeoutMs: number;
  readonly handlerTimeoutMs: number;
  readonly upgradeTimeoutMs: number;
  readonly upgradeDelayMs: number | undefined;
  isPullable(uri: string): boolean;
  /** Update State, Update Result, Activation State or the reason may have changed. */
  onChanged(member: SoftwareMember): void;
  onPause: PullListener["onPause"];
  onRestarting(): void;
  onFailure(member: SoftwareMember, what: string, error: unknown): void;
}

/** A package and what the last run left of it. */
export interface StoredSoftware {
  readonly options: SoftwareOptions;
  readonly persisted: PersistedSoftware;
}

const NOTHING: PersistedSoftware = {
  state: "initial",
  result: "initial",
  download: { state: "idle", result: "initial" },
};

/** The handler that an action of the table calls, and what its end is called. */
const CALLS = {
  uninstall: ["uninstall", "uninstallDone", "uninstallFailed"],
  activate: ["activate", "activationDone", "activationFailed"],
  deactivate: ["deactivate", "deactivationDone", "deactivationFailed"],
} as const satisfies Partial<Record<SoftwareAction, readonly [keyof SoftwareHandlers, SoftwareNews, SoftwareNews]>>;

/** @throws whatever the package's store rejects with. */
export async function loadSoftware(options: SoftwareOptions): Promise<StoredSoftware> {
  return { options, persisted: options.store ? await options.store.load() : NOTHING };
}

export class SoftwareMember {
  readonly instance: number;
  readonly handlers: SoftwareHandlers;
  readonly pushes: PackagePushes;
  trial: Trial | undefined;
  /** Why the last action failed; empty when it did not. */
  reason = "";
  readonly #options: SoftwareOptions;
  readonly #ports: SoftwarePorts;
  readonly #runner: UpdateRunner;
  readonly #pulls: PullClient;
  #facts: { readonly state: SoftwareState; readonly result: SoftwareResult };

  constructor(instance: number, { options, persisted }: StoredSoftware, ports: SoftwarePorts) {
    this.instance = instance;
    this.handlers = options.handlers;
    this.#options = options;
    this.#ports = ports;
    this.#facts = restarted(persisted.state, persisted.result);
    this.#runner = this.#createRunner(persisted);
    this.#pulls = ports.desk.client(
      pullListener(this.#runner, (...news) => ports.onPause(...news)),
      options.handlers,
    );
    this.pushes = new PackagePushes(this.#runner, ports.acceptsPushes, {
      path: `${SOFTWARE_MANAGEMENT_ID}/${instance}/2`,
      isBusy: () => this.#facts.state !== "initial",
    });
  }

  get facts(): { readonly state: SoftwareState; readonly result: SoftwareResult } {
    return this.#facts;
  }

  start(): void {
    this.#follow();
    if (this.#runner.facts.state === "updating") this.#beginTrial();
    this.#runner.feed({ kind: "start" });
  }

  stop(): void {
    this.trial?.stop();
    this.#pulls.stop();
    this.#runner.stop();
  }

  async writeUri(uri: string): Promise<number> {
    if (uri !== "" && this.#facts.state !== "initial") return CODE.methodNotAllowed;
    const supported = this.#ports.isPullable(uri);
    return CODE_OF_ANSWER[await this.#runner.request({ kind: "writeUri", uri, supported })];
  }

  /** The response code of a request; one that a handler has to carry out is answered when it has. */
  async request(request: Exclude<SoftwareRequest, "writePackage">): Promise<number> {
    const arrow = SOFTWARE_MANAGEMENT[this.#facts.state][request];
    if (!arrow) return CODE.methodNotAllowed;
    const [action] = arrow.actions;
    if (action === "install") return this.#install();
    this.#move(request);
    switch (action) {
      case undefined:
        return CODE.changed;
      case "forget":
        this.#runner.feed({ kind: "moved", event: "reset" });
        return CODE.changed;
      case "prepare":
        return (await this.#call("prepareUpgrade")) ? CODE.changed : CODE.internalServerError;
      default:
        return this.#carryOut(CALLS[action]);
    }
  }

  /** @throws {UsageError} RESULT_NOT_SETTABLE */
  setResult(result: "installed" | "installFailed"): void {
    if (this.#facts.state !== "installing") {
      throw new UsageError("RESULT_NOT_SETTABLE", `nothing is being installed in ${this.#facts.state}`, { result });
    }
    this.#runner.feed({ kind: "moved", event: result === "installed" ? "installed" : "refused.failed" });
  }

  // ---- requests ----

  async #install(): Promise<number> {
    const answered = this.#runner.request({ kind: "executeUpdate" });
    if (this.#runner.facts.state === "updating") this.#move("install");
    return CODE_OF_ANSWER[await answered];
  }

  async #carryOut([handler, done, failed]: (typeof CALLS)[keyof typeof CALLS]): Promise<number> {
    const isDone = await this.#call(handler);
    this.#move(isDone ? done : failed);
    return isDone ? CODE.changed : CODE.internalServerError;
  }

  /** Whether the handler did what it should; one that is not there has nothing to do. */
  async #call(handler: "uninstall" | "activate" | "deactivate" | "prepareUpgrade"): Promise<boolean> {
    try {
      await inTime(this.handlers[handler]?.(), this.#ports.handlerTimeoutMs, handler);
      return true;
    } catch (error) {
      this.#failed(handler, error);
      return false;
    }
  }

  // ---- what happens inside ----

  #move(event: SoftwareEvent): void {
    const { state, result } = this.#facts;
    const arrow = SOFTWARE_MANAGEMENT[state][event];
    if (!arrow) throw new BugError("SOFTWARE_EVENT", `no ${event} in ${state}`, { event, state });
    this.#facts = { state: arrow.to, result: arrow.extra === "unchanged" ? result : arrow.extra };
    if (event === "writePackage" || event === "install") this.reason = "";
    void this.#save();
    this.#ports.onChanged(this);
  }

  /** Brings the package to where its download and installation stand. */
  #follow(): void {
    for (const event of eventsOf(this.#facts.state, this.#runner.facts)) this.#move(event);
  }

  #failed(what: string, error: unknown): void {
    this.reason = error instanceof Error ? error.message : String(error);
    this.#ports.onFailure(this, what, error);
  }

  async #save(): Promise<void> {
    const { store } = this.#options;
    try {
      const persisted = { ...this.#facts, download: toStore(this.#runner.facts) };
      await inTime(store?.save(persisted), this.#ports.handlerTimeoutMs, "save");
    } catch (error) {
      this.#failed("save", error);
    }
  }

  // ---- parts ----

  #createRunner({ download }: PersistedSoftware): UpdateRunner {
    const ports = this.#ports;
    const runner: UpdateRunner = new UpdateRunner({
      persisted: fromStore(download),
      handlers: this.#updateHandlers(),
      store: { load: async () => download, save: () => this.#save() },
      utcMs: Date.now,
      upgradeDelayMs: ports.upgradeDelayMs,
      upgradeTimeoutMs: ports.upgradeTimeoutMs,
      handlerTimeoutMs: ports.handlerTimeoutMs,
      onStartPull: (start) => this.#pulls.start(start),
      onPullNext: (pull) => this.#pulls.next(pull, runner.storedBytes),
      onStopPull: () => this.#pulls.stop(),
      onChanged: () => this.#follow(),
      onProgress: () => undefined,
      onRestarting: () => ports.onRestarting(),
      onFailure: (what, error) => this.#failed(what, error),
    });
    return runner;
  }

  #updateHandlers(): UpdateHandlers {
    const { handlers } = this;
    return {
      openStream: (origin) => handlers.openStream(origin),
      write: (bytes) => handlers.write(bytes),
      reset: () => handlers.reset(),
      finish: () => {
        if (this.#facts.state === "downloadStarted") this.#move("received");
        return handlers.finish();
      },
      performUpgrade: () => handlers.install(),
    };
  }

  #beginTrial(): void {
    const { handlers } = this;
    if (handlers.confirm === undefined) return;
    this.trial = new Trial({
      confirm: () => handlers.confirm?.(),
      onDecided: (error) => {
        if (error !== undefined) this.#failed("confirm", error);
        this.setResult(error === undefined ? "installed" : "installFailed");
      },
      onExpired: () => this.#ports.onRestarting(),
      timeoutMs: this.#ports.trialTimeoutMs,
      confirmTimeoutMs: this.#ports.upgradeTimeoutMs,
    });
  }
}

/** Runs the update's core: calls the handlers, saves, and gives each request its answer. */
import { BugError } from "@airlift/protocol/lib/errors";
import { type Driven, drive } from "@airlift/runtime/drive";
import {
  HandlerError,
  type HandlerFailure,
  type UpdateHandlers,
  type UpdateStore,
  type UpgradeProgress,
} from "./ports.ts";
import { inTime } from "./time-limit.ts";
import { FirmwareUpdate } from "./update/firmware-update.ts";
import type { AnswerCode, HandlerOutcome, Standing, UpdateInput, UpdateOutput } from "./update/messages.ts";
import { type Persisted, toStore } from "./update/persisted.ts";

type Call = Extract<UpdateOutput, { kind: "call" }>;
// biome-ignore lint/suspicious/noConfusingVoidType: what the handlers of an integrator return.
type HandlerAnswer = UpgradeProgress | void;
type Exchanging = Extract<UpdateInput, { exchange: number }>;
/** A request that has no number yet. */
export type UpdateRequest = Exchanging extends infer Each
  ? Each extends unknown
    ? Omit<Each, "exchange">
    : never
  : never;

export interface UpdateRunnerOptions {
  readonly persisted: Persisted;
  readonly handlers: UpdateHandlers;
  /** One of several, whose handlers may also tell of the others (object 33629); default no. */
  readonly isComponent?: boolean;
  readonly store: UpdateStore | undefined;
  readonly utcMs: () => number;
  readonly upgradeDelayMs?: number | undefined;
  /** As `FirmwareUpdateOptions.allowsDeferral`. */
  readonly allowsDeferral?: boolean;
  /** How long `performUpgrade` may take. */
  readonly upgradeTimeoutMs: number;
  /** How long each of the other handlers, and the store, may take. */
  readonly handlerTimeoutMs: number;
  onStartPull(start: Extract<UpdateOutput, { kind: "startPull" }>): void;
  onPullNext(pull: number): void;
  onStopPull(): void;
  /** `standing` is where these changes led, which need not be where the update stands now. */
  onChanged(resources: readonly number[], standing: Standing): void;
  /** So many octets of the package in Downloading are stored. */
  onProgress(storedBytes: number): void;
  /** `performUpgrade` said that the device restarts now. */
  onRestarting(): void;
  /** A handler or the store failed. */
  onFailure(what: Call["handler"] | "save", error: unknown): void;
}

export class UpdateRunner {
  readonly #options: UpdateRunnerOptions;
  readonly #core: FirmwareUpdate;
  readonly #driven: Driven<UpdateInput>;
  readonly #answers = new Map<number, (code: AnswerCode) => void>();
  readonly #queue: UpdateOutput[] = [];
  #isPerforming = false;
  #isStopped = false;
  #exchangeCount = 0;

  constructor(options: UpdateRunnerOptions) {
    this.#options = options;
    const { upgradeDelayMs, utcMs, allowsDeferral = true } = options;
    this.#core = new FirmwareUpdate(options.persisted, {
      utcMs,
      allowsDeferral,
      ...(upgradeDelayMs !== undefined && { upgradeDelayMs }),
    });
    this.#driven = drive<UpdateInput, UpdateOutput>(this.#core, { kind: "wake" }, (output) => {
      this.#queue.push(output);
      this.#wakePerformer();
    });
  }

  get facts(): Persisted {
    return this.#core.facts;
  }

  get storedBytes(): number {
    return this.#core.storedBytes;
  }

  /** @throws {UsageError} RESULT_NOT_SETTABLE */
  feed(input: Exclude<UpdateInput, Exchanging>): void {
    if (!this.#isStopped) this.#driven.feed(input);
  }

  /** The code that answers a request of the server. */
  request(request: UpdateRequest): Promise<AnswerCode> {
    return new Promise((resolve) => {
      this.#exchangeCount += 1;
      this.#answers.set(this.#exchangeCount, resolve);
      this.#driven.feed({ ...request, exchange: this.#exchangeCount } as Exchanging);
    });
  }

  /** Nothing is called or saved after this. */
  stop(): void {
    this.#isStopped = true;
    this.#driven.stop();
  }

  /** Not at once: what performing one output feeds must not overtake the outputs that stand behind it. */
  #wakePerformer(): void {
    if (this.#isPerforming) return;
    this.#isPerforming = true;
    queueMicrotask(() => void this.#performAll());
  }

  /** In order, and what follows a save only when it is on the disk. */
  async #performAll(): Promise<void> {
    for (let output = this.#queue.shift(); output !== undefined; output = this.#queue.shift()) {
      if (this.#isStopped) break;
      if (output.kind === "save") await this.#save(output.persisted);
      else this.#perform(output);
    }
    this.#isPerforming = false;
  }

  #perform(output: Exclude<UpdateOutput, { kind: "save" }>) {
    switch (output.kind) {
      case "answer":
        this.#answers.get(output.exchange)?.(output.code);
        this.#answers.delete(output.exchange);
        return;
      case "call":
        void this.#call(output);
        return;
      case "startPull":
        return this.#options.onStartPull(output);
      case "pullNext":
        return this.#options.onPullNext(output.pull);
      case "stopPull":
        return this.#options.onStopPull();
      case "changed":
        return this.#options.onChanged(output.resources, output);
    }
  }

  async #save(persisted: Persisted): Promise<void> {
    try {
      const { store, handlerTimeoutMs } = this.#options;
      await inTime(store?.save(toStore(persisted)), handlerTimeoutMs, "save");
    } catch (error) {
      this.#options.onFailure("save", error);
    }
  }

  async #call(call: Call): Promise<void> {
    const outcome = await this.#outcomeOf(call);
    if (this.#isStopped) return;
    this.#driven.feed({ kind: "handlerSettled", call: call.call, outcome });
    if (call.handler === "write" && outcome.ok) this.#options.onProgress(this.#core.storedBytes);
    if (outcome.ok && outcome.value === "restarting") this.#options.onRestarting();
  }

  async #outcomeOf(call: Call): Promise<HandlerOutcome> {
    try {
      const { handlerTimeoutMs, upgradeTimeoutMs } = this.#options;
      const limitMs = call.handler === "performUpgrade" ? upgradeTimeoutMs : handlerTimeoutMs;
      return { ok: true, value: (await inTime(this.#invoke(call), limitMs, call.handler)) ?? undefined };
    } catch (error) {
      this.#options.onFailure(call.handler, error);
      return { ok: false, reason: this.#reasonOf(error) };
    }
  }

  /** A reason that object 5 has no result for counts as none. */
  #reasonOf(error: unknown): HandlerFailure | undefined {
    if (!(error instanceof HandlerError)) return undefined;
    const isOfComponents = error.result === "conflictingState" || error.result === "dependencyError";
    return isOfComponents && !this.#options.isComponent ? undefined : error.result;
  }

  #invoke(call: Call): HandlerAnswer | Promise<HandlerAnswer> {
    const { handlers } = this.#options;
    switch (call.handler) {
      case "openStream":
        return handlers.openStream(call.origin);
      case "write":
        return handlers.write(call.bytes);
      case "finish":
        return handlers.finish();
      case "reset":
        return handlers.reset();
      case "performUpgrade":
        return handlers.performUpgrade(call.order);
      default:
        throw new BugError("HANDLER", "no such handler");
    }
  }
}

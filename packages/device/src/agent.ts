/**
 * The update agent: a LwM2M client that registers, answers its server, and carries firmware updates to the handlers.
 *
 * Composes the cores (update, transfer, session, objects) with one channel to the server.
 */
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import type { FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";
import { AgentHome } from "./agent-home.ts";
import { type AgentEvent, type AgentSettings, settle, type UpdateAgentOptions } from "./agent-options.ts";
import { type AgentParts, composeAgent } from "./agent-parts.ts";
import { type AgentUnits, loadUnits } from "./agent-units.ts";
import type { Component } from "./component-ports.ts";
import { fromInitialState } from "./initial-state.ts";
import type { Software } from "./software-ports.ts";
import { Trial } from "./trial.ts";
import { DEFAULT_UPGRADE_DELAY_MS } from "./update/firmware-update.ts";
import { FACTORY, fromStore, type Persisted } from "./update/persisted.ts";

export interface UpdateAgent {
  /**
   * Takes up what the last run left, opens the socket and registers; settles before the server has answered. Once.
   *
   * @throws {EnvironmentError} PORT_IN_USE and the like, or what the store's `load` fails with.
   */
  start(): Promise<void>;
  /** Ends everything; says goodbye to the server unless told not to, as before a restart. May be called twice. */
  close(how?: { readonly saysGoodbye?: boolean }): Promise<void>;
  /**
   * The outcome of an update that `performUpgrade` left pending, or an error that ends one that is under way: `success` in
   * Updating, `deferred` where the server allows a deferral, results 2 … 9 but in Idle. Not before the start.
   *
   * @throws {UsageError} RESULT_NOT_SETTABLE
   */
  setResult(result: UpdateResult): void;
  /** Begins an update that was deferred. @throws {UsageError} RESULT_NOT_SETTABLE */
  acceptUpdate(): void;
  /**
   * Closes the connection of a pull, and lets none be opened until `resumePulls`. What is stored is kept, the State stays
   * Downloading. May be called before the start, and more than once.
   */
  suspendPulls(): void;
  /** Goes on with what was suspended, and ends the pause of a pull that waits for its next try. */
  resumePulls(): void;
  /**
   * In offline mode nothing is sent and nothing received; a pull flows only when it is neither suspended nor offline. Back
   * online the agent registers anew. May be called before the start, and more than once.
   */
  setOffline(isOffline: boolean): void;
  readonly state: FirmwareState;
  readonly result: UpdateResult;
  readonly isRegistered: boolean;
  /** /5/0/11: 0 critical, 1 mandatory, 2 optional. */
  readonly severity: number;
  /** /5/0/12, seconds since 1970. */
  readonly lastStateChangeAtS: number;
  /** Until when the update may be put off, seconds since 1970; `undefined` when there is no limit, or no update. */
  readonly updateDeadlineAtS: number | undefined;
  /** One of the components, after the start. @throws {UsageError} NO_COMPONENT, AGENT_NOT_RUNNING */
  component(instance: number): Component;
  /** One of the packages above the firmware, after the start. @throws {UsageError} NO_SOFTWARE, AGENT_NOT_RUNNING */
  software(instance: number): Software;
}

/** @throws {UsageError} AGENT_OPTIONS, with `facts.mistakes`. */
export function createUpdateAgent(options: UpdateAgentOptions): UpdateAgent {
  return new Agent(settle(options));
}

class Agent implements UpdateAgent {
  readonly #settings: AgentSettings;
  readonly #home: AgentHome;
  #parts: AgentParts | undefined;
  #isStarted = false;
  #isClosed = false;
  #isSuspended = false;
  #isOffline = false;
  #trial: Trial | undefined;
  #restarting: NodeJS.Timeout | undefined;

  constructor(settings: AgentSettings) {
    this.#settings = settings;
    this.#home = new AgentHome({
      settings,
      loss: this.#loss,
      registrar: () => this.#parts?.registrar,
      tell: (event) => this.#tell(event),
    });
  }

  get state(): FirmwareState {
    return this.#facts.state;
  }

  get result(): UpdateResult {
    return this.#facts.result;
  }

  get isRegistered(): boolean {
    return this.#parts?.registrar.isRegistered ?? false;
  }

  get severity(): number {
    return this.#facts.severity;
  }

  get lastStateChangeAtS(): number {
    return this.#facts.lastStateChangeAtS;
  }

  get updateDeadlineAtS(): number | undefined {
    return this.#facts.updateDeadlineAtS;
  }

  get #facts(): Persisted {
    return this.#parts?.runner.facts ?? FACTORY;
  }

  async start(): Promise<void> {
    if (this.#isStarted) throw new UsageError("AGENT_STARTED", "an agent starts once");
    this.#isStarted = true;
    const persisted = await this.#load();
    const createUnits = await loadUnits(this.#settings);
    const home = this.#home;
    await home.prepare();
    // Whoever closed it meanwhile found nothing to close.
    if (this.#isClosed) return home.close();
    const parts = composeAgent(
      {
        settings: this.#settings,
        channel: home.link,
        account: () => home.account,
        bootstrap: home.trigger,
        onUnreachable: (failure) => home.unreachable(failure),
        loss: this.#loss,
        tell: (event) => this.#tell(event),
        restart: () => this.#restart(),
        onRegistered: () => {
          void this.#trial?.succeed();
          home.registered();
        },
        isReady: () => this.#trial?.decided,
        createUnits,
      },
      persisted,
    );
    this.#parts = parts;
    if (persisted.state === "updating") this.#beginTrial();
    parts.puller.suspend(this.#isSuspended || this.#isOffline);
    parts.runner.feed({ kind: "start" });
    for (const unit of parts.units.all) unit.start();
    if (!this.#isOffline) home.open();
  }

  async close({ saysGoodbye = true }: { readonly saysGoodbye?: boolean } = {}): Promise<void> {
    const parts = this.#parts;
    this.#parts = undefined;
    this.#isClosed = true;
    this.#trial?.stop();
    clearTimeout(this.#restarting);
    if (parts === undefined) return;
    parts.desk.close();
    parts.runner.stop();
    for (const unit of parts.units.all) unit.stop();
    parts.observers.stop();
    this.#home.stop();
    await parts.registrar.close(saysGoodbye && !this.#isOffline);
    await this.#home.close();
  }

  setResult(result: UpdateResult): void {
    this.#parts?.runner.feed({ kind: "setResult", result });
  }

  acceptUpdate(): void {
    this.#parts?.runner.feed({ kind: "accept" });
  }

  component(instance: number): Component {
    return this.#units.components.component(instance);
  }

  software(instance: number): Software {
    return this.#units.software.software(instance);
  }

  get #units(): AgentUnits {
    if (!this.#parts) throw new UsageError("AGENT_NOT_RUNNING", "the agent has not started, or is closed");
    return this.#parts.units;
  }

  suspendPulls(): void {
    this.#isSuspended = true;
    this.#parts?.puller.suspend(true);
  }

  resumePulls(): void {
    this.#isSuspended = false;
    this.#parts?.puller.suspend(this.#isOffline);
  }

  setOffline(isOffline: boolean): void {
    if (this.#isOffline === isOffline) return;
    this.#isOffline = isOffline;
    const parts = this.#parts;
    if (parts === undefined) return;
    parts.observers.clear();
    if (isOffline) this.#home.rest();
    else this.#home.open();
    parts.puller.suspend(this.#isSuspended || isOffline);
  }

  // ---- what happens inside ----

  readonly #loss = (direction: "in" | "out", datagram: Uint8Array): boolean =>
    this.#isOffline || this.#settings.loss?.(direction, datagram) === true;

  async #load(): Promise<Persisted> {
    const { store, initialState } = this.#settings;
    if (store) return fromStore(await store.load());
    return initialState ? fromInitialState(initialState) : FACTORY;
  }

  /** Only where somebody can confirm it; else the outcome comes by `setResult`. */
  #beginTrial(): void {
    const { slots, handlers, trialTimeoutMs, upgradeTimeoutMs } = this.#settings;
    const confirm = slots ? () => slots.confirm() : handlers.confirm && (() => handlers.confirm?.());
    if (confirm === undefined) return;
    this.#trial = new Trial({
      confirm,
      onDecided: (error) => {
        if (error !== undefined) this.#tell({ kind: "failure", what: "confirm", error });
        // The old image is not far, and its start tells the failure.
        if (isUnhealthy(error) && this.#settings.reboot) return this.#restart();
        this.setResult(error === undefined ? "success" : "failed");
      },
      onExpired: () => this.#restart(),
      timeoutMs: trialTimeoutMs,
      confirmTimeoutMs: upgradeTimeoutMs,
    });
  }

  /** Soon, so that the answer to what caused it has left. */
  #restart(): void {
    this.#tell({ kind: "restarting" });
    const { reboot } = this.#settings;
    if (reboot) this.#restarting ??= setTimeout(reboot, DEFAULT_UPGRADE_DELAY_MS);
  }

  /** What a listener throws is told to the process as uncaught, and does not stand in the way of the update. */
  #tell(event: AgentEvent): void {
    try {
      this.#settings.onEvent?.(event);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

function isUnhealthy(error: unknown): boolean {
  return error instanceof EnvironmentError && error.code === "UNHEALTHY";
}

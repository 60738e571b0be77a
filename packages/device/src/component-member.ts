/** One component of a device: its runner, its door for packages, and whether it is on trial. */
import { ADVANCED_FIRMWARE_UPDATE_ID } from "@airlift/protocol/lwm2m/objects/advanced-firmware-update";
import type { FirmwareState } from "@airlift/protocol/update/firmware-update";
import type { ComponentHandlers, ComponentOptions, ReceivedPackage } from "./component-ports.ts";
import { PackagePushes } from "./package-pushes.ts";
import type { UpdateHandlers, UpgradeProgress } from "./ports.ts";
import type { PullClient, PullDesk } from "./pull-desk.ts";
import { pullListener } from "./pull-listener.ts";
import type { PullListener } from "./puller.ts";
import { Trial } from "./trial.ts";
import type { Standing } from "./update/messages.ts";
import { FACTORY, fromStore, type Persisted } from "./update/persisted.ts";
import { UpdateRunner } from "./update-runner.ts";

/** What a component asks of the set that it belongs to. */
export interface MemberPorts {
  readonly desk: PullDesk;
  readonly acceptsPushes: boolean;
  readonly upgradeDelayMs: number | undefined;
  readonly trialTimeoutMs: number;
  readonly handlerTimeoutMs: number;
  readonly upgradeTimeoutMs: number;
  /** What was received has been verified; rejects when it cannot be kept. */
  onReceived(member: Member, received: ReceivedPackage | undefined): Promise<void>;
  /** Those that are updated along; rejects when one is missing. */
  companions(member: Member): readonly number[];
  onChanged(member: Member, resources: readonly number[], standing: Standing): void;
  onProgress(member: Member, storedBytes: number, sizeBytes: number | undefined): void;
  onPause: PullListener["onPause"];
  onRestarting(): void;
  onFailure(member: Member, what: string, error: unknown): void;
}

/** A component and what the last run left of it. */
export interface StoredComponent {
  readonly options: ComponentOptions;
  readonly persisted: Persisted;
}

/** @throws whatever the component's store rejects with. */
export async function loadComponent(options: ComponentOptions): Promise<StoredComponent> {
  return { options, persisted: options.store ? fromStore(await options.store.load()) : FACTORY };
}

export class Member {
  readonly instance: number;
  readonly options: ComponentOptions;
  readonly runner: UpdateRunner;
  readonly pushes: PackagePushes;
  /** The state that the last report told. */
  seenState: FirmwareState;
  trial: Trial | undefined;
  readonly #ports: MemberPorts;
  readonly #pulls: PullClient;

  constructor(instance: number, { options, persisted }: StoredComponent, ports: MemberPorts) {
    this.instance = instance;
    this.options = options;
    this.seenState = persisted.state;
    this.#ports = ports;
    this.runner = this.#createRunner(persisted);
    this.#pulls = ports.desk.client(
      pullListener(this.runner, (...news) => ports.onPause(...news)),
      options.handlers,
    );
    this.pushes = new PackagePushes(this.runner, ports.acceptsPushes, {
      path: `${ADVANCED_FIRMWARE_UPDATE_ID}/${instance}/0`,
      isBusy: () => ports.desk.isBusy,
    });
  }

  /** Takes up what the last run left. */
  start(): void {
    if (this.runner.facts.state === "updating") this.#beginTrial();
    this.runner.feed({ kind: "start" });
  }

  stop(): void {
    this.trial?.stop();
    this.#pulls.stop();
    this.runner.stop();
  }

  #createRunner(persisted: Persisted): UpdateRunner {
    const ports = this.#ports;
    const { store } = this.options;
    const runner: UpdateRunner = new UpdateRunner({
      persisted,
      handlers: this.#handlers(this.options.handlers),
      isComponent: true,
      store,
      utcMs: Date.now,
      upgradeDelayMs: ports.upgradeDelayMs,
      upgradeTimeoutMs: ports.upgradeTimeoutMs,
      handlerTimeoutMs: ports.handlerTimeoutMs,
      onStartPull: (start) => this.#pulls.start(start),
      onPullNext: (pull) => this.#pulls.next(pull, runner.storedBytes),
      onStopPull: () => this.#pulls.stop(),
      onChanged: (resources, standing) => ports.onChanged(this, resources, standing),
      onProgress: (storedBytes) =>
        ports.onProgress(this, storedBytes, runner.facts.pulled ? ports.desk.puller.sizeBytes : undefined),
      onRestarting: () => ports.onRestarting(),
      onFailure: (what, error) => ports.onFailure(this, what, error),
    });
    return runner;
  }

  #handlers(handlers: ComponentHandlers): UpdateHandlers {
    return {
      openStream: (origin) => handlers.openStream(origin),
      write: (bytes) => handlers.write(bytes),
      reset: () => handlers.reset(),
      finish: async () => {
        await this.#ports.onReceived(this, (await handlers.finish()) ?? undefined);
      },
      performUpgrade: async (order): Promise<UpgradeProgress> =>
        handlers.performUpgrade({ ...order, along: this.#ports.companions(this) }),
    };
  }

  /** Only where somebody can confirm it; else the outcome comes by `setResult`. */
  #beginTrial(): void {
    const { handlers } = this.options;
    if (handlers.confirm === undefined) return;
    this.trial = new Trial({
      confirm: () => handlers.confirm?.(),
      onDecided: (error) => {
        if (error !== undefined) this.#ports.onFailure(this, "confirm", error);
        this.runner.feed({ kind: "setResult", result: error === undefined ? "success" : "failed" });
      },
      onExpired: () => this.#ports.onRestarting(),
      timeoutMs: this.#ports.trialTimeoutMs,
      confirmTimeoutMs: this.#ports.upgradeTimeoutMs,
    });
  }
}

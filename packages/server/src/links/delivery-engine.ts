/** The shell around the updates' core: performs what it asks for, keeps what it decides, tells it what came back. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Exchange, Update } from "@airlift/protocol/api/schemas";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { parseUpdateTarget } from "@airlift/protocol/update/update-target";
import { type Driven, drive } from "@airlift/runtime/drive";
import { Deliveries, type DeliveriesInput, type DeliveriesOutput } from "../delivery/deliveries.ts";
import { HAS_IMAGE } from "../delivery/device-update.ts";
import {
  type DriverInput,
  type DriverOutput,
  newSnapshot,
  type UpdateOrder,
  type UpdateSnapshot,
} from "../delivery/driver-messages.ts";
import { packageOf } from "../delivery/package-choice.ts";
import { DEFAULT_UPDATE_POLICY, type UpdatePolicy } from "../delivery/policy.ts";
import type { Stores, UnfinishedUpdate } from "../store/ports.ts";
import { DeliveryRecord, type Transition } from "./delivery-record.ts";
import { type ErrandOptions, Errands } from "./errands.ts";
import { ExchangeLog } from "./exchange-log.ts";

export interface DeliveryEngineOptions extends ErrandOptions {
  readonly stores: Stores;
  readonly policy?: UpdatePolicy | undefined;
  /** Whether a registered device sleeps now. Default: none does. */
  readonly isAsleep?: ((endpoint: string) => boolean) | undefined;
  /** Default `DEFAULT_UPDATE_LIMIT`. */
  readonly updateLimit?: number | undefined;
  /** How long a cancel waits until it is on record. Default `CANCEL_WAIT_MS`. */
  readonly cancelWaitMs?: number | undefined;
  /** Whether what this server drives is surely its own; while it is not, devices are left alone. Default: always. */
  readonly holdsLease?: (() => boolean) | undefined;
  /** Called with an update whenever a change of it is on record. */
  readonly onTransition?: ((update: Update) => void) | undefined;
}

/** What runs for one update beside its core. */
interface Running {
  /** Outputs are performed one after the other: a transition is on the disk before what follows from it. */
  tail: Promise<void>;
  /** False while a transition could not be stored: then nothing may follow from it. */
  isOnRecord: boolean;
  /** Another server has it, or may have it: nothing of it is done here any more. */
  isLetGo: boolean;
  /** Why what it was commanded could not be put on record. */
  refusal?: UsageError;
  readonly errands: Errands;
  readonly exchanges: ExchangeLog;
}

/** What an update's own record says when somebody else has it. */
const IS_ANOTHERS: ReadonlySet<string> = new Set(["UPDATE_TAKEN", "UPDATE_FINISHED", "UNKNOWN_UPDATE"]);

/** Whoever commands waits so long for it to be on record; it is done all the same. */
const CANCEL_WAIT_MS = 5_000;

export class DeliveryEngine {
  readonly #options: DeliveryEngineOptions;
  readonly #core: Deliveries;
  readonly #driven: Driven<DeliveriesInput, DeliveriesOutput>;
  readonly #running = new Map<string, Running>();
  /** Updates that are being looked up before they begin. */
  readonly #beginning = new Set<string>();
  /** Something is on record as this server's that does not run here. */
  #isOwnMissing = false;
  readonly #closing = new AbortController();
  readonly #record: DeliveryRecord;

  constructor(options: DeliveryEngineOptions) {
    this.#options = options;
    const { stores, log } = options;
    this.#record = new DeliveryRecord({ stores, log, closing: this.#closing.signal });
    this.#core = new Deliveries(options.policy ?? DEFAULT_UPDATE_POLICY, options.updateLimit);
    this.#driven = drive(this.#core, { kind: "wake" }, (output) => this.#enqueue(output));
  }

  get runningCount(): number {
    return this.#core.runningCount;
  }

  /** How often a device refused a block of a package with 4.13 and got smaller ones, since the start. */
  get smallerBlocksCount(): number {
    return this.#record.smallerBlocksCount;
  }

  /** Whether an update is driven here. */
  isRunning(updateId: string): boolean {
    return this.#running.has(updateId);
  }

  /**
   * Goes on with updates of an earlier run; those that run here already go on as they are. One that cannot
   * be taken up keeps no other from it, nor the server from serving.
   *
   * @throws {EnvironmentError} DATABASE_AWAY; `resume` takes up the rest.
   */
  async restore(unfinished: readonly UnfinishedUpdate[]): Promise<void> {
    for (const { update, snapshot } of unfinished) {
      try {
        await this.#begin(update, snapshot ?? newSnapshot(update.apply, update.attempt));
      } catch (error) {
        if (!(error instanceof UsageError)) {
          this.#isOwnMissing = true;
          throw error;
        }
        this.#options.log.error({ err: error, updateId: update.id }, "an update is left as it is");
      }
    }
  }

  /**
   * Goes on with what another server had until now. Whatever of it still runs here knows less than its record: this server was out of
   * breath when the other one took it.
   *
   * @throws {EnvironmentError} DATABASE_AWAY; `resume` takes up the rest.
   */
  async takeOver(claimed: readonly UnfinishedUpdate[]): Promise<void> {
    for (const { update } of claimed) this.letGo(update.id);
    await this.restore(claimed);
  }

  /**
   * Takes up what was let go, or could not be taken up, although its record says that it is this server's.
   *
   * @throws {EnvironmentError} DATABASE_AWAY; then it is called again.
   */
  async resume(): Promise<void> {
    if (!this.#isOwnMissing) return;
    const unfinished = await this.#options.stores.updates.unfinished();
    this.#isOwnMissing = false;
    await this.restore(unfinished);
  }

  /**
   * Takes up an update that was just created; returns when it is accepted, not when it ends. What is on record is not
   * dropped: while the database is away it waits, and where there is no room it is cancelled.
   *
   * @throws {UsageError} UPDATES_FULL
   */
  async start(update: Update): Promise<void> {
    const begin = () => this.#begin(update, newSnapshot(update.apply, update.attempt));
    try {
      await begin();
    } catch (error) {
      if (error instanceof EnvironmentError)
        this.#record.untilStored(update.id, begin).catch((lost) => this.#report(lost, update));
      else {
        const sentence = `cancelled: ${error instanceof Error ? error.message : "it could not be begun"}`;
        await this.#options.stores.updates.transition(update.id, { state: "cancelled", sentence });
        throw error;
      }
    }
  }

  /**
   * @throws {UsageError} UPDATE_STATE when it does not wait for that; UPDATE_FINISHED; UPDATE_TAKEN when another server drives it;
   *   CAMPAIGN_PERMIT when its campaign does not let it
   * @throws {EnvironmentError} DATABASE_AWAY when it is applied but that could not be recorded within 5 s
   */
  async apply(updateId: string): Promise<void> {
    await this.#takeUpOrRefuse(updateId);
    this.#command(updateId, "apply");
    await this.#untilOnRecord(updateId, "applied");
  }

  /**
   * The device is not asked to apply any more before `apply`; one that was asked already is left to it.
   *
   * @throws {UsageError} UPDATE_FINISHED; UPDATE_TAKEN when another server drives it; CAMPAIGN_PERMIT when its campaign lets it apply again
   * @throws {EnvironmentError} DATABASE_AWAY when it is held but that could not be recorded within 5 s
   */
  async hold(updateId: string): Promise<void> {
    await this.#takeUpOrRefuse(updateId);
    this.#command(updateId, "hold");
    await this.#untilOnRecord(updateId, "held");
  }

  /**
   * @throws {UsageError} UPDATE_STATE when it is too late; UPDATE_FINISHED; UPDATE_TAKEN when another server drives it
   * @throws {EnvironmentError} DATABASE_AWAY when it is cancelled but could not be recorded within 5 s
   */
  async cancel(updateId: string): Promise<void> {
    await this.#takeUpOrRefuse(updateId);
    this.#command(updateId, "cancel");
    await this.#untilOnRecord(updateId, "cancelled");
  }

  /** Nothing more is done here for an update that another server has; its record is left as it is. */
  letGo(updateId: string): void {
    const running = this.#running.get(updateId);
    if (running === undefined) return;
    running.isLetGo = true;
    running.errands.close();
    this.#running.delete(updateId);
    this.#driven.feed({ kind: "letGo", updateId });
  }

  /** Lets go of everything: another server may have taken it over. */
  letGoAll(): void {
    for (const updateId of [...this.#running.keys()]) this.#letGoOwn(updateId);
  }

  onRegistered(endpoint: string): void {
    this.#feedDevice(endpoint, { kind: "registered" });
  }

  /** A device in queue mode listens no more: it is not asked until it is awake. */
  onAsleep(endpoint: string): void {
    this.#feedDevice(endpoint, { kind: "asleep" });
  }

  onAwake(endpoint: string): void {
    this.#feedDevice(endpoint, { kind: "awake" });
  }

  onHeard(endpoint: string): void {
    this.#feedDevice(endpoint, { kind: "heard" });
  }

  onUnregistered(endpoint: string): void {
    this.#feedDevice(endpoint, { kind: "unregistered" });
  }

  /** The device is at another server, which takes its update along. */
  onLeft(endpoint: string): void {
    const updateId = this.#core.updateOf(endpoint);
    if (updateId !== undefined) this.letGo(updateId);
  }

  /** The device told by itself that something has changed; false when no update of it is driven. */
  onNotified(endpoint: string): boolean {
    const updateId = this.#core.updateOf(endpoint);
    if (updateId === undefined) return false;
    this.#feed(updateId, { kind: "notified" });
    return true;
  }

  /** Whether the device has an update that asks for reports by itself. */
  isDriving(endpoint: string): boolean {
    return this.#core.updateOf(endpoint) !== undefined;
  }

  /** The device has, or has been sent, so many octets. */
  onFetched(updateId: string, acknowledgedBytes: number): void {
    this.#running.get(updateId)?.exchanges.fetched(acknowledgedBytes);
    this.#feed(updateId, { kind: "progress", acknowledgedBytes });
  }

  /** Stops driving; what was decided is on record, and a later run goes on from it. */
  async close(): Promise<void> {
    this.#driven.stop();
    this.#closing.abort();
    for (const { errands } of this.#running.values()) errands.stopTransfer();
    await Promise.allSettled([...this.#running.values()].map(({ tail }) => tail));
  }

  async #begin(update: Update, snapshot: UpdateSnapshot): Promise<void> {
    if (this.#running.has(update.id) || this.#beginning.has(update.id)) return;
    this.#beginning.add(update.id);
    try {
      await this.#beginNew(update, snapshot);
    } finally {
      this.#beginning.delete(update.id);
    }
  }

  async #beginNew(update: Update, snapshot: UpdateSnapshot): Promise<void> {
    const { stores, registrationOf, isAsleep } = this.#options;
    const image = await stores.images.get(update.imageId);
    if (image === undefined) throw new UsageError("UNKNOWN_IMAGE", `there is no image ${update.imageId}`);
    const order: UpdateOrder = {
      updateId: update.id,
      endpoint: update.endpoint,
      imageId: update.imageId,
      imageVersion: image.version,
      totalBytes: image.sizeBytes,
      by: update.by,
      target: parseUpdateTarget(update.target ?? "firmware"),
      ...(update.delta && { offers: image }),
    };
    const registered = registrationOf(update.endpoint) !== undefined;
    const newestNumber = await stores.exchanges.newestNumber(update.id);
    const keep = (exchange: Exchange): void => stores.exchanges.queue(update.id, exchange);
    const exchanges = new ExchangeLog(keep, snapshot.attempt ?? 1, newestNumber);
    const errands = new Errands(order, this.#options, {
      exchanges,
      feed: (input) => this.#feed(update.id, input),
      onPackageUri: (uri) => this.#record.keepPackageUri(update.id, uri),
      onSmallerBlocks: (blockBytes) => this.#record.noteSmallerBlocks(order, blockBytes),
    });
    this.#running.set(update.id, {
      tail: Promise.resolve(),
      isOnRecord: true,
      isLetGo: false,
      errands,
      exchanges,
    });
    try {
      const asleep = isAsleep?.(update.endpoint) ?? false;
      this.#driven.feed({ kind: "begin", order, snapshot, registered, asleep });
    } catch (error) {
      this.#running.delete(update.id);
      throw error;
    }
  }

  /** Whoever commands is told so when it is on record. */
  async #untilOnRecord(updateId: string, what: "applied" | "held" | "cancelled"): Promise<void> {
    const running = this.#running.get(updateId);
    if (running === undefined) return;
    const { tail } = running;
    const patience = new AbortController();
    const late = sleep(this.#options.cancelWaitMs ?? CANCEL_WAIT_MS, "late" as const, {
      signal: patience.signal,
    }).catch(() => "late" as const);
    const ended = await Promise.race([tail, late]);
    patience.abort();
    if (ended === "late")
      throw new EnvironmentError("DATABASE_AWAY", `the update is being ${what}, but that is not on record yet`, {
        updateId,
      });
    if (running.refusal !== undefined) throw running.refusal;
  }

  /** Whoever commands an update that nobody drives now has it taken up first. */
  async #takeUpOrRefuse(updateId: string): Promise<void> {
    if (this.#running.has(updateId)) return;
    const { updates } = this.#options.stores;
    const update = await updates.get(updateId);
    if (update === undefined) throw new UsageError("UNKNOWN_UPDATE", `there is no update ${updateId}`, { updateId });
    if (update.finishedAt !== null)
      throw new UsageError("UPDATE_FINISHED", `update ${updateId} has ended: ${update.state}`, { updateId });
    await this.restore(await updates.claimOne(updateId));
    if (this.#running.has(updateId)) return;
    throw new UsageError("UPDATE_TAKEN", `update ${updateId} is driven by another server, which has to be asked`, {
      updateId,
    });
  }

  #letGoOwn(updateId: string): void {
    this.#isOwnMissing = true;
    this.letGo(updateId);
  }

  #command(updateId: string, command: "apply" | "hold" | "cancel"): void {
    this.#core.assertAllowed(updateId, command);
    this.#feed(updateId, { kind: command });
  }

  #feed(updateId: string, input: DriverInput): void {
    if (this.#closing.signal.aborted) return;
    if (input.kind === "progress" && this.#core.snapshotOf(updateId)?.state === "transferring")
      this.#options.stores.updates.queueProgress(updateId, input.acknowledgedBytes);
    this.#driven.feed({ kind: "update", updateId, input });
  }

  #feedDevice(endpoint: string, input: DriverInput): void {
    if (!this.#closing.signal.aborted) this.#driven.feed({ kind: "device", endpoint, input });
  }

  #enqueue({ order, output }: DeliveriesOutput): void {
    const running = this.#running.get(order.updateId);
    if (running === undefined) return;
    running.tail = running.tail
      .then(() => this.#perform(order, output, running))
      .catch((error) => this.#report(error, { id: order.updateId }));
    const { tail } = running;
    tail.then(() => {
      const isOver = this.#core.snapshotOf(order.updateId) === undefined && running.tail === tail;
      if (!isOver) return;
      running.errands.close();
      if (this.#running.get(order.updateId) === running) this.#running.delete(order.updateId);
    });
  }

  /** Commands to the device are started here and answered by inputs; only what must be on the disk is waited for. */
  async #perform(order: UpdateOrder, output: DriverOutput, running: Running): Promise<void> {
    if (running.isLetGo) return;
    if (output.kind === "transition") {
      if (HAS_IMAGE.has(output.event)) running.exchanges.endFetch(packageOf(order, output.snapshot).sizeBytes);
      running.isOnRecord = false;
      running.isOnRecord = await this.#storeOrLetGo(order, output, running);
    } else if (running.isOnRecord && !this.#closing.signal.aborted) {
      if (!(this.#options.holdsLease?.() ?? true)) this.#letGoOwn(order.updateId);
      // Between the decision to ask and the asking, the update may have been told to wait.
      else if (isFirstAsking(output) && this.#core.snapshotOf(order.updateId)?.apply === false)
        this.#feed(order.updateId, { kind: "executeAnswered", outcome: "noAnswer" });
      else running.errands.run(output);
    }
  }

  /** False when it turns out that another server has the update, or has ended it, or that its campaign says otherwise by now. */
  async #storeOrLetGo(order: UpdateOrder, transition: Transition, running: Running): Promise<boolean> {
    const { updateId } = order;
    try {
      const update = await this.#record.store(order, transition, () => !running.isLetGo);
      this.#options.onTransition?.(update);
      return true;
    } catch (error) {
      if (running.isLetGo) return false;
      if (!(error instanceof UsageError)) throw error;
      if (error.code === "CAMPAIGN_PERMIT") {
        // What is on record holds, and is taken up from there.
        running.refusal = error;
        this.#letGoOwn(updateId);
        return false;
      }
      if (!IS_ANOTHERS.has(error.code)) throw error;
      this.#options.log.info({ updateId, code: error.code }, "an update is driven by another server");
      this.letGo(updateId);
      return false;
    }
  }

  #report(error: unknown, { id }: { readonly id: string }): void {
    this.#options.log.error({ err: error, updateId: id }, "an update's step failed");
  }
}

/** What is installed may be activated: that is the rest of what the device was asked for. */
const isFirstAsking = (output: DriverOutput): boolean => output.kind === "execute" && output.step === "install";

/** The shell around the updates' core: performs what it asks for, keeps what it decides, tells it what came back. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Update } from "@airlift/protocol/api/schemas";
import { AirliftError, EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { FIRMWARE_UPDATE_RESOURCES } from "@airlift/protocol/lwm2m/objects/firmware-update";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import { type Driven, drive } from "@airlift/runtime/drive";
import type { Logger } from "pino";
import { Deliveries, type DeliveriesInput, type DeliveriesOutput, newSnapshot } from "../delivery/deliveries.ts";
import type { DeliveryChoice } from "../delivery/delivery-choice.ts";
import { DEFAULT_UPDATE_POLICY, type UpdatePolicy } from "../delivery/policy.ts";
import type { DeviceReport } from "../delivery/report.ts";
import type { DriverInput, DriverOutput, UpdateOrder, UpdateSnapshot } from "../delivery/update-driver.ts";
import type { Registration } from "../fleet/registration.ts";
import type { Stores, UnfinishedUpdate } from "../store/ports.ts";
import type { DeviceLink } from "./device-link.ts";

export interface DeliveryEngineOptions {
  readonly stores: Stores;
  readonly link: DeviceLink;
  readonly log: Logger;
  readonly policy?: UpdatePolicy | undefined;
  /** The registration of an endpoint that is here. */
  readonly registrationOf: (endpoint: string) => Registration | undefined;
  /** The Package URI under which this device can fetch the image of an update. */
  readonly packageUri: (order: UpdateOrder, scheme: "coap" | "http", registration: Registration) => Promise<string>;
  /** A device told what it runs. */
  readonly onReport: (endpoint: string, report: DeviceReport) => void;
}

/** What runs for one update beside its core. */
interface Running {
  /** Outputs are performed one after the other: a transition is on the disk before what follows from it. */
  tail: Promise<void>;
  transfer: AbortController | undefined;
  endObservations: (() => void)[];
}

/** A transition that the database cannot take now is tried again this often; meanwhile the update stands still. */
const STORE_RETRY_MS = 1_000;

export class DeliveryEngine {
  readonly #options: DeliveryEngineOptions;
  readonly #core: Deliveries;
  readonly #driven: Driven<DeliveriesInput, DeliveriesOutput>;
  readonly #running = new Map<string, Running>();
  readonly #closing = new AbortController();

  constructor(options: DeliveryEngineOptions) {
    this.#options = options;
    this.#core = new Deliveries(options.policy ?? DEFAULT_UPDATE_POLICY);
    this.#driven = drive(this.#core, { kind: "wake" }, (output) => this.#enqueue(output));
  }

  get runningCount(): number {
    return this.#core.runningCount;
  }

  /** Goes on with the updates of an earlier run. */
  async restore(unfinished: readonly UnfinishedUpdate[]): Promise<void> {
    for (const { update, snapshot } of unfinished) {
      await this.#begin(update, snapshot ?? newSnapshot(update.apply));
    }
  }

  /** Takes up an update that was just created; returns when it is accepted, not when it ends. */
  start(update: Update): Promise<void> {
    return this.#begin(update, newSnapshot(update.apply));
  }

  /** @throws {UsageError} UPDATE_STATE when it does not wait for that; UPDATE_FINISHED */
  async apply(updateId: string): Promise<void> {
    this.#command(updateId, "apply");
  }

  /** @throws {UsageError} UPDATE_STATE when it is too late; UPDATE_FINISHED */
  async cancel(updateId: string): Promise<void> {
    this.#command(updateId, "cancel");
    // Whoever cancels is told so when it is on record.
    await this.#running.get(updateId)?.tail;
  }

  onRegistered(endpoint: string): void {
    this.#driven.feed({ kind: "device", endpoint, input: { kind: "registered" } });
  }

  onHeard(endpoint: string): void {
    this.#driven.feed({ kind: "device", endpoint, input: { kind: "heard" } });
  }

  onUnregistered(endpoint: string): void {
    this.#driven.feed({ kind: "device", endpoint, input: { kind: "unregistered" } });
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
    if (this.#core.snapshotOf(updateId)?.state !== "transferring") return;
    this.#feed(updateId, { kind: "progress", acknowledgedBytes });
    this.#options.stores.updates.queueProgress(updateId, acknowledgedBytes);
  }

  /** Stops driving; what was decided is on record, and a later run goes on from it. */
  async close(): Promise<void> {
    this.#driven.stop();
    this.#closing.abort();
    for (const running of this.#running.values()) running.transfer?.abort();
    await Promise.allSettled([...this.#running.values()].map(({ tail }) => tail));
  }

  async #begin(update: Update, snapshot: UpdateSnapshot): Promise<void> {
    const { stores, registrationOf } = this.#options;
    const image = await stores.images.get(update.imageId);
    if (image === undefined) throw new UsageError("UNKNOWN_IMAGE", `there is no image ${update.imageId}`);
    const order: UpdateOrder = {
      updateId: update.id,
      endpoint: update.endpoint,
      imageId: update.imageId,
      imageVersion: image.version,
      totalBytes: image.sizeBytes,
      by: update.by,
    };
    const registered = registrationOf(update.endpoint) !== undefined;
    this.#running.set(update.id, { tail: Promise.resolve(), transfer: undefined, endObservations: [] });
    this.#driven.feed({ kind: "begin", order, snapshot, registered });
  }

  #command(updateId: string, command: "apply" | "cancel"): void {
    this.#core.assertAllowed(updateId, command);
    this.#feed(updateId, { kind: command });
  }

  #feed(updateId: string, input: DriverInput): void {
    if (!this.#closing.signal.aborted) this.#driven.feed({ kind: "update", updateId, input });
  }

  #enqueue({ order, output }: DeliveriesOutput): void {
    const running = this.#running.get(order.updateId);
    if (running === undefined) return;
    running.tail = running.tail
      .then(() => this.#perform(order, output, running))
      .catch((error) => this.#options.log.error({ error, updateId: order.updateId }, "an update's step failed"));
    const { tail } = running;
    tail.then(() => {
      const isOver = this.#core.snapshotOf(order.updateId) === undefined && running.tail === tail;
      if (isOver) this.#running.delete(order.updateId);
    });
  }

  /** Commands to the device are started here and answered by inputs; only what must be on the disk is waited for. */
  async #perform(order: UpdateOrder, output: DriverOutput, running: Running): Promise<void> {
    switch (output.kind) {
      case "transition":
        return this.#store(order, output);
      case "stopTransfer":
        running.transfer?.abort();
        running.transfer = undefined;
        return;
      case "endObservation":
        for (const end of running.endObservations.splice(0)) end();
        return;
      case "look":
        this.#withDevice(
          order,
          (registration) => this.#look(order, registration, output.look),
          () => this.#feed(order.updateId, { kind: "report", look: output.look, report: undefined }),
        );
        return;
      case "observe":
        for (const end of running.endObservations.splice(0)) end();
        this.#withDevice(order, (registration) => this.#observe(order, registration, running));
        return;
      case "startTransfer":
        this.#withDevice(
          order,
          (registration) => this.#startTransfer(order, registration, { ...output, running }),
          () => this.#feed(order.updateId, { kind: "transferAnswered", outcome: "noAnswer" }),
        );
        return;
      case "execute":
        this.#withDevice(
          order,
          async (registration) => {
            const outcome = await this.#options.link.executeUpdate(registration);
            this.#feed(order.updateId, { kind: "executeAnswered", ...outcome });
          },
          () => this.#feed(order.updateId, { kind: "executeAnswered", outcome: "noAnswer" }),
        );
        return;
      case "resetDevice":
        this.#withDevice(order, async (registration) => {
          const { link } = this.#options;
          const outcome = await (output.form === "emptyUri"
            ? link.writePackageUri(registration, "")
            : link.writeZeroPackage(registration));
          this.#feed(order.updateId, { kind: "resetAnswered", ...outcome });
        });
        return;
    }
  }

  #withDevice(order: UpdateOrder, act: (registration: Registration) => Promise<void>, otherwise?: () => void): void {
    const registration = this.#options.registrationOf(order.endpoint);
    if (registration === undefined) {
      otherwise?.();
      return;
    }
    act(registration).catch((error) => {
      this.#options.log.error({ error, endpoint: order.endpoint }, "talking to a device failed");
      otherwise?.();
    });
  }

  async #look(order: UpdateOrder, registration: Registration, look: number): Promise<void> {
    let report: DeviceReport | undefined;
    try {
      report = await this.#options.link.readReport(registration);
      this.#options.onReport(order.endpoint, report);
    } catch (error) {
      if (!(error instanceof AirliftError)) throw error;
      this.#options.log.debug({ endpoint: order.endpoint, code: error.code }, "a device did not report");
    }
    this.#feed(order.updateId, { kind: "report", look, report });
  }

  async #observe(order: UpdateOrder, registration: Registration, running: Running): Promise<void> {
    for (const resource of [FIRMWARE_UPDATE_RESOURCES.state, FIRMWARE_UPDATE_RESOURCES.updateResult]) {
      const end = await this.#options.link.observeFirmware(registration, resource, () =>
        this.#feed(order.updateId, { kind: "notified" }),
      );
      if (end === undefined) continue;
      if (this.#running.has(order.updateId)) running.endObservations.push(end);
      else end();
    }
  }

  async #startTransfer(
    order: UpdateOrder,
    registration: Registration,
    { choice, running }: { choice: DeliveryChoice; running: Running },
  ): Promise<void> {
    if (choice.kind === "push") return this.#push(order, registration, running);
    const uri = await this.#options.packageUri(order, choice.scheme, registration);
    const outcome = await this.#options.link.writePackageUri(registration, uri);
    this.#feed(order.updateId, { kind: "transferAnswered", ...outcome });
  }

  async #push(order: UpdateOrder, registration: Registration, running: Running): Promise<void> {
    const source = await this.#options.stores.images.openSource(order.imageId);
    if (source === undefined) throw new EnvironmentError("IMAGE_READ", "the image's file is gone", { ...order });
    const transfer = new AbortController();
    running.transfer = transfer;
    try {
      const outcome = await this.#options.link.pushPackage(registration, source, {
        signal: transfer.signal,
        onProgress: ({ bytes }) => this.onFetched(order.updateId, bytes),
      });
      if (!transfer.signal.aborted) this.#feed(order.updateId, { kind: "pushEnded", ...outcome });
    } catch (error) {
      if (!transfer.signal.aborted) throw error;
    } finally {
      if (running.transfer === transfer) running.transfer = undefined;
    }
  }

  /** A decision is never lost: while the database is away, the update waits with it. */
  async #store(order: UpdateOrder, transition: Extract<DriverOutput, { kind: "transition" }>): Promise<void> {
    const { snapshot, sentence, event } = transition;
    const change = {
      state: snapshot.state,
      failure: snapshot.failure,
      sentence,
      method: snapshot.choice?.kind ?? null,
      acknowledgedBytes: snapshot.acknowledgedBytes,
      apply: snapshot.apply,
      snapshot,
      facts: { event },
    };
    for (;;) {
      try {
        // Whoever reads that an update has ended must find the device as it was reported, not as it was before.
        if (isFinalUpdateState(snapshot.state)) await this.#options.stores.devices.flush();
        await this.#options.stores.updates.transition(order.updateId, change);
        return;
      } catch (error) {
        if (!(error instanceof EnvironmentError) || this.#closing.signal.aborted) throw error;
        this.#options.log.warn({ code: error.code, updateId: order.updateId }, "an update waits for the database");
        await sleep(STORE_RETRY_MS, undefined, { signal: this.#closing.signal }).catch(() => {});
      }
    }
  }
}

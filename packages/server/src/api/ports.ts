/** What the API asks of the engine that drives updates. */
import type { Readable } from "node:stream";
import type { BatchAnswer, GatewayContent, ReportBatch } from "@airlift/protocol/api/gateway";
import type { MeshDevice, MeshPlan, NewMeshDevice } from "@airlift/protocol/api/mesh";
import type {
  DeviceObject,
  DiscoverAnswer,
  DoneAnswer,
  LastValues,
  NewExecution,
  NewInstance,
  NewObservation,
  NewValue,
  NewValues,
  NotificationAttributes,
  Observation,
  ReadAnswer,
} from "@airlift/protocol/api/operations";
import type { Reachability, Update } from "@airlift/protocol/api/schemas";
import type { OperationWish } from "../fleet/operation-wish.ts";
import type { RequestContent } from "../fleet/queued-request.ts";
import type { RequestRecord } from "../store/request-queue-store.ts";

export interface UpdateCommands {
  /** Whether an update is driven by this server, or by whichever is asked. */
  isRunning(updateId: string): boolean;
  /** Takes up an update that was just created; returns when it is accepted, not when it ends. */
  start(update: Update): Promise<void>;
  /**
   * Applies what was downloaded.
   *
   * @throws {UsageError} UPDATE_STATE (409) when it does not wait for that; UPDATE_FINISHED (409); UPDATE_TAKEN (409) when
   *   another server drives it
   */
  apply(updateId: string): Promise<void>;
  /**
   * Ends an update that has not been handed to the device's installer.
   *
   * @throws {UsageError} UPDATE_STATE (409) when it is too late; UPDATE_FINISHED (409); UPDATE_TAKEN (409) when another
   *   server drives it
   */
  cancel(updateId: string): Promise<void>;
  /** The device of an update has fetched everything before `offset` over HTTP. */
  onFetched(updateId: string, offset: number): void;
}

/** What the API asks of whoever talks to the devices. */
export interface FleetCommands {
  /** Whether the device is registered at this server, which alone can ask it anything. */
  isHere(endpoint: string): boolean;
  /** Whether the device can be reached now. */
  reachabilityOf(endpoint: string): Reachability;
  /** UTC milliseconds at which a device in queue mode stopped listening; `undefined` while it listens. */
  asleepSinceMs(endpoint: string): number | undefined;
  readonly queue: QueueCommands;
}

/** The requests that wait until their device is awake. */
export interface QueueCommands {
  /**
   * Records a request and returns the id under which it waits.
   *
   * @throws {UsageError} QUEUE_FULL (429), REQUEST
   */
  submit(endpoint: string, content: RequestContent, options?: { readonly ttlS?: number }): Promise<string>;
  /** @throws {UsageError} UNKNOWN_REQUEST (404), REQUEST_SENT (409) */
  cancel(endpoint: string, id: string): Promise<void>;
  /** Those that wait, then those that have finished. */
  list(endpoint: string): Promise<RequestRecord[]>;
}

/** Which device an operation goes to, and how long it may take. */
export interface OperationTarget {
  readonly endpoint: string;
  readonly timeoutMs: number;
}

/**
 * What is asked of registered devices. Paths may have names of the object models in them.
 *
 * All reject with {UsageError} DEVICE_GONE (409), DEVICE_BUSY (429) or what is wrong with the question (422), {PeerError}
 * DEVICE_REFUSED (409, the device's code in the facts), DEVICE_ANSWER (502), {EnvironmentError} DEVICE_SILENT (504),
 * DEVICE_ASLEEP (409).
 */
export interface OperationCommands {
  /** One path, or several as one composite operation. @param format Content format instead of the one that suits. */
  read(target: OperationTarget, paths: readonly string[], format?: number): Promise<ReadAnswer>;
  write(
    target: OperationTarget,
    path: string,
    write: { given: NewValue; mode: "replace" | "update"; format?: number | undefined },
  ): Promise<DoneAnswer>;
  writeComposite(target: OperationTarget, values: NewValues, format?: number): Promise<DoneAnswer>;
  execute(target: OperationTarget, execution: NewExecution): Promise<DoneAnswer>;
  create(target: OperationTarget, instance: NewInstance): Promise<DoneAnswer>;
  delete(target: OperationTarget, path: string): Promise<DoneAnswer>;
  writeAttributes(target: OperationTarget, path: string, given: NotificationAttributes): Promise<DoneAnswer>;
  discover(target: OperationTarget, path: string): Promise<DiscoverAnswer>;
  /** As it goes on record for a device that sleeps. @throws {UsageError} DEVICE_GONE and what is wrong with the question */
  contentOf(endpoint: string, wish: OperationWish): Promise<RequestContent>;
  observe(target: OperationTarget, paths: readonly string[], format?: number): Promise<NewObservation>;
  /** @throws {UsageError} UNKNOWN_OBSERVATION */
  cancel(endpoint: string, id: string): Promise<void>;
  observationsOf(endpoint: string): Promise<Observation[]>;
  lastValues(endpoint: string): LastValues;
  /** @throws {UsageError} DEVICE_GONE */
  objects(endpoint: string): DeviceObject[];
}

/** What the API asks of whoever speaks to devices through radio gateways. */
export interface MeshCommands {
  /** @throws {UsageError} ONBOARDING, MESH_DEVICE_EXISTS (409) */
  onboard(asked: NewMeshDevice): Promise<MeshDevice>;
  /** @throws {UsageError} UNKNOWN_GATEWAY (404) */
  report(gatewayId: string, batch: ReportBatch): Promise<BatchAnswer>;
  /** A content by its name on air, twelve hex digits, as ciphertext. */
  openContent(name: string): Promise<
    | {
        readonly content: GatewayContent;
        readonly sizeBytes: number;
        /** Both included. */
        stream(start: number, end: number): Readable;
      }
    | undefined
  >;
  /** The payload of one packet by its full name, "zdm/sw/ACME-TH%2D100-1.2.3/17"; undefined when there is none. */
  packetAt(fullName: string): Promise<Uint8Array | undefined>;
  manifestKeyPem(): Promise<string>;
  /** @throws {UsageError} NO_GATEWAY, AIRTIME_OVER_BUDGET, NO_MESH_DEVICES, MESH_VERSION, MESH_IMAGE_SIZE */
  preview(imageId: string, endpoints: readonly string[], spanMs: number): Promise<MeshPlan>;
}

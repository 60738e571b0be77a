/** What the API asks of the engine that drives updates. */
import type { Reachability, Update } from "@airlift/protocol/api/schemas";
import type { RequestContent } from "../fleet/queued-request.ts";
import type { RequestRecord } from "../store/request-queue-store.ts";

export interface UpdateCommands {
  /** Takes up an update that was just created; returns when it is accepted, not when it ends. */
  start(update: Update): Promise<void>;
  /**
   * Applies what was downloaded.
   *
   * @throws {UsageError} UPDATE_STATE (409) when it does not wait for that; UPDATE_FINISHED (409)
   */
  apply(updateId: string): Promise<void>;
  /**
   * Ends an update that has not been handed to the device's installer.
   *
   * @throws {UsageError} UPDATE_STATE (409) when it is too late; UPDATE_FINISHED (409)
   */
  cancel(updateId: string): Promise<void>;
  /** The device of an update has fetched everything before `offset` over HTTP. */
  onFetched(updateId: string, offset: number): void;
}

/** What the API asks of whoever talks to the devices. */
export interface FleetCommands {
  /** Whether the device can be reached now. */
  reachabilityOf(endpoint: string): Reachability;
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

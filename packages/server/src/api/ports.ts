/** What the API asks of the engine that drives updates. */
import type { Update } from "@airlift/protocol/api/schemas";

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

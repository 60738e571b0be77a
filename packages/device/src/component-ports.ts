/** What an integrator writes for a device of several components (object 33629): handlers for each, and their names. */
import type { FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { UpdateHandlers, UpdateStore, UpgradeOrder, UpgradeProgress } from "./ports.ts";

/** What a component's `finish` found in the package. */
export interface ReceivedPackage {
  /** Instances that the package is for; the one that received it need not be among them. */
  readonly components: readonly number[];
}

/** Who wants the component to be installed now, and which others with it. */
export interface ComponentOrder extends UpgradeOrder {
  /** Downloaded components that are installed in the same update. */
  readonly along: readonly number[];
}

/**
 * The handlers of one component: as `UpdateHandlers`, and two of them know of the others. Their errors may also be
 * conflictingState and dependencyError.
 */
export interface ComponentHandlers extends Omit<UpdateHandlers, "finish" | "performUpgrade"> {
  /**
   * As `UpdateHandlers.finish`. When the package holds several components, say so: all of them become Downloaded and are
   * linked. One that is not Idle then is a conflict: the agent calls `reset` and tells conflictingState.
   */
  finish(): Promise<ReceivedPackage> | ReceivedPackage | ReturnType<UpdateHandlers["finish"]>;
  /**
   * As `UpdateHandlers.performUpgrade`, for this component and those in `order.along`, of which no handler is called. Install all or none of them. What this one comes to, the others come to as well. With `restarting` each
   * component is confirmed by its own `confirm` after the start.
   */
  performUpgrade(order: ComponentOrder): Promise<UpgradeProgress> | UpgradeProgress;
}

export interface ComponentOptions {
  /** Component Name (14): clear to people and programs, `bootloader`. */
  readonly name: string;
  /** Current Version (15). Of instance 0, the main component, the same as /3/0/3. */
  readonly currentVersion: string | (() => string);
  readonly handlers: ComponentHandlers;
  /** Where this component's update outlives a restart. Without one a restart begins in Idle. */
  readonly store?: UpdateStore;
  /** Instances that it was linked to when the device went down; none by default. */
  readonly linked?: readonly number[];
  /** As `linked`, those that it conflicted with. */
  readonly conflicting?: readonly number[];
}

/** Components by the number of their instance, 0 … 65534; 0 is the main one. */
export type ComponentTable = Readonly<Record<number, ComponentOptions>>;

/** A component of a running agent. */
export interface Component {
  readonly state: FirmwareState;
  readonly result: UpdateResult;
  /** Linked Instances (16) as it reads: those that are Downloaded as this one is. */
  readonly linked: readonly number[];
  /** Conflicting Instances (17). */
  readonly conflicting: readonly number[];
  /** Instances that Update installs together with this one when the server names none. */
  setLinked(instances: readonly number[]): void;
  /** Instances that have to be updated before or with this one; until then Update ends with dependencyError. */
  setConflicting(instances: readonly number[]): void;
  /**
   * The outcome of an update that `performUpgrade` left pending; holds for all that were updated along.
   *
   * @throws {UsageError} RESULT_NOT_SETTABLE
   */
  setResult(result: UpdateResult): void;
  /**
   * Moves the component along one arrow that needs neither network nor installer: Downloaded by a package that another
   * component received, Updating with another one, back with a result.
   *
   * @throws {UsageError} RESULT_NOT_SETTABLE when no arrow leads there.
   */
  setStateAndResult(state: FirmwareState, result: UpdateResult): void;
  /** Begins an update that was deferred. @throws {UsageError} RESULT_NOT_SETTABLE */
  acceptUpdate(): void;
}

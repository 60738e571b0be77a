/** What an object of the device looks like from inside: resources that can be read, written or executed. */
import type { ExecuteArguments } from "@airlift/protocol/lwm2m/execute-arguments";
import type { ResourceValue } from "@airlift/protocol/lwm2m/value";

/** One value, or several by the ids of their resource instances; `undefined`: the resource does not exist at present. */
export type Held = ResourceValue | ReadonlyMap<number, ResourceValue> | undefined;

/** A response code of `CODE`. */
export type Outcome = number | Promise<number>;

/** What is absent is not allowed (4.05). */
export interface Resource {
  readonly read?: () => Held;
  readonly write?: (value: ResourceValue) => Outcome;
  readonly execute?: (given: ExecuteArguments) => Outcome;
}

/** An object with its one instance, 0. */
export interface DeviceObject {
  readonly id: number;
  /** Registered and discovered as `ver`; absent where the version of LwM2M says enough. */
  readonly version?: string;
  readonly resources: ReadonlyMap<number, Resource>;
}

/** All objects by id. */
export type ObjectTree = ReadonlyMap<number, DeviceObject>;

/** The tree of `objects`. */
export function createTree(objects: Iterable<DeviceObject>): ObjectTree {
  return new Map([...objects].map((object) => [object.id, object]));
}

export function isMultiple(held: Held): held is ReadonlyMap<number, ResourceValue> {
  return held instanceof Map;
}

/** Whether `resource` exists at present: one that can be read but has nothing to tell does not. */
export function exists(resource: Resource | undefined): resource is Resource {
  return resource !== undefined && (resource.read === undefined || resource.read() !== undefined);
}

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

/** One instance of an object. */
export interface DeviceObject {
  readonly id: number;
  /** Number of the instance; default 0, the only one of most objects. */
  readonly instance?: number;
  /** Registered and discovered as `ver`; absent where the version of LwM2M says enough. */
  readonly version?: string;
  readonly resources: ReadonlyMap<number, Resource>;
}

/** An object with its instances by number. */
export interface TreeObject {
  readonly id: number;
  readonly version: string | undefined;
  readonly instances: ReadonlyMap<number, DeviceObject>;
}

/** All objects by id. */
export type ObjectTree = ReadonlyMap<number, TreeObject>;

/** The tree of `objects`; the version of an object is that of its first instance. */
export function createTree(objects: Iterable<DeviceObject>): ObjectTree {
  const tree = new Map<number, TreeObject & { readonly instances: Map<number, DeviceObject> }>();
  for (const object of objects) {
    const found = tree.get(object.id) ?? { id: object.id, version: object.version, instances: new Map() };
    found.instances.set(object.instance ?? 0, object);
    tree.set(object.id, found);
  }
  return tree;
}

export function isMultiple(held: Held): held is ReadonlyMap<number, ResourceValue> {
  return held instanceof Map;
}

/** Whether `resource` exists at present: one that can be read but has nothing to tell does not. */
export function exists(resource: Resource | undefined): resource is Resource {
  return resource !== undefined && (resource.read === undefined || resource.read() !== undefined);
}

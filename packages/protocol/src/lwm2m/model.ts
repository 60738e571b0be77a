/** What objects and resources are: the object model that gives types to formats that carry none (LwM2M Core 1.2 §7.1). */
import type { Path } from "./path.ts";
import { naturalType, type ResourceType, type ResourceValue } from "./value.ts";

/** What a server may do with a resource; `none` is for the bootstrap server alone. */
export type Operations = "none" | "R" | "W" | "RW" | "E";

export interface ResourceModel {
  readonly id: number;
  readonly name: string;
  readonly operations: Operations;
  /** Whether it holds a list of resource instances. */
  readonly multiple: boolean;
  readonly mandatory: boolean;
  readonly type: ResourceType;
  /** As the registry writes it (`0..255`, `16,32,48`), empty when unbounded. */
  readonly range: string;
  /** As the registry writes it (`s`, `/100`), empty when none. */
  readonly units: string;
  /** First object version that has it, `1.0` unless known to be later. */
  readonly since: string;
}

export interface ObjectModel {
  readonly id: number;
  readonly name: string;
  /** Object version, `major.minor`. */
  readonly version: string;
  /** Whether there can be more than instance 0. */
  readonly multiple: boolean;
  readonly mandatory: boolean;
  readonly resources: ReadonlyMap<number, ResourceModel>;
}

/** The objects a codec or an agent knows. */
export interface Models {
  /**
   * The newest known version of an object, or exactly `version`. A device that announces no version may still have the
   * resources of a later one, so the codecs always ask for the newest.
   */
  object(objectId: number, version?: string): ObjectModel | undefined;
  /** The newest known version of every object. */
  all(): Iterable<ObjectModel>;
}

/** Models of `objects`; a later entry of the same object and version replaces an earlier one. */
export function createModels(objects: Iterable<ObjectModel>): Models {
  const versions = new Map<number, Map<string, ObjectModel>>();
  const newest = new Map<number, ObjectModel>();
  for (const model of objects) {
    const known = versions.get(model.id) ?? new Map<string, ObjectModel>();
    versions.set(model.id, known.set(model.version, model));
    const best = newest.get(model.id);
    if (best === undefined || compareVersions(model.version, best.version) >= 0) newest.set(model.id, model);
  }
  return {
    object: (objectId, version) =>
      version === undefined ? newest.get(objectId) : versions.get(objectId)?.get(version),
    all: () => newest.values(),
  };
}

/** The model of the resource that `path` names or lies in. */
export function resourceAt(models: Models, path: Path): ResourceModel | undefined {
  const [objectId, , resourceId] = path;
  if (objectId === undefined || resourceId === undefined) return undefined;
  return models.object(objectId)?.resources.get(resourceId);
}

/** The model's type, or the one the value has by itself where no model knows the resource. */
export function typeForEncoding(models: Models, path: Path, value: ResourceValue): ResourceType {
  return resourceAt(models, path)?.type ?? naturalType(value);
}

/** Order of object versions `major.minor`; 1.10 is later than 1.9. */
export function compareVersions(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split(".").map(Number);
  const [majorB = 0, minorB = 0] = b.split(".").map(Number);
  return majorA - majorB || minorA - minorB;
}

/** How the objects of this folder are written down: one row for each resource, after the OMA object registry. */
import { compareVersions, type ObjectModel, type Operations, type ResourceModel } from "../model.ts";
import type { ResourceType } from "../value.ts";

/** Operations, then `*` for a list of instances, then `!` for mandatory: `R*!`. */
export type Flags = `${Operations}${"" | "*"}${"" | "!"}`;

export interface Details {
  readonly range?: string;
  readonly units?: string;
  /** First object version that has it, when it is not 1.0. */
  readonly since?: string;
}

/** Id, the registry's name, flags, type, the rest. */
export type Row = readonly [id: number, name: string, flags: Flags, type: ResourceType, details?: Details];

export interface Head {
  readonly id: number;
  readonly name: string;
  /** All versions in the registry, ascending. */
  readonly versions: readonly [string, ...string[]];
  /** `*` and `!` as in the rows. */
  readonly flags: "" | "*" | "!" | "*!";
}

/** An object in all its versions, and the ids of its resources by name. */
export interface ObjectDefinition<Rows extends Record<string, Row>> {
  readonly models: readonly ObjectModel[];
  readonly ids: { readonly [Name in keyof Rows]: Rows[Name][0] };
}

/** One model for each version, each with the resources that version has. */
export function defineObject<const Rows extends Record<string, Row>>(head: Head, rows: Rows): ObjectDefinition<Rows> {
  const resources = Object.values(rows).map(toResource);
  return {
    models: head.versions.map((version) => ({
      id: head.id,
      name: head.name,
      version,
      multiple: head.flags.includes("*"),
      mandatory: head.flags.includes("!"),
      resources: new Map(
        resources
          .filter(({ since }) => compareVersions(since, version) <= 0)
          .map((resource) => [resource.id, resource]),
      ),
    })),
    ids: Object.fromEntries(Object.entries(rows).map(([name, [id]]) => [name, id])) as {
      readonly [Name in keyof Rows]: Rows[Name][0];
    },
  };
}

function toResource([id, name, flags, type, details = {}]: Row): ResourceModel {
  return {
    id,
    name,
    operations: flags.replace(/[*!]/g, "") as Operations,
    multiple: flags.includes("*"),
    mandatory: flags.includes("!"),
    type,
    range: details.range ?? "",
    units: details.units ?? "",
    since: details.since ?? "1.0",
  };
}

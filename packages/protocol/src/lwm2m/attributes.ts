/** Attributes that say when a value is notified (LwM2M Core 1.2 §5.1.2). */
import { PeerError } from "../lib/errors.ts";
import type { Link, LinkAttribute } from "./link-format.ts";
import { formatPath, type Path } from "./path.ts";
import { Queries } from "./queries.ts";
import type { ResourceType } from "./value.ts";

/** The attributes in force at one place; what is absent does not apply. */
export interface NotificationAttributes {
  /** Quiet time after a notification, and the longest time without one; whole seconds. */
  readonly pmin?: number;
  readonly pmax?: number;
  /** Thresholds whose crossing is notified, and the least change since the last notification. */
  readonly gt?: number;
  readonly lt?: number;
  readonly st?: number;
  /** How often a value is sampled, whole seconds. */
  readonly epmin?: number;
  readonly epmax?: number;
  /** 1 notifies when a boolean becomes true, 0 when it becomes false. */
  readonly edge?: number;
  /** 1 asks for confirmable notifications. */
  readonly con?: number;
  /** How many notifications are kept while the server cannot be reached. */
  readonly hqmax?: number;
}

export type AttributeName = keyof NotificationAttributes;

/** What a Write-Attributes changes: `null` removes. */
export type AttributeChange = { readonly [Name in AttributeName]?: number | null };

/** Which values each attribute takes. */
const KINDS: Readonly<Record<AttributeName, "count" | "flag" | "number" | "step">> = {
  pmin: "count",
  pmax: "count",
  gt: "number",
  lt: "number",
  st: "step",
  epmin: "count",
  epmax: "count",
  edge: "flag",
  con: "flag",
  hqmax: "count",
};

const PATTERNS = {
  count: /^[0-9]{1,10}$/,
  flag: /^[01]$/,
  number: /^-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$/,
  step: /^([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$/,
} as const;

/** Attributes that stand at a resource alone, and the types that they make sense for (§5.1.2, table 5.1.2-1). */
const FITTING: { readonly [Name in AttributeName]?: readonly ResourceType[] } = {
  gt: ["integer", "unsigned", "float", "time"],
  lt: ["integer", "unsigned", "float", "time"],
  st: ["integer", "unsigned", "float", "time"],
  edge: ["boolean"],
};

/** Attributes that came after LwM2M 1.0, and with which version. */
const SINCE: { readonly [Name in AttributeName]?: string } = {
  epmin: "1.1",
  epmax: "1.1",
  edge: "1.2",
  con: "1.2",
  hqmax: "1.2",
};

/** Where attributes are to be attached. */
export interface AttributePlace {
  readonly path: Path;
  /** Of the resource, where it is known. */
  readonly type: ResourceType | undefined;
  /** "1.0", "1.1", "1.2". */
  readonly lwm2mVersion: string;
}

/** @throws {PeerError} ATTRIBUTE for one that cannot stand there, or that this version does not have. */
export function assertAttributesFit(change: AttributeChange, { path, type, lwm2mVersion }: AttributePlace): void {
  for (const name of Object.keys(change) as AttributeName[]) {
    const types = FITTING[name];
    const facts = { name, path: formatPath(path), lwm2mVersion };
    if (lwm2mVersion < (SINCE[name] ?? "1.0"))
      throw new PeerError("ATTRIBUTE", `LwM2M ${lwm2mVersion} has no ${name}`, facts);
    if (types === undefined) continue;
    if (path.length < 3) throw new PeerError("ATTRIBUTE", `${name} belongs to a resource`, facts);
    if (type !== undefined && !types.includes(type))
      throw new PeerError("ATTRIBUTE", `${name} is not for a ${type}`, facts);
  }
}

export function isAttributeName(name: string): name is AttributeName {
  return Object.hasOwn(KINDS, name);
}

/** Query options of a Write-Attributes; a removed attribute is its bare name. */
export function formatAttributeChange(change: AttributeChange): string[] {
  const entries = Object.entries(change).filter(([, value]) => value !== undefined);
  return entries.map(([name, value]) => (value === null ? name : `${name}=${value}`));
}

/** @throws {PeerError} ATTRIBUTE for an unknown name, a value out of range or a repeated name. */
export function parseAttributeChange(uriQuery: readonly string[]): AttributeChange {
  const change: Record<string, number | null> = {};
  for (const [name, text] of new Queries(uriQuery, "ATTRIBUTE")) {
    if (!isAttributeName(name)) throw new PeerError("ATTRIBUTE", "no attribute of ours", { name: name.slice(0, 64) });
    change[name] = text === undefined || text === "" ? null : readAttribute(name, text);
  }
  return change;
}

function readAttribute(name: AttributeName, text: string): number {
  const value = PATTERNS[KINDS[name]].test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) throw new PeerError("ATTRIBUTE", "out of range", { name, text: text.slice(0, 64) });
  return value;
}

/**
 * The attributes after a Write-Attributes.
 *
 * @throws {PeerError} ATTRIBUTE when the thresholds and the step contradict each other: `lt + 2·st < gt` must hold.
 */
export function changeAttributes(current: NotificationAttributes, change: AttributeChange): NotificationAttributes {
  const changed = Object.entries({ ...current, ...change }).filter(([, value]) => value !== null);
  const attributes: NotificationAttributes = Object.fromEntries(changed);
  const { gt, lt, st = 0 } = attributes;
  if (gt !== undefined && lt !== undefined && lt + 2 * st >= gt)
    throw new PeerError("ATTRIBUTE", "the thresholds contradict each other", { gt, lt, st });
  return attributes;
}

/** What applies at a path: what is nearer to the resource wins. Given from the object down to the resource instance. */
export function inheritAttributes(levels: readonly NotificationAttributes[]): NotificationAttributes {
  return Object.assign({}, ...levels) as NotificationAttributes;
}

/** As Discover shows them. */
export function toLinkAttributes(attributes: NotificationAttributes): LinkAttribute[] {
  return Object.entries(attributes).map(([name, value]) => ({ name, value: String(value), quoted: false }));
}

/** Those of a discovered link; attributes that are not ours or make no sense are left out. */
export function fromLinkAttributes({ attributes }: Link): NotificationAttributes {
  const found: Record<string, number> = {};
  for (const { name, value = "" } of attributes) {
    if (isAttributeName(name) && PATTERNS[KINDS[name]].test(value)) found[name] = Number(value);
  }
  return found;
}

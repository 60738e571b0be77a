/**
 * The part of a device that bootstrapping is about: its instances of Security (0) and Server (1), as plain values.
 *
 * A configuration is never changed in place: an operation gives another one, so the former stays whole whatever happens.
 */
import { PeerError } from "../../lib/errors.ts";
import type { Entry } from "../entry.ts";
import type { Link, LinkAttribute } from "../link-format.ts";
import { SECURITY_ID, SECURITY_RESOURCES } from "../objects/security.ts";
import { SERVER_ID, SERVER_RESOURCES } from "../objects/server.ts";
import { comparePaths, formatPath, isWithin, type Path } from "../path.ts";
import type { ResourceValue } from "../value.ts";

/** Values of resources of objects 0 and 1, sorted by their paths. */
export type Configuration = readonly Entry[];

export const EMPTY_CONFIGURATION: Configuration = [];

/** What a device keeps at most; a Write beyond it is refused. */
export interface ConfigurationLimits {
  /** Instances of each of both objects. */
  readonly instances: number;
  /** Octets of all values; a chain of certificates has a few thousand. */
  readonly bytes: number;
}

export const DEFAULT_CONFIGURATION_LIMITS: ConfigurationLimits = { instances: 8, bytes: 16_384 };

/** The instances of an object that hold something, in order. */
export function instancesOf(configuration: Configuration, objectId: number): number[] {
  const found = configuration.filter(({ path }) => path[0] === objectId).map(({ path }) => path[1] ?? 0);
  return [...new Set(found)];
}

/** The value of a resource, or `undefined` when there is none. */
export function valueAt(configuration: Configuration, path: Path): ResourceValue | undefined {
  return configuration.find((entry) => comparePaths(entry.path, path) === 0)?.value;
}

/**
 * After a Bootstrap-Write to `path`: instances that are named are replaced as a whole, a single resource by itself.
 *
 * @throws {PeerError} NOT_FOUND (4.04) for an object that bootstrapping does not reach here.
 * @throws {PeerError} BOOTSTRAP (4.00) for a Write without values · TOO_LARGE (4.13) beyond the limits.
 */
export function written(
  configuration: Configuration,
  { path, entries }: { readonly path: Path; readonly entries: readonly Entry[] },
  limits: ConfigurationLimits = DEFAULT_CONFIGURATION_LIMITS,
): Configuration {
  if (path[0] !== undefined && !isReached(path[0])) throw new PeerError("NOT_FOUND", "not an object of ours");
  if (entries.length === 0) throw new PeerError("BOOTSTRAP", "a Write without values", { path: formatPath(path) });
  const unreached = entries.find((entry) => !isReached(entry.path[0] ?? -1));
  if (unreached) throw new PeerError("NOT_FOUND", "not an object of ours", { path: formatPath(unreached.path) });
  const replaced = path.length >= 3 ? [path] : entries.map((entry) => entry.path.slice(0, 2));
  const kept = configuration.filter((entry) => !replaced.some((base) => isWithin(base, entry.path)));
  const result = [...kept, ...entries.map((entry) => ({ path: entry.path, value: ownValue(entry.value) }))].sort(
    (a, b) => comparePaths(a.path, b.path),
  );
  assertWithin(result, limits);
  return result;
}

/**
 * After a Bootstrap-Delete of `path`: everything of ours (`/`), an object, or an instance. The account of the bootstrap
 * server itself stays unless it is named alone, which is refused (LwM2M Core 1.2 §6.1.7.6).
 *
 * @throws {PeerError} NOT_FOUND (4.04) · BOOTSTRAP (4.00)
 */
export function deleted(configuration: Configuration, path: Path): Configuration {
  const [objectId, instanceId] = path;
  if (objectId !== undefined && !isReached(objectId)) throw new PeerError("NOT_FOUND", "not an object of ours");
  const bootstrapInstance = bootstrapInstanceIn(configuration);
  const isBootstrap = (entry: Path): boolean => entry[0] === SECURITY_ID && entry[1] === bootstrapInstance;
  if (instanceId !== undefined) {
    if (isBootstrap(path)) throw new PeerError("BOOTSTRAP", "the account of the bootstrap server cannot be deleted");
    if (!instancesOf(configuration, objectId ?? 0).includes(instanceId))
      throw new PeerError("NOT_FOUND", "no such instance", { path: formatPath(path) });
  }
  return configuration.filter((entry) => !isWithin(path, entry.path) || isBootstrap(entry.path));
}

/** The instance of object 0 that is the bootstrap server's. */
export function bootstrapInstanceIn(configuration: Configuration): number | undefined {
  return instancesOf(configuration, SECURITY_ID).find(
    (instance) => valueAt(configuration, [SECURITY_ID, instance, SECURITY_RESOURCES.bootstrapServer]) === true,
  );
}

/** The answer to a Bootstrap-Discover: instances with the server that each belongs to, and no resources. */
export function bootstrapLinks(
  configuration: Configuration,
  { path, lwm2mVersion }: { readonly path: Path; readonly lwm2mVersion: string },
): Link[] {
  const [asked] = path;
  if (asked !== undefined && !isReached(asked)) throw new PeerError("NOT_FOUND", "not an object of ours");
  const enabler: LinkAttribute = { name: "lwm2m", value: lwm2mVersion, quoted: lwm2mVersion === "1.0" };
  const links: Link[] = [{ target: "/", attributes: [enabler] }];
  for (const objectId of [SECURITY_ID, SERVER_ID]) {
    if (asked !== undefined && asked !== objectId) continue;
    const instances = instancesOf(configuration, objectId);
    if (instances.length === 0) links.push({ target: `/${objectId}`, attributes: [] });
    for (const instance of instances)
      links.push({ target: `/${objectId}/${instance}`, attributes: attributesOf(configuration, [objectId, instance]) });
  }
  return links;
}

function attributesOf(configuration: Configuration, path: Path): LinkAttribute[] {
  const isSecurity = path[0] === SECURITY_ID;
  if (isSecurity && path[1] === bootstrapInstanceIn(configuration)) return [];
  const id = isSecurity ? SECURITY_RESOURCES.shortServerId : SERVER_RESOURCES.shortServerId;
  const shortServerId = valueAt(configuration, [...path, id]);
  const uri = isSecurity ? valueAt(configuration, [...path, SECURITY_RESOURCES.serverUri]) : undefined;
  return [
    ...(typeof shortServerId === "number" ? [{ name: "ssid", value: String(shortServerId), quoted: false }] : []),
    ...(typeof uri === "string" && !/[\p{Cc}]/u.test(uri) ? [{ name: "uri", value: uri, quoted: true }] : []),
  ];
}

const isReached = (objectId: number): boolean => objectId === SECURITY_ID || objectId === SERVER_ID;

/** A value may be a view of the payload, which is another's. */
const ownValue = (value: ResourceValue): ResourceValue => (value instanceof Uint8Array ? value.slice() : value);

function assertWithin(configuration: Configuration, limits: ConfigurationLimits): void {
  const isCrowded = [SECURITY_ID, SERVER_ID].some((id) => instancesOf(configuration, id).length > limits.instances);
  const bytes = configuration.reduce((sum, { value }) => sum + sizeOf(value), 0);
  if (isCrowded || bytes > limits.bytes) throw new PeerError("TOO_LARGE", "more than this device keeps", { bytes });
}

function sizeOf(value: ResourceValue): number {
  return typeof value === "string" || value instanceof Uint8Array ? value.length + 8 : 16;
}

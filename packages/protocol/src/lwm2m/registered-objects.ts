/** Which objects a device has: the payload of Register and Update, as links (LwM2M Core 1.2 §6.2.1). */
import { PeerError } from "../lib/errors.ts";
import { attributeOf, type Link, type LinkAttribute } from "./link-format.ts";
import { comparePaths, isId, type Path, parsePath } from "./path.ts";

/** What one registration says of one object. */
export interface RegisteredObject {
  readonly objectId: number;
  /** `major.minor` when the device said so. Its absence proves nothing: devices leave it out. */
  readonly version: string | undefined;
  /** Ascending; empty for an object without instances yet. */
  readonly instances: readonly number[];
}

export interface RegisteredObjects {
  /** Uri-Path segments in front of every path of this device; mostly none. */
  readonly rootSegments: readonly string[];
  /** Content formats the device says it can do, empty when it does not say. */
  readonly contentFormats: readonly number[];
  /** Ascending by id. */
  readonly objects: readonly RegisteredObject[];
}

/** The registered object `objectId`. */
export function registeredObject(registered: RegisteredObjects, objectId: number): RegisteredObject | undefined {
  return registered.objects.find((object) => object.objectId === objectId);
}

/** The links a client registers with. From LwM2M 1.1 on `ver` is bare, before it is quoted. */
export function toLinks(registered: RegisteredObjects, lwm2mVersion: string): Link[] {
  const { rootSegments, contentFormats, objects } = registered;
  const root = rootSegments.map((segment) => `/${segment}`).join("");
  const links: Link[] = [{ target: root === "" ? "/" : root, attributes: rootAttributes(contentFormats) }];
  for (const { objectId, version, instances } of objects) {
    const attributes: LinkAttribute[] =
      version === undefined ? [] : [{ name: "ver", value: version, quoted: lwm2mVersion === "1.0" }];
    // An object without instances, or with a version, has a link of its own.
    if (attributes.length > 0 || instances.length === 0) links.push({ target: `${root}/${objectId}`, attributes });
    for (const id of instances) links.push({ target: `${root}/${objectId}/${id}`, attributes: [] });
  }
  return links;
}

function rootAttributes(contentFormats: readonly number[]): LinkAttribute[] {
  const rt = { name: "rt", value: "oma.lwm2m", quoted: true };
  const [first] = contentFormats;
  if (first === undefined) return [rt];
  return [rt, { name: "ct", value: contentFormats.join(" "), quoted: contentFormats.length > 1 }];
}

/**
 * The objects among `links`. Links that are no object or instance below the device's root are other CoAP resources and
 * left out; `ver` may stand at the object or at an instance, and one that is not `major.minor` counts as absent.
 *
 * @throws {PeerError} LINK_FORMAT for a root that is no path.
 */
export function fromLinks(links: readonly Link[]): RegisteredObjects {
  const rootLink = links.find((link) => (attributeOf(link, "rt") ?? "").split(" ").includes("oma.lwm2m"));
  const root = rootLink?.target ?? "/";
  if (!root.startsWith("/")) throw new PeerError("LINK_FORMAT", "the root is no path", { root: root.slice(0, 64) });
  const prefix = root === "/" ? "" : root.replace(/\/$/, "");
  const objects = new Map<number, { version: string | undefined; instances: Set<number> }>();
  for (const link of links) {
    const path = pathBelow(prefix, link.target);
    const [objectId, instanceId] = path ?? [];
    if (objectId === undefined) continue;
    const object = objects.get(objectId) ?? { version: undefined, instances: new Set() };
    objects.set(objectId, object);
    object.version ??= versionOf(link);
    if (instanceId !== undefined) object.instances.add(instanceId);
  }
  return {
    rootSegments: prefix.split("/").slice(1),
    contentFormats: contentFormatsOf(rootLink),
    objects: [...objects]
      .map(([objectId, { version, instances }]) => ({ objectId, version, instances: [...instances].sort(ascending) }))
      .sort((a, b) => comparePaths([a.objectId], [b.objectId])),
  };
}

const ascending = (a: number, b: number): number => a - b;

function pathBelow(prefix: string, target: string): Path | undefined {
  const rest = target.startsWith(prefix) ? target.slice(prefix.length).replace(/\/$/, "") : "";
  if (!/^\/[0-9]{1,5}(\/[0-9]{1,5})?$/.test(rest) || !rest.slice(1).split("/").map(Number).every(isId))
    return undefined;
  return /\/0[0-9]/.test(rest) ? undefined : parsePath(rest);
}

function versionOf(link: Link): string | undefined {
  const version = attributeOf(link, "ver");
  return version !== undefined && /^[0-9]{1,3}\.[0-9]{1,3}$/.test(version) ? version : undefined;
}

function contentFormatsOf(link: Link | undefined): number[] {
  const formats = (link && attributeOf(link, "ct"))?.split(/\s+/) ?? [];
  return formats.filter((format) => /^[0-9]{1,5}$/.test(format)).map(Number);
}

/** The answer to a Discover: what is there, and which attributes are attached (LwM2M Core 1.2 §6.3.2). */
import { PeerError } from "../lib/errors.ts";
import { fromLinkAttributes, type NotificationAttributes, toLinkAttributes } from "./attributes.ts";
import { attributeOf, DEFAULT_MAX_LINKS, decodeLinks, encodeLinks, type LinkAttribute } from "./link-format.ts";
import { isWithin, type Path, parsePath } from "./path.ts";

/** One object, instance, resource or resource instance of a device. */
export interface Discovered {
  readonly path: Path;
  /** Object version, `major.minor`, where the device names it. */
  readonly version: string | undefined;
  /** How many instances a multiple resource has. */
  readonly instanceCount: number | undefined;
  readonly attributes: NotificationAttributes;
}

/** @throws {UsageError} LINK */
export function encodeDiscover(found: readonly Discovered[], lwm2mVersion: string): Uint8Array {
  return encodeLinks(
    found.map(({ path, version, instanceCount, attributes }) => ({
      target: `/${path.join("/")}`,
      attributes: [
        ...attribute("ver", version, lwm2mVersion === "1.0"),
        ...attribute("dim", instanceCount, false),
        ...toLinkAttributes(attributes),
      ],
    })),
  );
}

function attribute(name: string, value: string | number | undefined, quoted: boolean): LinkAttribute[] {
  return value === undefined ? [] : [{ name, value: String(value), quoted }];
}

/**
 * What a device says is at `base` and below; links to elsewhere are left out, as are attributes that make no sense.
 *
 * @param rootSegments As in the registration: what stands in front of every path of this device.
 * @throws {PeerError} LINK_FORMAT, TOO_MANY
 */
export function decodeDiscover(payload: Uint8Array, base: Path, rootSegments: readonly string[] = []): Discovered[] {
  const prefix = rootSegments.map((segment) => `/${segment}`).join("");
  const found: Discovered[] = [];
  for (const link of decodeLinks(payload, DEFAULT_MAX_LINKS)) {
    const path = link.target.startsWith(prefix) ? pathIn(link.target.slice(prefix.length)) : undefined;
    if (path === undefined || path.length === 0 || !isWithin(base, path)) continue;
    const version = attributeOf(link, "ver");
    const dimension = attributeOf(link, "dim");
    found.push({
      path,
      version: version !== undefined && /^[0-9]{1,3}\.[0-9]{1,3}$/.test(version) ? version : undefined,
      instanceCount: dimension !== undefined && /^[0-9]{1,5}$/.test(dimension) ? Number(dimension) : undefined,
      attributes: fromLinkAttributes(link),
    });
  }
  return found;
}

function pathIn(target: string): Path | undefined {
  try {
    return parsePath(target);
  } catch (error) {
    if (error instanceof PeerError) return undefined;
    throw error;
  }
}

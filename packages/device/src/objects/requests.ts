/** Answers the requests of a server to the device's objects (LwM2M Core 1.2 §6.3). */

import { CODE } from "@airlift/protocol/coap/codes";
import { UsageError } from "@airlift/protocol/lib/errors";
import {
  assertAttributesFit,
  changeAttributes,
  type NotificationAttributes,
  toLinkAttributes,
} from "@airlift/protocol/lwm2m/attributes";
import { CONTENT_FORMATS, hasFormat } from "@airlift/protocol/lwm2m/content-formats";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import { encodeLinks, type Link, type LinkAttribute } from "@airlift/protocol/lwm2m/link-format";
import { resourceAt } from "@airlift/protocol/lwm2m/model";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import { type Content, decodeOperation, type Operation } from "@airlift/protocol/lwm2m/operations";
import { formatPath, type Path, ROOT } from "@airlift/protocol/lwm2m/path";
import { decodePayload, encodePayload, isPayloadFormat } from "@airlift/protocol/lwm2m/payload";
import type { Lwm2mVersion } from "@airlift/protocol/lwm2m/registration";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import { bare, codeOf, type ObjectAnswer, Refusal, refuse } from "./answer.ts";
import { type DeviceObject, exists, isMultiple, type ObjectTree, type Resource } from "./resource.ts";

/** What holds keys is the bootstrap server's alone (LwM2M Core 1.2 appendix E.1, OSCORE: E.10). */
const SECRET_IDS: ReadonlySet<number> = new Set([0, 21]);

/** The objects of one device, and the attributes that the server has written. */
export class ObjectRequests {
  readonly #tree: ObjectTree;
  readonly #version: Lwm2mVersion;
  readonly #attributes = new Map<string, NotificationAttributes>();

  constructor(tree: ObjectTree, version: Lwm2mVersion) {
    this.#tree = tree;
    this.#version = version;
  }

  /** Never rejects: whatever is wrong with a request becomes its code. An Observe is answered as the Read that it is. */
  async answer(request: Lwm2mRequest): Promise<ObjectAnswer> {
    try {
      return await this.#perform(decodeOperation(request));
    } catch (error) {
      return bare(codeOf(error));
    }
  }

  /** The attributes in force at `path`, nearest last. */
  attributesAt(path: Path): NotificationAttributes {
    const levels = path.map((_, depth) => this.#attributes.get(formatPath(path.slice(0, depth + 1))) ?? {});
    return Object.assign({}, ...levels) as NotificationAttributes;
  }

  /**
   * What `path` holds at present, in the format asked for or the one that suits it.
   *
   * @throws {PeerError} for a path that cannot be read; `codeOf` has the response code.
   */
  read(path: Path, accept: number | undefined): ObjectAnswer {
    const entries = this.entriesAt(path);
    const [only] = entries;
    const isSingle = entries.length === 1 && only?.path.length === path.length;
    return this.#answer(entries, path, accept ?? this.#formatFor(isSingle ? only : undefined));
  }

  /**
   * What several places hold; those that hold nothing, or nothing for this server, are left out (§6.3.8).
   *
   * @throws {PeerError} when none of them does, as `read`.
   */
  readComposite(paths: readonly Path[], accept: number | undefined): ObjectAnswer {
    const entries = new Map<string, Entry>();
    for (const path of paths) for (const entry of this.#entriesIfAny(path)) entries.set(formatPath(entry.path), entry);
    if (entries.size === 0) refuse(CODE.notFound);
    return this.#answer([...entries.values()], ROOT, accept ?? CONTENT_FORMATS.senmlCbor);
  }

  #entriesIfAny(path: Path): Entry[] {
    const objects = path.length === 0 ? [...this.#tree.keys()].map((id) => [id]) : [path];
    return objects.flatMap((one) => {
      try {
        return SECRET_IDS.has(one[0] ?? 0) ? [] : this.entriesAt(one);
      } catch (error) {
        if (error instanceof Refusal) return [];
        throw error;
      }
    });
  }

  #answer(entries: readonly Entry[], base: Path, contentFormat: number): ObjectAnswer {
    if (!isPayloadFormat(contentFormat) || !hasFormat(this.#version, contentFormat)) refuse(CODE.notAcceptable);
    try {
      const payload = encodePayload(contentFormat, entries, { base, models: STANDARD_MODELS });
      return { code: CODE.content, contentFormat, payload };
    } catch (error) {
      if (error instanceof UsageError) return refuse(CODE.notAcceptable);
      throw error;
    }
  }

  /** The values at and below `path`; what cannot be read is left out, unless it is what was asked for. */
  entriesAt(path: Path): Entry[] {
    const [objectId = 0, instanceId, resourceId, index] = path;
    if (resourceId === undefined) {
      return this.#instancesAt(objectId, instanceId).flatMap(([instance, { resources }]) =>
        [...resources].flatMap(([id, resource]) => entriesOf([objectId, instance, id], resource)),
      );
    }
    const resource = this.#resourceAt(path);
    if (resource.read === undefined) return refuse(CODE.methodNotAllowed);
    const entries = entriesOf(path.slice(0, 3), resource);
    if (index === undefined) return entries;
    const found = entries.filter((entry) => entry.path[3] === index);
    return found.length > 0 ? found : refuse(CODE.notFound);
  }

  #formatFor(only: Entry | undefined): number {
    if (only !== undefined && only.path.length === 3) {
      return only.value instanceof Uint8Array ? CONTENT_FORMATS.opaque : CONTENT_FORMATS.text;
    }
    return this.#version === "1.0" ? CONTENT_FORMATS.tlv : CONTENT_FORMATS.senmlCbor;
  }

  async #perform(operation: Operation): Promise<ObjectAnswer> {
    const { path } = operation;
    if (SECRET_IDS.has(path[0] ?? -1)) refuse(CODE.unauthorized);
    switch (operation.kind) {
      case "read":
      case "observe":
      case "cancelObserve":
        return this.read(path, operation.accept);
      case "discover":
        return this.#discover(path);
      case "write":
        return bare(await this.#write(operation));
      case "execute": {
        const { execute } = this.#resourceAt(path);
        return bare(execute ? await execute(operation.arguments) : CODE.methodNotAllowed);
      }
      case "writeAttributes":
        return this.#writeAttributes(operation);
      case "readComposite":
      case "observeComposite":
      case "cancelObserveComposite":
        this.#assertComposite();
        return this.readComposite(operation.paths, operation.accept);
      case "writeComposite":
        this.#assertComposite();
        return bare(await this.#writeEntries(ROOT, operation.content));
      case "create":
      case "delete":
        this.#instancesAt(path[0] ?? -1, path[1]);
        return bare(CODE.methodNotAllowed);
    }
  }

  /** All that can be refused beforehand is: a Write of several resources is done as a whole or not begun. */
  async #write({ path, content }: Operation & { kind: "write" }): Promise<number> {
    this.#instancesAt(path[0] ?? -1, path[1]);
    if (path.length >= 3 && this.#writerAt(path) === undefined) return CODE.methodNotAllowed;
    return await this.#writeEntries(path, content);
  }

  async #writeEntries(base: Path, { contentFormat, payload }: Content): Promise<number> {
    if (!hasFormat(this.#version, contentFormat)) return CODE.unsupportedContentFormat;
    const entries = decodePayload(contentFormat, payload, { base, models: STANDARD_MODELS });
    if (entries.some(({ path }) => SECRET_IDS.has(path[0] ?? -1))) return CODE.unauthorized;
    const writes = entries.map((entry) => ({ entry, write: this.#writerAt(entry.path) }));
    if (writes.length === 0) return CODE.badRequest;
    if (writes.some(({ write }) => write === undefined)) return CODE.methodNotAllowed;
    for (const { entry, write } of writes) {
      const code = (await write?.(entry.value)) ?? CODE.methodNotAllowed;
      if (code !== CODE.changed) return code;
    }
    return CODE.changed;
  }

  /** LwM2M 1.0 has no operation on several places. */
  #assertComposite(): void {
    if (this.#version === "1.0") refuse(CODE.methodNotAllowed);
  }

  #writeAttributes({ path, change }: Operation & { kind: "writeAttributes" }): ObjectAnswer {
    if (path.length >= 3) this.#resourceAt(path);
    else this.#instancesAt(path[0] ?? -1, path[1]);
    const { type } = resourceAt(STANDARD_MODELS, path) ?? {};
    assertAttributesFit(change, { path, type, lwm2mVersion: this.#version });
    const key = formatPath(path);
    this.#attributes.set(key, changeAttributes(this.#attributes.get(key) ?? {}, change));
    return bare(CODE.changed);
  }

  #discover(path: Path): ObjectAnswer {
    const [objectId = 0, instanceId, resourceId] = path;
    const links: Link[] = [];
    if (resourceId !== undefined) links.push(this.#link(path, dimension(this.#resourceAt(path))));
    else {
      const instances = this.#instancesAt(objectId, instanceId);
      if (instanceId === undefined) links.push(this.#link([objectId], this.#versionOf(objectId)));
      for (const [instance, { resources }] of instances) {
        links.push(this.#link([objectId, instance], []));
        for (const [id, resource] of resources) {
          if (exists(resource)) links.push(this.#link([objectId, instance, id], dimension(resource)));
        }
      }
    }
    return { code: CODE.content, contentFormat: CONTENT_FORMATS.linkFormat, payload: encodeLinks(links) };
  }

  #link(path: Path, attributes: readonly LinkAttribute[]): Link {
    const written = this.#attributes.get(formatPath(path)) ?? {};
    return { target: formatPath(path), attributes: [...attributes, ...toLinkAttributes(written)] };
  }

  #versionOf(objectId: number): LinkAttribute[] {
    const version = this.#tree.get(objectId)?.version;
    return version === undefined ? [] : [{ name: "ver", value: version, quoted: this.#version === "1.0" }];
  }

  /** The instance named, or all; refuses what does not exist. */
  #instancesAt(objectId: number, instanceId: number | undefined): [number, DeviceObject][] {
    const instances = [...(this.#tree.get(objectId)?.instances ?? refuse(CODE.notFound))];
    const found = instances.filter(([instance]) => instanceId === undefined || instance === instanceId);
    return found.length > 0 ? found : refuse(CODE.notFound);
  }

  /** A resource that can be written need not hold anything yet. */
  #writerAt(path: Path): Resource["write"] {
    return this.#declaredAt(path)?.write ?? this.#resourceAt(path).write;
  }

  #resourceAt(path: Path): Resource {
    const resource = this.#declaredAt(path);
    return exists(resource) ? resource : refuse(CODE.notFound);
  }

  #declaredAt(path: Path): Resource | undefined {
    const [objectId = -1, instanceId = -1, resourceId = -1] = path;
    return this.#tree.get(objectId)?.instances.get(instanceId)?.resources.get(resourceId);
  }
}

function entriesOf(path: Path, { read }: Resource): Entry[] {
  const held = read?.();
  if (held === undefined) return [];
  if (!isMultiple(held)) return [{ path, value: held }];
  return [...held].map(([index, value]) => ({ path: [...path, index], value }));
}

function dimension({ read }: Resource): LinkAttribute[] {
  const held = read?.();
  return isMultiple(held) ? [{ name: "dim", value: String(held.size), quoted: false }] : [];
}

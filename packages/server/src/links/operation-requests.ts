/** What is asked through the API as requests of LwM2M, checked against the object models before anything is sent. */
import type {
  NewExecution,
  NewInstance,
  NewValue,
  NewValues,
  NotificationAttributes,
} from "@airlift/protocol/api/operations";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";
import {
  type AttributeChange,
  assertAttributesFit,
  changeAttributes,
  formatAttributeChange,
  parseAttributeChange,
} from "@airlift/protocol/lwm2m/attributes";
import { PATH_LIST_FORMATS, readCompositeRequest, writeCompositeRequest } from "@airlift/protocol/lwm2m/composite";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import type { ExecuteArguments } from "@airlift/protocol/lwm2m/execute-arguments";
import { chooseFormats, type FormatUse } from "@airlift/protocol/lwm2m/format-choice";
import { type Models, resourceAt } from "@airlift/protocol/lwm2m/model";
import {
  type Content,
  createRequest,
  executeRequest,
  readRequest,
  type WriteMode,
  writeAttributesRequest,
  writeRequest,
} from "@airlift/protocol/lwm2m/operations";
import { formatPath, type Path, ROOT } from "@airlift/protocol/lwm2m/path";
import { resolvePath } from "@airlift/protocol/lwm2m/path-names";
import { encodePayload } from "@airlift/protocol/lwm2m/payload";
import { registeredObject } from "@airlift/protocol/lwm2m/registered-objects";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { ResourceType } from "@airlift/protocol/lwm2m/value";
import { entriesOfJson } from "@airlift/protocol/lwm2m/value-json";
import type { FormatMemory } from "../fleet/format-memory.ts";
import type { Registration } from "../fleet/registration.ts";
import type { Attempts } from "./operation-exchange.ts";

/** A value for one path. */
export interface ValueWrite {
  readonly given: NewValue;
  readonly mode: WriteMode;
  /** Content format instead of the one that suits. */
  readonly format?: number | undefined;
}

/** How an operation goes out, apart from its time limit. */
export type Plan = Pick<Attempts, "use" | "formats" | "requestIn">;

export class OperationRequests {
  readonly #models: Models;
  readonly #memory: FormatMemory;

  constructor(models: Models, memory: FormatMemory) {
    this.#models = models;
    this.#memory = memory;
  }

  /** One path by itself, several at once. @throws {UsageError} those of `read` and `readComposite` */
  readAll(device: Registration, paths: readonly Path[], format?: number): Plan {
    const [path = ROOT] = paths;
    return paths.length === 1 ? this.read(device, path, format) : this.readComposite(device, paths, format);
  }

  /** @throws {UsageError} PATH for the root, which is read by naming several paths. */
  read(device: Registration, path: Path, format?: number): Plan {
    assertLevel(path, 1, 4);
    const model = resourceAt(this.#models, path);
    if (model?.type === "none")
      throw new UsageError("NOT_READABLE", `${formatPath(path)} (${model.name}) is executed, not read`);
    const isSingle = path.length === 4 || (path.length === 3 && model !== undefined && !model.multiple);
    const use = isSingle ? "single" : "several";
    // At last without a wish: the device answers in what it has.
    const formats =
      format === undefined
        ? [...this.#formats(device, `read ${use}`, { use, type: model?.type }), undefined]
        : [format];
    return { use: `read ${use}`, formats, requestIn: (accept) => readRequest(path, accept) };
  }

  /** @throws {UsageError} COMPOSITE_VERSION, PATHS */
  readComposite(device: Registration, paths: readonly Path[], format?: number): Plan {
    assertComposite(device);
    const formats = format === undefined ? this.#formats(device, "read composite", { use: "composite" }) : [format];
    return {
      use: "read composite",
      formats,
      requestIn: (accept = CONTENT_FORMATS.senmlCbor) => {
        const contentFormat = PATH_LIST_FORMATS.includes(accept) ? accept : CONTENT_FORMATS.senmlCbor;
        return readCompositeRequest(paths, { contentFormat, accept });
      },
    };
  }

  /** @throws {UsageError} VALUE_TYPE, VALUE_RANGE, NOT_WRITABLE, VALUES, PATH and those of `resolvePath` */
  write(device: Registration, path: Path, { given, mode, format }: ValueWrite): Plan {
    assertLevel(path, 2, mode === "update" ? 3 : 4);
    const entries = entriesOfJson(path, given.value, { models: this.#models, typed: given.typed });
    // A POST of text to a resource would be an Execute.
    const isSingle = mode === "replace" && entries.length === 1 && entries[0]?.path.length === path.length;
    const use = isSingle ? "single" : "several";
    const type = isSingle ? resourceAt(this.#models, path)?.type : undefined;
    return this.#withValues(device, { use, path, entries, type, format }, (content) =>
      writeRequest(path, mode, content),
    );
  }

  /** @throws {UsageError} COMPOSITE_VERSION and those of `write` */
  writeComposite(device: Registration, { values, typed }: NewValues, format?: number): Plan {
    assertComposite(device);
    const entries = Object.entries(values).flatMap(([text, json]) =>
      entriesOfJson(resolvePath(text, this.#models), json, { models: this.#models, typed }),
    );
    if (entries.length === 0) throw new UsageError("VALUES", "nothing to write");
    return this.#withValues(device, { use: "composite", path: [], entries, format }, writeCompositeRequest);
  }

  /** @throws {UsageError} NOT_EXECUTABLE, ARGUMENTS, PATH */
  execute(path: Path, given: NonNullable<NewExecution["arguments"]>): Plan {
    assertLevel(path, 3, 3);
    const model = resourceAt(this.#models, path);
    if (model !== undefined && model.operations !== "E")
      throw new UsageError("NOT_EXECUTABLE", `${formatPath(path)} (${model.name}) cannot be executed`);
    const list: ExecuteArguments = new Map(
      Object.entries(given).map(([digit, text]) => [Number(digit), text ?? undefined]),
    );
    return plain(executeRequest(path, list));
  }

  /** The path of the new instance; without a number in it the first that is free by the registration. */
  create(
    device: Registration,
    path: Path,
    { values = {}, typed }: Omit<NewInstance, "path">,
  ): Plan & { readonly instance: Path } {
    assertLevel(path, 1, 2);
    const [objectId = 0, given] = path;
    const taken = registeredObject(device.objects, objectId)?.instances ?? [];
    let free = 0;
    while (taken.includes(free)) free += 1;
    const instance = [objectId, given ?? free];
    const entries =
      Object.keys(values).length === 0 ? [] : entriesOfJson(instance, values, { models: this.#models, typed });
    const object = [objectId];
    return {
      instance,
      ...this.#withValues(device, { use: "several", path: object, entries }, (content) =>
        createRequest(object, content),
      ),
    };
  }

  /** @throws {UsageError} ATTRIBUTE for one that cannot stand there, contradicts another, or is not of the device's version. */
  writeAttributes({ lwm2mVersion }: Registration, path: Path, given: NotificationAttributes): Plan {
    assertLevel(path, 1, 4);
    try {
      const change = parseAttributeChange(formatAttributeChange(given as AttributeChange));
      if (Object.keys(change).length === 0) throw new UsageError("ATTRIBUTE", "no attribute to write");
      assertAttributesFit(change, { path, type: resourceAt(this.#models, path)?.type, lwm2mVersion });
      changeAttributes({}, change);
      return plain(writeAttributesRequest(path, change));
    } catch (error) {
      if (error instanceof PeerError) throw new UsageError(error.code, error.message, error.facts);
      throw error;
    }
  }

  /** The values in every format that can hold them. @throws {UsageError} what the last format that cannot says */
  #withValues(
    device: Registration,
    { use, path, entries, type, format }: Values,
    requestOf: (content: Content) => Lwm2mRequest,
  ): Plan {
    const formats = format === undefined ? this.#formats(device, `write ${use}`, { use, type }) : [format];
    const payloads = new Map<number, Uint8Array>();
    let failure: unknown;
    for (const one of formats) {
      try {
        payloads.set(one, encodePayload(one, entries, { base: path, models: this.#models }));
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        failure = error;
      }
    }
    if (payloads.size === 0) throw failure;
    return {
      use: `write ${use}`,
      formats: [...payloads.keys()],
      requestIn: (contentFormat = CONTENT_FORMATS.text) =>
        requestOf({ contentFormat, payload: payloads.get(contentFormat) ?? EMPTY }),
    };
  }

  #formats(device: Registration, key: string, { use, type }: Pick<Values, "use" | "type">): number[] {
    const { lwm2mVersion, objects, endpoint } = device;
    const refused = this.#memory.refusedBy(endpoint, key);
    return chooseFormats({ use, lwm2mVersion, registered: objects.contentFormats, type, refused });
  }
}

interface Values {
  readonly use: FormatUse;
  readonly path: Path;
  readonly entries: readonly Entry[];
  readonly type?: ResourceType | undefined;
  /** The only one to be tried. */
  readonly format?: number | undefined;
}

/** An operation that carries no values in a format of choice. */
export function plain(request: Lwm2mRequest): Plan {
  return { use: "plain", formats: [undefined], requestIn: () => request };
}

/** @throws {UsageError} PATH */
export function assertLevel(path: Path, least: number, most: number): void {
  if (path.length >= least && path.length <= most) return;
  const named = ["the root", "an object", "an instance", "a resource", "a resource instance"];
  const meant = named.slice(least, most + 1).join(" or ");
  throw new UsageError("PATH", `this operation is for ${meant}, and ${formatPath(path)} is ${named[path.length]}`, {
    path: formatPath(path),
  });
}

function assertComposite({ lwm2mVersion }: Registration): void {
  if (lwm2mVersion === "1.0")
    throw new UsageError("COMPOSITE_VERSION", "a device of LwM2M 1.0 has no operation on several paths", {
      lwm2mVersion,
    });
}

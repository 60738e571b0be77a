/** Loads object definitions from a folder of OMA registry XML files. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { AirliftError, EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import type { ObjectModel } from "@airlift/protocol/lwm2m/model";
import { DEFAULT_REGISTRY_XML_LIMITS, parseRegistryXml } from "@airlift/protocol/lwm2m/objects/registry-xml";

/** What a folder holds; a file that cannot be read or understood is named and does not spoil the others. */
export interface ObjectFolder {
  /** In the order of the files' names. */
  readonly objects: readonly ObjectModel[];
  readonly failures: readonly { readonly file: string; readonly error: AirliftError }[];
}

/** Reads every `*.xml` directly in `folder`. @throws {EnvironmentError} OBJECT_FOLDER when the folder cannot be read. */
export async function loadObjectModels(folder: string): Promise<ObjectFolder> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new EnvironmentError("OBJECT_FOLDER", "cannot read the folder of object definitions", { folder }, { cause });
  });
  const objects: ObjectModel[] = [];
  const failures: { file: string; error: AirliftError }[] = [];
  for (const file of names.filter((name) => /\.xml$/i.test(name)).sort()) {
    try {
      objects.push(...(await loadFile(join(folder, file))));
    } catch (error) {
      if (!(error instanceof AirliftError)) throw error;
      failures.push({ file, error });
    }
  }
  return { objects, failures };
}

async function loadFile(path: string): Promise<readonly ObjectModel[]> {
  const text = await readText(path).catch((cause: unknown) => {
    if (cause instanceof AirliftError) throw cause;
    throw new EnvironmentError("OBJECT_FILE", "cannot read an object definition", { path }, { cause });
  });
  return parseRegistryXml(text);
}

async function readText(path: string): Promise<string> {
  // A character takes at least one octet: what is larger cannot be within the limit, and is not read at all.
  const { size } = await stat(path);
  if (size > 4 * DEFAULT_REGISTRY_XML_LIMITS.maxCharacters)
    throw new PeerError("TOO_MANY", "too long", { sizeBytes: size });
  return readFile(path, "utf8");
}

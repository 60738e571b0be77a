/** A device's accounts and keys in a directory that only its owner can read; a power cut leaves the last state or the one before. */
import { decodeBase64, encodeBase64 } from "@airlift/protocol/lwm2m/base64";
import type { Configuration } from "@airlift/protocol/lwm2m/bootstrap/configuration";
import { imageCrypto } from "@airlift/runtime/crypto";
import type { CredentialStore, StoredConfiguration } from "../bootstrap-options.ts";
import type { SlotFiles } from "../ports.ts";
import { RecordStore, type StoredRecord } from "./record-store.ts";
import { openDirectory } from "./slot-files.ts";

interface CredentialRecord extends StoredRecord {
  readonly former: readonly StoredEntry[] | null;
  readonly untried: readonly StoredEntry[] | null;
}

/** Octets are in base64, below `octets`; other values are as they are. */
interface StoredEntry {
  readonly path: readonly number[];
  readonly value: string | number | boolean | { readonly octets: string };
}

/** @param directory Made if it is missing. @throws {EnvironmentError} FILE_SYSTEM */
export function createCredentialFile(directory: string): CredentialStore {
  return createCredentialStore(openDirectory(directory));
}

/** On any medium that has these file operations. */
export function createCredentialStore(files: SlotFiles): CredentialStore {
  const store = new RecordStore<CredentialRecord>(files, imageCrypto, { generation: 0, former: null, untried: null });
  let loading: Promise<unknown> | undefined;
  const loaded = (): Promise<unknown> => {
    loading ??= store.load();
    return loading;
  };
  return {
    load: async () => {
      await loaded();
      return { former: unpacked(store.record.former), untried: unpacked(store.record.untried) };
    },
    save: async ({ former, untried }: StoredConfiguration) => {
      await loaded();
      await store.change(() => ({ former: packed(former), untried: packed(untried) }));
    },
  };
}

function packed(configuration: Configuration | undefined): StoredEntry[] | null {
  if (configuration === undefined) return null;
  return configuration.map(({ path, value }) => ({ path, value: packedValue(value) }));
}

function packedValue(value: Configuration[number]["value"]): StoredEntry["value"] {
  if (value instanceof Uint8Array) return { octets: encodeBase64(value, "standard") };
  return typeof value === "string" || typeof value === "boolean" || typeof value === "number" ? value : String(value);
}

function unpacked(entries: readonly StoredEntry[] | null): Configuration | undefined {
  return entries?.map(({ path, value }) => ({
    path,
    value: typeof value === "object" ? (decodeBase64(value.octets, "standard") ?? new Uint8Array()) : value,
  }));
}

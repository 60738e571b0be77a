/** Bootstrapping on a store of device keys: factory credentials are those for the Bootstrap interface, new keys rotate the old. */
import { fromHex } from "@airlift/protocol/lib/bytes";
import { BugError } from "@airlift/protocol/lib/errors";
import type { BootstrapCredentials } from "./bootstrap.ts";
import type { ProvenIdentity } from "./credentials.ts";

/** One kept credential, without its key. */
export interface KeptKey {
  readonly id: string;
  readonly purpose: "device" | "bootstrap";
  /** `ending`: a newer one takes its place when that is first used. */
  readonly state: string;
  readonly lastUsedAt: string | null;
}

/** What is asked of the store; all promises reject with `EnvironmentError` DATABASE_AWAY while it cannot answer. */
export interface KeyStore {
  /** The name, or the shared beginning of names, that a credential of the Bootstrap interface is for. */
  endpointOf(identity: ProvenIdentity, place: "bootstrap"): Promise<string | undefined>;
  list(endpoint: string): Promise<readonly KeptKey[]>;
  /** A new key; the others for the same purpose end when it is first used. `key` in hex. */
  rotate(
    endpoint: string,
    asked: { readonly kind: "psk"; readonly purpose: "device" },
  ): Promise<{ readonly identity: string; readonly key: string | null }>;
  remove(endpoint: string, id: string): Promise<void>;
}

/** Keys of interrupted bootstraps that are kept: of two tries that overlap, either may be the one that the device finished. */
export const UNUSED_KEYS_KEPT = 1;

export function bootstrapKeys(store: KeyStore): BootstrapCredentials {
  return {
    scopeOf: (identity) => store.endpointOf(identity, "bootstrap"),
    isInUse: async (endpoint) => (await ownKeys(store, endpoint)).some(({ lastUsedAt }) => lastUsedAt !== null),
    issueDeviceCredential: async (endpoint) => {
      // A device that never finishes would fill its place with keys that nobody uses.
      const unused = (await ownKeys(store, endpoint)).filter(({ lastUsedAt }) => lastUsedAt === null);
      const surplus = unused.slice(0, Math.max(0, unused.length - UNUSED_KEYS_KEPT));
      for (const { id } of surplus) await store.remove(endpoint, id);
      const { identity, key } = await store.rotate(endpoint, { kind: "psk", purpose: "device" });
      const octets = key === null ? undefined : fromHex(key);
      if (octets === undefined) throw new BugError("BOOTSTRAP_KEY", "a new key came without its octets");
      return { identity, key: octets };
    },
  };
}

/** Of the device itself, oldest first. */
async function ownKeys(store: KeyStore, endpoint: string): Promise<KeptKey[]> {
  return (await store.list(endpoint)).filter(({ purpose, state }) => purpose === "device" && state !== "withdrawn");
}

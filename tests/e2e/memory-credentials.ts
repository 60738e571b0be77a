/** Credentials in memory, for tests of the doors. */
import type { DeviceCredentials, ProvenIdentity } from "@airlift/server/fleet/credentials";

export class MemoryCredentials implements DeviceCredentials {
  /** PSK identities with their keys and endpoint names. */
  readonly psks = new Map<string, { readonly key: Uint8Array; readonly endpoint: string }>();
  readonly rpks = new Map<string, string>();
  #authorities = "";
  readonly #authorityListeners = new Set<() => void>();
  readonly #listeners = new Set<Parameters<DeviceCredentials["onWithdrawn"]>[0]>();

  readonly #givenListeners = new Set<(endpoint: string) => void>();

  /** A key for an endpoint, under the identity `<endpoint>-id`. */
  give(endpoint: string, identity = `${endpoint}-id`): { readonly identity: string; readonly key: Uint8Array } {
    const key = crypto.getRandomValues(new Uint8Array(16));
    this.psks.set(identity, { key, endpoint });
    for (const listener of this.#givenListeners) listener(endpoint);
    return { identity, key };
  }

  withdraw(identity: string): void {
    const found = this.psks.get(identity);
    if (found === undefined) throw new Error(`no credential ${identity}`);
    this.psks.delete(identity);
    for (const listener of this.#listeners) listener({ kind: "psk", name: identity }, found.endpoint);
  }

  trust(authoritiesPem: string): void {
    this.#authorities = authoritiesPem;
    for (const listener of this.#authorityListeners) listener();
  }

  async psk(identity: string): Promise<Uint8Array | undefined> {
    return this.psks.get(identity)?.key;
  }

  async rpk(fingerprint: string): Promise<string | undefined> {
    return this.rpks.get(fingerprint);
  }

  async authoritiesPem(): Promise<string> {
    return this.#authorities;
  }

  async endpointOf({ kind, name }: ProvenIdentity): Promise<string | undefined> {
    return kind === "psk" ? this.psks.get(name)?.endpoint : name;
  }

  async hasCredentials(endpoint: string): Promise<boolean> {
    const known = [...[...this.psks.values()].map((psk) => psk.endpoint), ...this.rpks.values()];
    return known.includes(endpoint);
  }

  async withCredentials(endpoints: readonly string[]): Promise<ReadonlySet<string>> {
    const has = await Promise.all(endpoints.map((endpoint) => this.hasCredentials(endpoint)));
    return new Set(endpoints.filter((_, at) => has[at]));
  }

  onGiven(onChange: (endpoint: string) => void): () => void {
    this.#givenListeners.add(onChange);
    return () => void this.#givenListeners.delete(onChange);
  }

  onWithdrawn(onChange: Parameters<DeviceCredentials["onWithdrawn"]>[0]): () => void {
    this.#listeners.add(onChange);
    return () => void this.#listeners.delete(onChange);
  }

  onAuthorities(onChange: () => void): () => void {
    this.#authorityListeners.add(onChange);
    return () => void this.#authorityListeners.delete(onChange);
  }
}

/** A line in which those of one host wait for each other only: hosts are served in turn. Pure. */

export interface FairLineOptions {
  /** How many may wait in all; one host may have as many as there is room left for the others. */
  readonly limit: number;
}

export class FairLine {
  readonly #limit: number;
  readonly #hostOf = new Map<string, string>();
  /** Who waits, by host; the host whose turn it is comes first. */
  readonly #byHost = new Map<string, Set<string>>();

  constructor({ limit }: FairLineOptions) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#hostOf.size;
  }

  /** Who waits already keeps its place, unless it comes from another host now. False: there is no room for one more of this host. */
  add(name: string, host: string): boolean {
    if (this.#hostOf.get(name) === host) return true;
    this.delete(name);
    const names = this.#byHost.get(host) ?? new Set();
    if (names.size >= this.#limit - this.size) return false;
    this.#hostOf.set(name, host);
    this.#byHost.set(host, names.add(name));
    return true;
  }

  /** Whether it waited. */
  delete(name: string): boolean {
    const host = this.#hostOf.get(name);
    if (host === undefined) return false;
    const names = this.#byHost.get(host);
    names?.delete(name);
    if (names?.size === 0) this.#byHost.delete(host);
    return this.#hostOf.delete(name);
  }

  /** Who has waited longest of the host whose turn it is. */
  take(): string | undefined {
    const [next] = this.#byHost;
    if (next === undefined) return undefined;
    const [host, names] = next;
    const [name] = names;
    if (name !== undefined) this.delete(name);
    if (names.size > 0) {
      this.#byHost.delete(host);
      this.#byHost.set(host, names);
    }
    return name;
  }

  clear(): void {
    this.#hostOf.clear();
    this.#byHost.clear();
  }
}

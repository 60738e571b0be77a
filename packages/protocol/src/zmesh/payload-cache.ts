/** Payloads in memory by content and SEQ; the one used longest ago goes first when there are too many octets. */

/** A content of 2000 packets at the default MTU, forty times. */
export const DEFAULT_MAX_CACHE_BYTES = 4 * 1024 * 1024;
/** What an entry costs beside its payload, roughly: key, object, links. */
const ENTRY_BYTES = 96;

export class PayloadCache {
  readonly #payloads = new Map<string, Uint8Array>();
  readonly #maxBytes: number;
  #sizeBytes = 0;

  constructor(maxBytes: number = DEFAULT_MAX_CACHE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Octets held, with what the entries cost. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get(key: string): Uint8Array | undefined {
    const payload = this.#payloads.get(key);
    if (payload === undefined) return undefined;
    this.#payloads.delete(key);
    this.#payloads.set(key, payload);
    return payload;
  }

  set(key: string, payload: Uint8Array): void {
    this.#remove(key);
    this.#payloads.set(key, payload);
    this.#sizeBytes += payload.length + ENTRY_BYTES;
    for (const oldest of this.#payloads.keys()) {
      if (this.#sizeBytes <= this.#maxBytes) break;
      this.#remove(oldest);
    }
  }

  /** Forgets all payloads whose key begins so. */
  removeAll(prefix: string): void {
    for (const key of this.#payloads.keys()) if (key.startsWith(prefix)) this.#remove(key);
  }

  #remove(key: string): void {
    const payload = this.#payloads.get(key);
    if (payload !== undefined && this.#payloads.delete(key)) this.#sizeBytes -= payload.length + ENTRY_BYTES;
  }
}

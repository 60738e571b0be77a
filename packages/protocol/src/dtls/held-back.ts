/** What came too early and is kept for a moment: protected records before their keys, data before the end. */

/** Octets kept of each kind in one handshake; what is beyond is dropped, as if the network had lost it. */
const MAX_HELD_BYTES = 4_096;

export class HeldBack<T> {
  readonly #sizeOf: (item: T) => number;
  #items: T[] = [];
  #bytes = 0;

  /** @param sizeOf Octets of one item. */
  constructor(sizeOf: (item: T) => number) {
    this.#sizeOf = sizeOf;
  }

  add(item: T): void {
    const bytes = this.#bytes + this.#sizeOf(item);
    if (bytes > MAX_HELD_BYTES) return;
    this.#bytes = bytes;
    this.#items.push(item);
  }

  /** Everything in its order; nothing is left. */
  takeAll(): T[] {
    const items = this.#items;
    this.#items = [];
    this.#bytes = 0;
    return items;
  }
}

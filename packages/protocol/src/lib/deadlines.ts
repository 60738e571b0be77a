/** Many deadlines, the earliest first: a binary heap with an index, so that each can be moved or removed by its key. */

interface Entry<Key> {
  key: Key;
  atMs: number;
}

/**
 * Wake-up times by key. `set`, `delete` and `popDue` cost O(log n), `earliestMs` O(1).
 * Times are milliseconds of whatever clock the owner uses.
 */
export class Deadlines<Key> {
  readonly #heap: Entry<Key>[] = [];
  readonly #places = new Map<Key, number>();

  get size(): number {
    return this.#heap.length;
  }

  get earliestMs(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  has(key: Key): boolean {
    return this.#places.has(key);
  }

  /** Adds a deadline for `key`, or moves the one it has. */
  set(key: Key, atMs: number): void {
    const place = this.#places.get(key);
    if (place === undefined) {
      this.#heap.push({ key, atMs });
      this.#places.set(key, this.#heap.length - 1);
      this.#rise(this.#heap.length - 1);
      return;
    }
    this.#entry(place).atMs = atMs;
    this.#sink(this.#rise(place));
  }

  /** Removes the deadline of `key`; whether there was one. */
  delete(key: Key): boolean {
    const place = this.#places.get(key);
    if (place === undefined) return false;
    this.#removeAt(place);
    return true;
  }

  /** Removes and returns the key with the earliest deadline at or before `nowMs`; `undefined` when none is due. */
  popDue(nowMs: number): Key | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    this.#removeAt(0);
    return first.key;
  }

  #removeAt(place: number): void {
    this.#places.delete(this.#entry(place).key);
    const last = this.#heap.pop();
    if (last === undefined || place === this.#heap.length) return;
    this.#put(place, last);
    this.#sink(this.#rise(place));
  }

  #rise(from: number): number {
    const entry = this.#entry(from);
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#entry(parent);
      if (above.atMs <= entry.atMs) break;
      this.#put(place, above);
      place = parent;
    }
    this.#put(place, entry);
    return place;
  }

  #sink(from: number): void {
    const entry = this.#entry(from);
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && this.#entry(child + 1).atMs < this.#entry(child).atMs) child += 1;
      const below = this.#entry(child);
      if (below.atMs >= entry.atMs) break;
      this.#put(place, below);
      place = child;
    }
    this.#put(place, entry);
  }

  #put(place: number, entry: Entry<Key>): void {
    this.#heap[place] = entry;
    this.#places.set(entry.key, place);
  }

  #entry(place: number): Entry<Key> {
    return this.#heap[place] as Entry<Key>;
  }
}

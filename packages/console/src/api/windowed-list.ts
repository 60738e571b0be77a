/**
 * A list of any length of which only the pages near what is seen are kept. Pages are chained by cursors, so a far place
 * is reached by walking; what was walked over is forgotten but for its cursor.
 */
import { noteRefusal } from "./query-client.ts";

export interface WindowPage<Row> {
  readonly items: readonly Row[];
  readonly next: string | null;
}

export interface WindowedListOptions<Row> {
  /** @param cursor Undefined = the first page. */
  readonly fetchPage: (cursor: string | undefined) => Promise<WindowPage<Row>>;
  /** Pages whose rows are kept. Default 12. */
  readonly keptCount?: number;
}

interface Slot<Row> {
  readonly cursor: string | undefined;
  readonly firstIndex: number;
  readonly count: number;
  readonly next: string | null;
  /** Undefined = forgotten. */
  readonly rows: readonly Row[] | undefined;
  readonly isStale: boolean;
}

export class WindowedList<Row> {
  readonly #options: WindowedListOptions<Row>;
  readonly #listeners = new Set<() => void>();
  #slots: Slot<Row>[] = [];
  #sight = { first: 0, last: 0 };
  #isWorking = false;
  #error: Error | undefined;
  #version = 0;
  #refreshCount = 0;

  constructor(options: WindowedListOptions<Row>) {
    this.#options = options;
  }

  /** Counts the changes. */
  get version(): number {
    return this.#version;
  }

  /** Rows that are known to be there. */
  get knownCount(): number {
    const last = this.#slots.at(-1);
    return last === undefined ? 0 : last.firstIndex + last.count;
  }

  /** Whether the list's end is known. */
  get isComplete(): boolean {
    return this.#slots.at(-1)?.next === null;
  }

  /** Why it does not go on; `retry` does. */
  get error(): Error | undefined {
    return this.#error;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Undefined when it is not here yet, or not any more. */
  rowAt(index: number): Row | undefined {
    const slot = this.#slots[this.#slotOf(index)];
    return slot?.rows?.[index - slot.firstIndex];
  }

  /** Says which rows are seen, both included; what is missing of them is fetched. */
  show(first: number, last: number): void {
    if (this.#sight.first === first && this.#sight.last === last && this.#slots.length > 0) return;
    this.#sight = { first, last };
    void this.#work();
  }

  /** What is seen is asked again; the rest when it is seen again. */
  refresh(): void {
    this.#refreshCount += 1;
    this.#slots = this.#slots.map((slot) => ({ ...slot, isStale: true }));
    void this.#work();
  }

  retry(): void {
    this.#error = undefined;
    void this.#work();
  }

  /** The slot that holds a row: the last that does not begin after it. -1 when the list is empty. */
  #slotOf(index: number): number {
    let [low, high] = [0, this.#slots.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#slots[middle] as Slot<Row>).firstIndex <= index) low = middle;
      else high = middle - 1;
    }
    return high;
  }

  /** One request at a time, until all that is seen is here. */
  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      for (let place = this.#missing(); place !== undefined; place = this.#missing()) await this.#load(place);
    } finally {
      this.#isWorking = false;
    }
  }

  #missing(): number | undefined {
    if (this.#error !== undefined) return undefined;
    if (this.#slots.length === 0) return 0;
    const { first, last } = this.#sight;
    for (let at = Math.max(0, this.#slotOf(first)); at <= this.#slotOf(last); at += 1) {
      const slot = this.#slots[at];
      if (slot !== undefined && (slot.rows === undefined || slot.isStale)) return at;
    }
    return last >= this.knownCount && !this.isComplete ? this.#slots.length : undefined;
  }

  async #load(place: number): Promise<void> {
    const before = this.#slots[place - 1];
    const cursor = place === 0 ? undefined : (before?.next ?? undefined);
    const firstIndex = before === undefined ? 0 : before.firstIndex + before.count;
    const refreshCount = this.#refreshCount;
    try {
      const { items, next } = await this.#options.fetchPage(cursor);
      const old = this.#slots[place];
      // Asked for again while the answer was on its way: it may be older than what called for it.
      const isStale = refreshCount !== this.#refreshCount;
      this.#slots[place] = { cursor, firstIndex, count: items.length, next, rows: items, isStale };
      // Rows came or went: what follows begins elsewhere and is walked again when it is wanted.
      if (old !== undefined && (old.next !== next || old.count !== items.length)) this.#slots.length = place + 1;
      this.#forgetFar();
    } catch (error) {
      noteRefusal(error);
      this.#error = error instanceof Error ? error : new Error(String(error));
    }
    this.#version += 1;
    for (const listener of this.#listeners) listener();
  }

  #forgetFar(): void {
    const middle = this.#slotOf((this.#sight.first + this.#sight.last) >> 1);
    const reach = Math.ceil((this.#options.keptCount ?? 12) / 2);
    for (const [at, slot] of this.#slots.entries())
      if (slot.rows !== undefined && Math.abs(at - middle) > reach) this.#slots[at] = { ...slot, rows: undefined };
  }
}

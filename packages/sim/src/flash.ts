/** Files on a medium that loses power: what was not synced may survive, be torn, or be gone. */
import type { SlotFile, SlotFiles } from "@airlift/device/ports";
import type { Random } from "@airlift/protocol/lib/core";
import { EnvironmentError } from "@airlift/protocol/lib/errors";

/** What every operation rejects with from the cut on, until `restart`. */
export class PowerCut extends Error {
  constructor() {
    super("power cut");
    this.name = "PowerCut";
  }
}

/**
 * What becomes of everything that was not synced: all of it is `lost`, all of it is `kept`, or chance decides for each
 * write whether it is lost, torn or whole, in whatever order. Names change in the order in which they were changed.
 */
export type Loss = "lost" | "kept" | Random;

type Change = { readonly offset: number; readonly bytes: Uint8Array } | { readonly sizeBytes: number };

interface Content {
  durable: Uint8Array;
  current: Uint8Array;
  pending: Change[];
}

interface NameChange {
  readonly folder: string;
  apply(names: Map<string, Content>): void;
}

/** An in-memory `SlotFiles`. */
export class Flash implements SlotFiles {
  /** Operations so far, reads included. */
  operationCount = 0;
  /** The operation that the power does not outlive, counted from 0; what it was to do counts as not synced. */
  cutAt = Number.POSITIVE_INFINITY;
  readonly #capacityBytes: number;
  readonly #durableNames = new Map<string, Content>();
  #names = new Map<string, Content>();
  #nameChanges: NameChange[] = [];
  #isOff = false;

  constructor(capacityBytes: number = Number.POSITIVE_INFINITY) {
    this.#capacityBytes = capacityBytes;
  }

  /** The power is back; files that were open are not. */
  restart(loss: Loss): void {
    const keptCount = typeof loss === "string" ? (loss === "kept" ? Number.POSITIVE_INFINITY : 0) : undefined;
    const count = keptCount ?? Math.floor((loss as Random)() * (this.#nameChanges.length + 1));
    for (const change of this.#nameChanges.slice(0, count)) change.apply(this.#durableNames);
    this.#nameChanges = [];
    this.#names = new Map(this.#durableNames);
    for (const content of new Set(this.#names.values())) settle(content, loss);
    this.#isOff = false;
    this.operationCount = 0;
    this.cutAt = Number.POSITIVE_INFINITY;
  }

  /** The octets of a file as it is now; a copy. */
  peek(name: string): Uint8Array | undefined {
    return this.#names.get(name)?.current.slice();
  }

  /** Changes a file behind everybody's back, as ageing cells do. */
  poke(name: string, change: (bytes: Uint8Array) => void): void {
    const content = this.#names.get(name);
    if (content) for (const bytes of new Set([content.current, content.durable])) change(bytes);
  }

  async open(name: string, how: "read" | "update" | "create"): Promise<SlotFile | undefined> {
    const found = this.#names.get(name);
    if (how !== "create") {
      this.#operate(() => undefined);
      return found && this.#file(found);
    }
    const content: Content = found ?? { durable: new Uint8Array(0), current: new Uint8Array(0), pending: [] };
    this.#operate(() => {
      if (found) this.#change(found, { sizeBytes: 0 });
      else this.#rename(name, (names) => names.set(name, content));
    });
    return this.#file(content);
  }

  async rename(from: string, to: string): Promise<void> {
    const content = this.#names.get(from);
    if (!content) throw new EnvironmentError("FILE_SYSTEM", "no such file", { name: from });
    this.#operate(() => this.#rename(to, (names) => names.set(to, content) && names.delete(from)));
  }

  async unlink(name: string): Promise<void> {
    this.#operate(() => this.#rename(name, (names) => names.delete(name)));
  }

  async syncFolderOf(name: string): Promise<void> {
    this.#operate(undefined, () => {
      for (const change of this.#nameChanges) if (change.folder === folderOf(name)) change.apply(this.#durableNames);
      this.#nameChanges = this.#nameChanges.filter((change) => change.folder !== folderOf(name));
    });
  }

  #file(content: Content): SlotFile {
    return {
      sizeBytes: async () => {
        this.#operate(() => undefined);
        return content.current.length;
      },
      read: async (offset, length) => {
        this.#operate(() => undefined);
        return content.current.slice(offset, offset + length);
      },
      write: async (offset, bytes) => {
        const growthBytes = Math.max(0, offset + bytes.length - content.current.length);
        if (this.#usedBytes() + growthBytes > this.#capacityBytes) {
          throw new EnvironmentError("NO_SPACE", "the flash is full", { capacityBytes: this.#capacityBytes });
        }
        this.#operate(() => this.#change(content, { offset, bytes: bytes.slice() }));
      },
      truncate: async (sizeBytes) => this.#operate(() => this.#change(content, { sizeBytes })),
      sync: async () =>
        this.#operate(undefined, () => {
          content.durable = content.current.slice();
          content.pending = [];
        }),
      close: async () => this.#operate(() => undefined),
    };
  }

  /** `begin` happens even when the power goes in this operation, though not for good; `end` only when it does not. */
  #operate(begin: (() => void) | undefined, end?: () => void): void {
    if (this.#isOff) throw new PowerCut();
    begin?.();
    if (this.operationCount === this.cutAt) {
      this.#isOff = true;
      throw new PowerCut();
    }
    this.operationCount += 1;
    end?.();
  }

  #change(content: Content, change: Change): void {
    content.current = applied(content.current, change);
    content.pending.push(change);
  }

  #rename(name: string, apply: NameChange["apply"]): void {
    apply(this.#names);
    this.#nameChanges.push({ folder: folderOf(name), apply });
  }

  #usedBytes(): number {
    let used = 0;
    for (const content of new Set(this.#names.values())) used += content.current.length;
    return used;
  }
}

function folderOf(name: string): string {
  return name.slice(0, name.lastIndexOf("/") + 1);
}

function applied(bytes: Uint8Array, change: Change): Uint8Array {
  const end = "sizeBytes" in change ? change.sizeBytes : Math.max(bytes.length, change.offset + change.bytes.length);
  const result = new Uint8Array(end);
  result.set(bytes.subarray(0, end));
  if ("bytes" in change) result.set(change.bytes, change.offset);
  return result;
}

function settle(content: Content, loss: Loss): void {
  let bytes = content.durable;
  for (const change of content.pending) {
    const share = loss === "kept" ? 1 : loss === "lost" ? 0 : loss() * 3 - 1;
    if (share <= 0) continue;
    if ("sizeBytes" in change || share >= 1) bytes = applied(bytes, change);
    else
      bytes = applied(bytes, { ...change, bytes: change.bytes.subarray(0, Math.floor(change.bytes.length * share)) });
  }
  content.durable = bytes;
  content.current = bytes.slice();
  content.pending = [];
}

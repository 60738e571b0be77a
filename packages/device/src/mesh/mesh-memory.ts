/** What of a mesh device survives a power cut, in one file that is replaced as a whole. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import type { CommandChannel } from "@airlift/protocol/zmesh/command-channel";
import type { ReceiverRecord } from "@airlift/protocol/zmesh/receiver-types";

/** Octet strings are kept as they are. */
export interface MeshMemory {
  /** FSEQ accepted last, by the channel's name in hex. */
  readonly accepted: Readonly<Record<string, number>>;
  /** Events may have had numbers up to this one. */
  readonly eventFseq: number;
  readonly attempts: readonly string[];
  readonly image: ReceiverRecord;
  readonly manifest: ReceiverRecord;
  /** Signed manifests that were verified, with the key and the release IV they belong to; the newest last. */
  readonly manifests: readonly StoredManifest[];
  /** The key and the release IV of the manifest that was refused last. */
  readonly refused?: Pick<StoredManifest, "key" | "iv"> | undefined;
  readonly securityCounter: number;
  /** Channels of groups that the network made it a member of; one for each name. */
  readonly joined: readonly CommandChannel[];
  /** What an image calls itself by its manifest, with what the slots call it: raw bytes have no version of their own. */
  readonly named?: { readonly bySlots: string; readonly byManifest: string };
  /** Version that ran when the image was handed to the slots. */
  readonly versionBefore?: string;
}

export interface StoredManifest {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly bytes: Uint8Array;
}

const BLANK: MeshMemory = {
  accepted: {},
  eventFseq: -1,
  attempts: [],
  image: { state: "idle", result: "initial" },
  manifest: { state: "idle", result: "initial" },
  manifests: [],
  securityCounter: 0,
  joined: [],
};

/** The errors are those of node:fs. */
export class MeshMemoryFile {
  readonly #path: string;
  #memory: MeshMemory;

  constructor(path: string) {
    this.#path = path;
    this.#memory = load(path);
  }

  get memory(): MeshMemory {
    return this.#memory;
  }

  /** Durable when it returns. */
  change(change: Partial<MeshMemory>): void {
    this.#memory = { ...this.#memory, ...change };
    const draft = `${this.#path}.new`;
    const file = openSync(draft, "w", 0o600);
    try {
      writeSync(file, JSON.stringify(this.#memory, pack));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, this.#path);
  }
}

function load(path: string): MeshMemory {
  try {
    return { ...BLANK, ...(JSON.parse(readFileSync(path, "utf8"), unpack) as Partial<MeshMemory>) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return BLANK;
    throw error;
  }
}

const pack = (_: string, value: unknown): unknown =>
  value instanceof Uint8Array ? { octets: Buffer.from(value).toString("hex") } : value;

function unpack(_: string, value: unknown): unknown {
  const octets = (value as { octets?: unknown } | null)?.octets;
  return typeof octets === "string" ? new Uint8Array(Buffer.from(octets, "hex")) : value;
}

/** Sealed commands side by side: as objects with hex digits, those for ten thousand devices take nine megabytes. */
import type { SealedCommand } from "@airlift/protocol/api/gateway";
import { fromHex } from "@airlift/protocol/lib/bytes";
import { NAME_BYTES } from "@airlift/protocol/zmesh/content-name";

/** One of them, as it goes into a frame; its octets are views. */
export interface PackedCommand {
  readonly name: Uint8Array;
  readonly fseq: number;
  readonly payload: Uint8Array;
  readonly repeats: number;
  readonly spacingMs: number;
}

export class PackedCommands {
  readonly count: number;
  /** Name and payload of each. */
  readonly #octets: Uint8Array;
  /** Where each begins, and where the last one ends. */
  readonly #starts: Uint32Array;
  readonly #fseqs: Uint32Array;
  readonly #repeats: Uint8Array;
  readonly #spacingsMs: Float64Array;

  /** @param commands As `SealedCommand` has them: anything else is taken for no octets. */
  constructor(commands: readonly SealedCommand[]) {
    this.count = commands.length;
    this.#starts = new Uint32Array(commands.length + 1);
    for (const [i, { payload }] of commands.entries())
      this.#starts[i + 1] = (this.#starts[i] ?? 0) + NAME_BYTES + payload.length / 2;
    this.#octets = new Uint8Array(this.#starts[commands.length] ?? 0);
    for (const [i, { name, payload }] of commands.entries()) {
      const start = this.#starts[i] ?? 0;
      this.#octets.set(fromHex(name)?.subarray(0, NAME_BYTES) ?? [], start);
      this.#octets.set(fromHex(payload) ?? [], start + NAME_BYTES);
    }
    this.#fseqs = Uint32Array.from(commands, ({ fseq }) => fseq);
    this.#repeats = Uint8Array.from(commands, ({ repeats }) => repeats);
    this.#spacingsMs = Float64Array.from(commands, ({ spacingMs }) => spacingMs);
  }

  /** @param i 0 … count − 1. */
  at(i: number): PackedCommand {
    const start = this.#starts[i] ?? 0;
    return {
      name: this.#octets.subarray(start, start + NAME_BYTES),
      fseq: this.#fseqs[i] ?? 0,
      payload: this.#octets.subarray(start + NAME_BYTES, this.#starts[i + 1]),
      repeats: this.#repeats[i] ?? 0,
      spacingMs: this.#spacingsMs[i] ?? 0,
    };
  }

  fseqAt(i: number): number {
    return this.#fseqs[i] ?? 0;
  }

  repeatsAt(i: number): number {
    return this.#repeats[i] ?? 0;
  }

  /** Octets of the payload. */
  payloadBytesAt(i: number): number {
    return (this.#starts[i + 1] ?? 0) - (this.#starts[i] ?? 0) - NAME_BYTES;
  }
}

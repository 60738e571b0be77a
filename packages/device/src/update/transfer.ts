/** One package on its way into the store, from a push or a pull. */
import { EMPTY } from "@airlift/protocol/lib/bytes";
import type { FirmwareEvent } from "@airlift/protocol/update/firmware-update";
import type { DownloadOrigin } from "../ports.ts";
import { Base64Stream } from "./base64-stream.ts";
import type { Answer } from "./ledger.ts";
import type { Exchange, HandlerCall, PackageChunk } from "./messages.ts";

/** Octets that wait to be written; `exchange` is the push request that waits for them. */
interface Chunk {
  readonly bytes: Uint8Array;
  readonly exchange: Exchange | undefined;
}

/** Which handler a transfer needs next; `none` while it waits for the network. */
export type NextStep = HandlerCall | "startPull" | "none";

export class Transfer {
  readonly source: "push" | "pull";
  /** The push or pull that feeds it. */
  readonly id: number;
  readonly #text: Base64Stream | undefined;
  uri = "";
  etag: Uint8Array | undefined;
  /** Octets that are in the store. */
  storedBytes = 0;
  chunk: Chunk | undefined;
  /** The last octet has arrived. */
  ended = false;
  /** The store is open. */
  opened = false;
  /** The network has been asked; always so for a push. */
  started: boolean;

  constructor(source: "push" | "pull", id: number, encoding: "opaque" | "base64" = "opaque") {
    this.source = source;
    this.id = id;
    this.started = source === "push";
    this.#text = encoding === "base64" ? new Base64Stream() : undefined;
  }

  get origin(): DownloadOrigin {
    if (this.source === "push") return {};
    return this.etag === undefined ? { uri: this.uri } : { uri: this.uri, etag: this.etag };
  }

  get next(): NextStep {
    if (!this.started) return "startPull";
    if (this.chunk === undefined && !this.ended) return "none";
    if (!this.opened) return { handler: "openStream", origin: this.origin };
    if (this.chunk !== undefined && this.chunk.bytes.length > 0) return { handler: "write", bytes: this.chunk.bytes };
    return this.ended ? { handler: "finish" } : "none";
  }

  /**
   * Takes what of `bytes` is not stored yet; a download that was resumed in the middle of a block repeats its beginning.
   * Whether they join what is stored.
   */
  take(offset: number, bytes: Uint8Array): boolean {
    if (offset > this.storedBytes) return false;
    this.chunk = { bytes: bytes.subarray(Math.min(bytes.length, this.storedBytes - offset)), exchange: undefined };
    return true;
  }

  /** The octets of a pushed piece, or `undefined` when they are not what the content format says. */
  decode(bytes: Uint8Array, last: boolean): Uint8Array | undefined {
    return this.#text ? this.#text.decode(bytes, last) : bytes;
  }

  /** The chunk is in the store. */
  written(): void {
    if (this.chunk === undefined) return;
    this.storedBytes += this.chunk.bytes.length;
    this.chunk = { bytes: EMPTY, exchange: this.chunk.exchange };
  }
}

/** The answers of an event, with that of a pushed piece whose transfer ends by anything but its own request. */
export function withDropped(
  transfer: Transfer | undefined,
  event: FirmwareEvent,
  answers: readonly Answer[],
): readonly Answer[] {
  const exchange = transfer?.chunk?.exchange;
  if (exchange === undefined || event === "writePackage") return answers;
  return answers.some((answer) => answer.exchange === exchange) ? answers : [...answers, { exchange, code: "4.08" }];
}

const NUL = 0;

/** What the first piece of a push begins: a transfer, the reset of a single zero octet, or nothing that can be read. */
export function openPush({ push, exchange, last, bytes, encoding }: PackageChunk): Transfer | "reset" | "garbled" {
  const isNul = (octets: Uint8Array): boolean => last && octets.length === 1 && octets[0] === NUL;
  if (isNul(bytes)) return "reset";
  const transfer = new Transfer("push", push, encoding);
  const decoded = transfer.decode(bytes, last);
  if (decoded === undefined) return "garbled";
  if (isNul(decoded)) return "reset";
  transfer.chunk = { bytes: decoded, exchange };
  transfer.ended = last;
  return transfer;
}

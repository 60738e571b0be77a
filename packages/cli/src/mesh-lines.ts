/** Z-Mesh messages as lines of JSON: {"kind","seq","hex"}, one message a line. */
import { fromHex, toHex } from "@airlift/protocol/lib/bytes";
import { PeerError, UsageError } from "@airlift/protocol/lib/errors";
import { InvalidArgumentError } from "commander";

export const MESSAGE_KINDS = ["schedule", "begin", "data", "end", "repair"] as const;

export type MessageKind = (typeof MESSAGE_KINDS)[number];

export interface MessageLine {
  readonly kind: MessageKind;
  /** `null` for a schedule, which is a command and has none. */
  readonly seq: number | null;
  readonly bytes: Uint8Array;
}

export function formatLine({ kind, seq, bytes }: MessageLine): string {
  return `${JSON.stringify({ kind, seq, hex: toHex(bytes) })}\n`;
}

/** @throws {PeerError} `LINE_FORMAT` */
export function parseLine(line: string): MessageLine {
  const value = parseJson(line);
  const {
    kind,
    seq = null,
    hex,
  } = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  const bytes = typeof hex === "string" ? fromHex(hex) : undefined;
  const known = MESSAGE_KINDS.find((one) => one === kind);
  const isSeq = known === "schedule" ? seq === null : Number.isInteger(seq);
  if (!known || !bytes || !isSeq) throw new PeerError("LINE_FORMAT", "not a message", { line: line.slice(0, 80) });
  return { kind: known, seq: seq as number | null, bytes };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new PeerError("LINE_FORMAT", "not JSON", { line: line.slice(0, 80) }, { cause });
  }
}

/** Why a file of the user's cannot be read, in words. */
export function unreadableFile(file: string, error: NodeJS.ErrnoException): UsageError {
  const words = { ENOENT: "there is no such file", EISDIR: "this is not a file" }[error.code ?? ""];
  return new UsageError("FILE", `${file}: ${words ?? error.message}`, {}, { cause: error });
}

/** Reads an option of so many octets in hex. */
export function hexOf(sizeBytes: number): (text: string) => Uint8Array {
  return (text) => {
    const bytes = fromHex(text);
    if (bytes?.length !== sizeBytes) throw new InvalidArgumentError(`It is ${sizeBytes} bytes in hex.`);
    return bytes;
  };
}

/** What `--key` and `--iv` say. */
export interface KeyOptions {
  readonly key?: Uint8Array;
  readonly iv?: Uint8Array;
}

/** Both or none. @throws {UsageError} `KEY_WITHOUT_IV` */
export function keyPairOf({ key, iv }: KeyOptions): { key: Uint8Array; iv: Uint8Array } | undefined {
  if (key && iv) return { key, iv };
  if (key || iv) throw new UsageError("KEY_WITHOUT_IV", "--key and --iv belong together");
  return undefined;
}

/** A request that waits until its device is awake: what it asks, and how far it has come. A plain value, saved as it is. */

/** Operations that may wait (LwM2M Core 1.2 §6.3). */
export const QUEUED_OPERATIONS = [
  "read",
  "discover",
  "write",
  "update",
  "writeAttributes",
  "execute",
  "create",
  "delete",
  "readComposite",
  "writeComposite",
] as const;

export type QueuedOperation = (typeof QUEUED_OPERATIONS)[number];

/** What is asked of the device. */
export interface RequestContent {
  readonly operation: QueuedOperation;
  /** "/3/0/13"; below the device's root path. Of a composite operation "/": its paths are in the payload. */
  readonly path: string;
  /** Of a composite operation, what its payload names; absent where that cannot be read. */
  readonly paths?: readonly string[] | undefined;
  /** Content format of `payload`. */
  readonly contentFormat?: number | undefined;
  /** Content format wanted in the answer. */
  readonly accept?: number | undefined;
  /** Queries of Write-Attributes: "pmin=10". */
  readonly query?: readonly string[] | undefined;
  /** Base64; absent = empty. */
  readonly payload?: string | undefined;
}

/** `sending` is on record before the request goes out, so that a crash leaves no doubt that it may have gone out. */
export type QueueState = "waiting" | "sending" | "finished";

/**
 * `answered`: the device answered, with whatever code. `replaced`: a newer write to the same path took its place.
 * `unknown`: it went out, and whether the device did it cannot be known; it is not sent again.
 */
export const QUEUE_OUTCOMES = ["answered", "failed", "expired", "cancelled", "replaced", "unknown"] as const;

export type QueueOutcome = (typeof QUEUE_OUTCOMES)[number];

export interface QueuedRequest {
  readonly id: string;
  readonly endpoint: string;
  readonly content: RequestContent;
  readonly state: Exclude<QueueState, "finished">;
  /** How often it went out. */
  readonly attempts: number;
  /** In the order of submission, as the record has it: of two requests the one with the lower place goes first. */
  readonly place: number;
  /** Wall clock. */
  readonly submittedAtMs: number;
  /** Wall clock; it is not sent after this. */
  readonly expiresAtMs: number;
}

/** What it is about, for those who look at it. */
export const pathsOf = ({ path, paths }: RequestContent): readonly string[] => paths ?? [path];

/** Whether doing it twice is the same as doing it once, so that it may be sent again after a doubt. */
export function isRepeatable({ operation }: RequestContent): boolean {
  return operation !== "execute" && operation !== "create";
}

/** Whether nothing on the device changes by it. */
export function isReading({ operation }: RequestContent): boolean {
  return operation === "read" || operation === "discover" || operation === "readComposite";
}

/** Whether the order of the two can be seen from their effects. */
export function isOrdered(one: RequestContent, other: RequestContent): boolean {
  if (isReading(one) && isReading(other)) return false;
  if (!isRepeatable(one) || !isRepeatable(other)) return true;
  return covers(one.path, other.path) || covers(other.path, one.path);
}

/** Whether `newer` may stand for both: a repeated question, or a write that leaves nothing of the older one. */
export function isSameRequest(older: RequestContent, newer: RequestContent): boolean {
  const isAlike = older.operation === newer.operation && older.path === newer.path;
  if (isReading(newer)) return isAlike && older.accept === newer.accept && older.payload === newer.payload;
  // Replacing an instance leaves nothing of an older replacement; an update might leave other resources.
  return isAlike && newer.operation === "write";
}

const covers = (prefix: string, path: string): boolean =>
  prefix === "/" || path === prefix || path.startsWith(`${prefix}/`);

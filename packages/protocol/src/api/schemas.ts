/** The REST API's nouns as schemas: what the server answers, what the command line and the console read. */
import { z } from "zod";
import { DELIVERY_METHODS, FAILURE_KINDS, UPDATE_STATES } from "../update/device-update.ts";
import { UPDATE_TARGET_PATTERN } from "../update/update-target.ts";

/** An instant on the wire: ISO 8601 in UTC with milliseconds, "2026-03-01T12:00:00.000Z". */
const instant = z.iso.datetime({ precision: 3 });

/** One page of a list. `next` is the cursor of the following page, null on the last one. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), next: z.string().nullable() });

/** A name an operator gives: 1 … 64 characters without control characters. */
export const label = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^\p{Cc}]*$/u, "has control characters");

/** What a `label` is, for those who gave another text. */
export const LABEL_RULE = "1 … 64 characters without control characters";

/** How an image says who made it, and whether the server could check it. */
export const ImageSignature = z.object({
  algorithm: z.enum(["ed25519", "ecdsa", "rsa-2048", "rsa-3072"]),
  /** SHA-256 of the public key as the image names it, hex. */
  keyHash: z.string().nullable(),
  /** Name of the trusted key that verified it; null when no trusted key did. */
  verifiedBy: z.string().nullable(),
});

const imageId = z
  .string()
  .regex(/^[0-9a-f]{16}$/, "an image's id has 16 hexadecimal digits, as `airlift image list` shows it");
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** A file that makes one image of the store from another one. It was tried out when it was added. */
export const Delta = z.object({
  id: z.string(),
  /** The image that a device has to run for it. */
  baseImageId: imageId,
  baseVersion: label,
  sizeBytes: z.int().positive(),
  /** Of the size of the image that it makes, 0 … 1. */
  share: z.number().positive(),
  sha256,
  createdAt: instant,
});
export type Delta = z.infer<typeof Delta>;

/** Firmware in the store. Immutable: the same id is always the same bytes. */
export const Image = z.object({
  id: imageId,
  manufacturer: label,
  model: label,
  version: label,
  /** Hardware revisions it runs on; empty = any. */
  hardware: z.array(label),
  sizeBytes: z.int().positive(),
  sha256,
  format: z.enum(["raw", "mcuboot"]),
  signature: ImageSignature.nullable(),
  securityCounter: z.int().nonnegative().nullable(),
  /** What makes it from another image, the newest first. */
  deltas: z.array(Delta),
  createdAt: instant,
});
export type Image = z.infer<typeof Image>;

/** The answer to an image that was added; to a delta, it is the image that the delta makes. */
export const AddedImage = Image.extend({
  /** What was added, when it was a delta. */
  delta: Delta.nullable(),
  /** What an operator should look at before it is installed, one sentence each. */
  warnings: z.array(z.string()),
});
export type AddedImage = z.infer<typeof AddedImage>;

/** The query of `POST /api/v1/images`; the body is the image itself, application/octet-stream. */
export const NewImage = z.object({
  manufacturer: label,
  model: label,
  version: label,
  hardware: z.union([label.transform((one) => [one]), z.array(label)]).default([]),
});
export type NewImage = z.input<typeof NewImage>;

/** The body of `POST /api/v1/uploads`: an image that comes in pieces, so that an upload that breaks off can go on. */
export const NewUpload = z.object({
  manufacturer: label,
  model: label,
  version: label,
  hardware: z.array(label).default([]),
  /** Of the whole image. */
  sizeBytes: z.int().positive(),
});
export type NewUpload = z.input<typeof NewUpload>;

/** Where an upload stands. */
export const Upload = z.object({
  id: z.string(),
  /** Bytes that have arrived: the next piece (`PATCH`, with this in its `Upload-Offset` header) begins here. */
  offset: z.int().nonnegative(),
  sizeBytes: z.int().positive(),
  /** When it is forgotten if nothing more comes. */
  expiresAt: instant,
});
export type Upload = z.infer<typeof Upload>;

/** What a device last said of its Firmware Update object. */
export const FirmwareReport = z.object({
  state: z.int().min(0).max(3),
  result: z.int().min(0).max(255),
  packageName: z.string().nullable(),
  packageVersion: z.string().nullable(),
  /** Firmware Update Protocol Support, /5/0/8; null when the device does not say. */
  protocols: z.array(z.int()).nullable(),
  /** Firmware Update Delivery Method, /5/0/9: 0 pull, 1 push, 2 both. */
  deliveryMethod: z.int().nullable(),
});
export type FirmwareReport = z.infer<typeof FirmwareReport>;

/** Whether a device can be reached: by what it last said, and when it is bound to be heard again. */
export const Reachability = z.object({
  /** Whether a request could be heard now; unknown also for a device that is not registered. */
  awake: z.enum(["awake", "asleep", "unknown"]),
  /** End of the awake window of a device in queue mode; null while it sleeps and for one that always listens. */
  awakeUntil: instant.nullable(),
  /** When it is heard again at the latest; null when it is not registered. */
  nextExpectedAt: instant.nullable(),
  /** The same in words: "asleep since 14:02, next expected by 15:02 (lifetime 3600 s)". */
  reachability: z.string(),
});
export type Reachability = z.infer<typeof Reachability>;

export const Device = z.object({
  endpoint: z.string(),
  presence: z.enum(["registered", "expired", "deregistered"]),
  ...Reachability.shape,
  /** "udp", or the transport's name as links are added. */
  transport: z.string(),
  address: z.string(),
  lwm2mVersion: z.string(),
  binding: z.string(),
  lifetimeS: z.number(),
  registeredAt: instant,
  lastSeenAt: instant,
  expiresAt: instant,
  manufacturer: z.string().nullable(),
  model: z.string().nullable(),
  /** /3/0/3, the version that runs now. */
  version: z.string().nullable(),
  hardware: z.string().nullable(),
  firmware: FirmwareReport.nullable(),
  /** Object links as registered: "/3/0", "/5/0". */
  objects: z.array(z.string()),
  /** The update that is not finished yet, or the last one. */
  updateId: z.string().nullable(),
  /** What operators call it by, each once and sorted. */
  tags: z.array(z.string()),
  note: z.string(),
  /** Counts the operators' changes: the device's ETag. */
  revision: z.int().nonnegative(),
  /** /4/0/8. */
  cell: z.string().nullable(),
  /** /4/0/2, dBm. */
  signal: z.number().nullable(),
  /** /3/0/9, percent. */
  battery: z.number().nullable(),
  /** /3/0/14, "+02:00". */
  utcOffset: z.string().nullable(),
  /** /3/0/15, "Europe/Oslo". */
  timezone: z.string().nullable(),
  /** Other single values it reported, by path: "/3/0/20". */
  resources: z.record(z.string(), z.unknown()),
  /** Updates that failed since one succeeded. */
  failureCount: z.int().nonnegative(),
  /** The server that it is, or was last, registered at. */
  node: z.string().nullable(),
});
export type Device = z.infer<typeof Device>;

/** What of the device is updated: "firmware" (object 5), "component:N" (object 33629) or "software:N" (object 9). */
const target = z.string().regex(UPDATE_TARGET_PATTERN, "a target is firmware, component:N or software:N");
/** What a request that waits asks of its device. */
const requestContent = {
  operation: z.enum([
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
  ]),
  /** "/3/0/13"; "/" of the composite operations, whose payload names the paths. */
  path: z.string().regex(/^(\/|(\/[0-9]{1,5}){1,4})$/, "is not a path such as /3/0/13"),
  contentFormat: z.int().min(0).max(65_535).optional(),
  /** Content format wanted in the answer. */
  accept: z.int().min(0).max(65_535).optional(),
  /** Attributes of Write-Attributes: "pmin=10". */
  query: z.array(z.string().min(1).max(255)).max(16).optional(),
  /** Base64. */
  payload: z.base64().max(32_768).optional(),
};

/** The body of `POST /api/v1/devices/{endpoint}/queue`. */
export const NewQueuedRequest = z.object({
  ...requestContent,
  /** How long it may wait: 1 s … 30 days, a day when absent. */
  ttlS: z.int().min(1).max(2_592_000).optional(),
});
export type NewQueuedRequest = z.input<typeof NewQueuedRequest>;

/** The answer to a request that was queued. */
export const QueuedRequestId = z.object({ id: z.string() });

/** A request that waits until its device is awake, or what became of it. */
export const QueuedRequest = z.object({
  id: z.string(),
  endpoint: z.string(),
  ...requestContent,
  /** What it is about: `path`, or what the payload of a composite operation names. */
  paths: z.array(z.string()),
  state: z.enum(["waiting", "sending", "finished"]),
  attempts: z.int().nonnegative(),
  submittedAt: instant,
  expiresAt: instant,
  finishedAt: instant.nullable(),
  /** `unknown`: it went out, no answer came, and doing it twice is not the same as doing it once. */
  outcome: z.enum(["answered", "failed", "expired", "cancelled", "replaced", "unknown"]).nullable(),
  answer: z.object({ code: z.string(), contentFormat: z.int().nullable(), payload: z.string() }).nullable(),
});
export type QueuedRequest = z.infer<typeof QueuedRequest>;
/** The body of `PATCH /api/v1/devices/{endpoint}`; what is absent stays. */
export const DeviceEdit = z.object({ tags: z.array(label).max(64).optional(), note: z.string().max(4096).optional() });
export type DeviceEdit = z.infer<typeof DeviceEdit>;

/** How many devices a query finds, and some of them. `isExact` false = an estimate. */
export const DevicePreview = z.object({
  count: z.int().nonnegative(),
  isExact: z.boolean(),
  sample: z.array(Device),
});
export type DevicePreview = z.infer<typeof DevicePreview>;

/** The body of `POST /api/v1/devices/import`: one line of a list each. */
export const DeviceLines = z.object({
  lines: z
    .array(DeviceEdit.extend({ endpoint: z.string().min(1).max(255) }))
    .min(1)
    .max(1000),
});
export type DeviceLines = z.infer<typeof DeviceLines>;

/** Endpoints of the lines that no device has. */
export const ImportAnswer = z.object({ unknown: z.array(z.string()) });

export const Update = z.object({
  id: z.string(),
  endpoint: z.string(),
  imageId: z.string(),
  target,
  /** True = a delta may be sent in place of the image. */
  delta: z.boolean(),
  /** The delta that is, or was, sent; null = the whole image, or nothing yet. */
  deltaId: z.string().nullable(),
  /** 1, and one more each time that the update was begun again after it had ended. */
  attempt: z.int().positive(),
  by: z.enum(DELIVERY_METHODS),
  /** The campaign whose attempt this is; null when somebody asked for it by hand. */
  campaignId: z.string().nullable(),
  /** False = stop when downloaded and wait for `POST …/apply`. */
  apply: z.boolean(),
  state: z.enum(UPDATE_STATES),
  failure: z.enum(FAILURE_KINDS).nullable(),
  /** What is going on and since when, in one plain sentence that is true at the moment of the answer. */
  sentence: z.string(),
  /** When what the sentence tells began. */
  since: instant,
  /** Chosen once the device was asked what it supports. */
  method: z.enum(["push", "pull", "broadcast"]).nullable(),
  packageUri: z.string().nullable(),
  acknowledgedBytes: z.int().nonnegative(),
  totalBytes: z.int().nonnegative(),
  createdAt: instant,
  updatedAt: instant,
  finishedAt: instant.nullable(),
});
export type Update = z.infer<typeof Update>;

/** The body of `POST /api/v1/updates`. */
export const NewUpdate = z.object({
  endpoint: z.string().min(1).max(255),
  imageId: Image.shape.id,
  by: z.enum(DELIVERY_METHODS).default("auto"),
  apply: z.boolean().default(true),
  target: target.default("firmware"),
  /** True = a delta may be sent in place of the image, to a device that runs its base. */
  delta: z.boolean().default(false),
  /** True = also when the device says that it is of another make, model or hardware than the image is for. */
  force: z.boolean().default(false),
});
export type NewUpdate = z.input<typeof NewUpdate>;

/** One request of an update to its device and what came back. A transfer in blocks is one of them. */
export const Exchange = z.object({
  attempt: z.int().positive(),
  /** 1, 2, … within the update. */
  number: z.int().positive(),
  at: instant,
  /** "GET /5/0", "PUT /5/0/1". */
  request: z.string(),
  /** The response code, "2.05", or in words why there is none. */
  answer: z.string(),
  tookMs: z.int().nonnegative(),
  retransmissionCount: z.int().nonnegative(),
  /** Of a package that was pushed or fetched; null for any other request. */
  transfer: z
    .object({ bytes: z.int().nonnegative(), blockCount: z.int().nonnegative(), rateBps: z.int().nonnegative() })
    .nullable(),
});
export type Exchange = z.infer<typeof Exchange>;

/** The answer of `GET /api/v1/updates/{id}/exchanges`: the last ones of the last attempts, oldest first. */
export const Exchanges = z.object({ items: z.array(Exchange) });

export const EVENT_KINDS = [
  "device.registered",
  "device.updated",
  "device.deregistered",
  "device.expired",
  "device.refused",
  "device.plainAllowed",
  "device.bootstrapped",
  "device.reported",
  "device.request",
  "device.value",
  "device.flood",
  "image.added",
  "update.transition",
  "update.note",
  "update.progress",
  "credential.added",
  "credential.ended",
  "authority.added",
  "authority.removed",
  "token.created",
  "token.revoked",
  "campaign.transition",
  "campaign.note",
  "wave.transition",
  "device.edited",
  "device.onboarded",
  "mesh.session",
  "mesh.key",
  "gateway.added",
  "gateway.removed",
  "gateway.warning",
  "webhook.disabled",
] as const;

/** Kinds that travel on the live feed only and are never stored: such an event has the id of the one before it. */
export const LIVE_KINDS: ReadonlySet<string> = new Set(["update.progress", "device.value"]);

/** One line of a timeline. */
export const Event = z.object({
  id: z.int().nonnegative(),
  at: instant,
  kind: z.enum(EVENT_KINDS),
  endpoint: z.string().nullable(),
  updateId: z.string().nullable(),
  campaignId: z.string().nullable().default(null),
  sentence: z.string(),
  /** Numbers and codes behind the sentence. */
  facts: z.record(z.string(), z.unknown()),
});
export type Event = z.infer<typeof Event>;

/** RFC 9457 problem details with our error code. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  facts: z.record(z.string(), z.unknown()).optional(),
});
export type Problem = z.infer<typeof Problem>;

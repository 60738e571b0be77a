/** What the rest of the server may ask of the store. The instants here are UTC milliseconds, the API's are ISO texts. */
import type { Readable } from "node:stream";
import type { Delta, Device, Event, FirmwareReport, Image, Reachability, Update } from "@airlift/protocol/api/schemas";
import type { DeliveryMethod, FailureKind, UpdateState } from "@airlift/protocol/update/device-update";
import type { UpdateSnapshot } from "../delivery/driver-messages.ts";
import type { Registration } from "../fleet/registration.ts";
import type { AuditStore } from "./audit-store.ts";
import type { PostgresCampaignStore } from "./campaign-store.ts";
import type { CredentialStore, TokenStore } from "./credential-ports.ts";
import type { DeviceInventory } from "./device-inventory.ts";
import type { ExchangeStore } from "./exchange-store.ts";
import type { FleetStatistics } from "./fleet-statistics.ts";
import type { MeshStore } from "./mesh-store.ts";
import type { NodeStore } from "./node-store.ts";
import type { ObservationStore } from "./observation-store.ts";
import type { Remarks } from "./remarks.ts";
import type { RequestQueueStore } from "./request-queue-store.ts";
import type { Retention } from "./retention.ts";
import type { WebhookOutbox } from "./webhook-outbox.ts";
import type { WebhookStore } from "./webhook-store.ts";

/** One page of a list, oldest or newest first as the list says; `next` is null on the last page. */
export interface Page<Item> {
  readonly items: Item[];
  readonly next: string | null;
}

/** Where a page starts (`cursor` as an earlier page's `next`) and how much it may hold, 1 … 1000. */
export interface PageRequest {
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** Reads `length` octets at `offset`, fewer only at the end of the image. */
export type ImageReader = (offset: number, length: number) => Promise<Uint8Array>;

/** What the image's own bytes say of it. */
export interface ImageInspection {
  readonly format: Image["format"];
  readonly signature: Image["signature"];
  readonly securityCounter: number | null;
  /** The version in the image's own header; null or absent when it has none. */
  readonly headerVersion?: string | null;
}

/** Looks into an image before it is accepted. Throws a UsageError or PeerError to refuse it. */
export type InspectImage = (read: ImageReader, sizeBytes: number) => Promise<ImageInspection> | ImageInspection;

/** The bytes of one image for block-wise transfers: many readers, small reads, mostly answered from memory. */
export interface ImageSource {
  readonly sizeBytes: number;
  /** The first 8 octets of the SHA-256: an ETag for CoAP (RFC 7252 §5.10.6). */
  readonly etag: Uint8Array;
  /**
   * `length` octets at `offset`, fewer at the end, none behind it. Synchronous when the page is in memory; a view on
   * memory that is never written again.
   *
   * @throws {EnvironmentError} IMAGE_READ when the file cannot be read.
   */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
}

/** How an image is called; `hardware` empty = runs on any. */
export type ImageName = Pick<Image, "manufacturer" | "model" | "version" | "hardware">;

export interface ImageStore {
  /**
   * Keeps an image. The same bytes under the same name again return the image that is there.
   *
   * @param content Its octets; read to the end or destroyed.
   * @throws {UsageError} IMAGE_EMPTY, IMAGE_TOO_LARGE, IMAGE_CONFLICT (409: this version exists with other bytes)
   * @throws {PeerError} UPLOAD_CUT when `content` ends before it is complete
   * @throws {EnvironmentError} DISK_FULL, IMAGE_WRITE, DATABASE_AWAY; nothing half-written is left behind.
   *
   * What is a delta by its own header is kept as one, with the image that it makes, which has to have that name already; its refusals are
   * those of `DeltaStore`.
   */
  add(
    content: Readable,
    name: ImageName,
  ): Promise<{ image: Image; isNew: boolean; headerVersion?: string; delta?: Delta }>;
  get(id: string): Promise<Image | undefined>;
  /** Newest first. */
  list(page: PageRequest): Promise<Page<Image>>;
  /** What is fetched under this id: an image, or a delta. */
  fileOf(id: string): Promise<Pick<Image, "sha256" | "sizeBytes"> | undefined>;
  /** Undefined when there is no such image or delta. Cheap: the row is remembered, the file stays open while it is used. */
  openSource(id: string): Promise<ImageSource | undefined>;
  /**
   * Octets `start` … `end` (both included) of a file as a stream.
   *
   * @throws {EnvironmentError} IMAGE_READ when the file cannot be opened.
   */
  stream(file: Pick<Image, "sha256">, start: number, end: number): Promise<Readable>;
}

/** An image that is going to come in pieces. */
export interface NewUpload {
  readonly name: ImageName;
  /** Of the whole image. */
  readonly sizeBytes: number;
}

export interface Upload extends NewUpload {
  readonly id: string;
  /** Octets that have arrived; the next piece begins here. */
  readonly offset: number;
  /** When it is forgotten if nothing more comes, UTC. */
  readonly expiresAtMs: number;
}

/** All but `begin` throw {UsageError} UNKNOWN_UPLOAD; those that write throw UPLOAD_BUSY while another request writes. */
export interface UploadStore {
  /** @throws {UsageError} IMAGE_TOO_LARGE. @throws {EnvironmentError} TOO_MANY_UPLOADS, DISK_FULL, IMAGE_WRITE */
  begin(upload: NewUpload): Promise<Upload>;
  get(id: string): Promise<Upload>;
  /**
   * Adds a piece; what arrived before it broke off stays.
   *
   * @throws {UsageError} UPLOAD_OFFSET (409) with the right one in its facts, IMAGE_TOO_LARGE beyond `sizeBytes`
   * @throws {PeerError} UPLOAD_CUT. @throws {EnvironmentError} DISK_FULL, IMAGE_WRITE
   */
  append(id: string, offset: number, content: Readable): Promise<Upload>;
  /**
   * Hands a complete upload to `use`, once: what that has made of it, as JSON tells it, is what later calls give, until the
   * upload is forgotten. Whoever did not hear the answer asks again.
   *
   * @throws {UsageError} UPLOAD_INCOMPLETE (409)
   */
  take<Result>(id: string, use: (content: Readable, upload: Upload) => Promise<Result>): Promise<Result>;
  delete(id: string): Promise<void>;
}

/** A device's registration as the fleet holds it, or held it before it ended. */
export interface KeptRegistration extends Registration {
  readonly presence: Device["presence"];
  /** What was reported of other resources, by path; only where a registration was loaded. */
  readonly resources?: Readonly<Record<string, unknown>> | undefined;
}

/** What a device said of itself when it was asked; undefined = not asked, keep what is known. */
export interface DeviceReport {
  readonly endpoint: string;
  readonly manufacturer?: string | null | undefined;
  readonly model?: string | null | undefined;
  readonly version?: string | null | undefined;
  readonly hardware?: string | null | undefined;
  readonly firmware?: FirmwareReport | null | undefined;
  /** /4/0/8. */
  readonly cell?: string | null | undefined;
  /** /4/0/2, dBm. */
  readonly signal?: number | null | undefined;
  /** /3/0/9, percent. */
  readonly battery?: number | null | undefined;
  /** /3/0/14, "+02:00". */
  readonly utcOffset?: string | null | undefined;
  /** /3/0/15, "Europe/Oslo". */
  readonly timezone?: string | null | undefined;
  /** Other single values by path, "/3/0/20"; those of earlier reports stay, null removes one. */
  readonly resources?: Readonly<Record<string, string | number | boolean | null>> | undefined;
}

/** What is on record of a device; whether it can be reached now only the running server knows. */
export type StoredDevice = Omit<Device, keyof Reachability>;

export interface DeviceStore {
  /** For a restart: every registration that is this server's, with those that it claims; in no order. */
  loadRegistrations(): Promise<KeptRegistration[]>;
  /**
   * Takes up to `limit` registrations: those whose home is this server, from whoever stood in for it, and those whose home is gone as
   * well as the server that has them (docs/decisions/0085).
   */
  claim(limit: number): Promise<KeptRegistration[]>;
  /**
   * Endpoints of those of these registrations of ours that another server, which lives, has on record: as heard there later, or, of one
   * whose home is elsewhere, at all.
   */
  leftAmong(registrations: readonly Registration[]): Promise<string[]>;
  /**
   * Saves soon, in a batch; only the newest of one endpoint is written. Never blocks, never throws.
   *
   * @returns False when the queue is full and this one was dropped (the database is away for long).
   */
  queueSave(registrations: readonly KeptRegistration[]): boolean;
  /** As `queueSave`; reports of one endpoint are merged. A report of an endpoint that never registered is dropped. */
  queueReport(report: DeviceReport): boolean;
  /** Resolves when everything queued so far is in the database. */
  flush(): Promise<void>;
  get(endpoint: string): Promise<StoredDevice | undefined>;
  /** How it is registered, at whichever server; undefined when it is not. */
  registrationOf(endpoint: string): Promise<KeptRegistration | undefined>;
  /** Those of these that are known, by endpoint. */
  getMany(endpoints: readonly string[]): Promise<ReadonlyMap<string, StoredDevice>>;
  /** Those of these that have registered with a proof once, whether or not they are here. */
  securedAmong(endpoints: readonly string[]): Promise<ReadonlySet<string>>;
  /** Forgets that a device has registered with a proof, until it does so anew. @returns Whether there is such a device. */
  allowPlain(endpoint: string): Promise<boolean>;
  /** By endpoint. */
  list(page: PageRequest): Promise<Page<StoredDevice>>;
}

/** One step of an update; what is undefined stays as it is. */
export interface UpdateChange {
  readonly state?: UpdateState | undefined;
  readonly failure?: FailureKind | null | undefined;
  /** The event's sentence, and the update's from now on. */
  readonly sentence: string;
  readonly facts?: Readonly<Record<string, unknown>> | undefined;
  readonly method?: "push" | "pull" | "broadcast" | null | undefined;
  readonly packageUri?: string | null | undefined;
  readonly acknowledgedBytes?: number | undefined;
  readonly totalBytes?: number | undefined;
  readonly apply?: boolean | undefined;
  /** What the update's driver needs after a restart. */
  readonly snapshot?: UpdateSnapshot | undefined;
  /** For an update of a campaign: what its campaign has to say at this moment of whether the device may apply; undefined = either. */
  readonly permit?: boolean | undefined;
}

/** An update that has not ended, with what its driver knew; null when it never began. */
export interface UnfinishedUpdate {
  readonly update: Update;
  readonly snapshot: UpdateSnapshot | null;
}

/** What an operator asks for: this image onto this device. */
export interface UpdateOrder {
  readonly endpoint: string;
  readonly imageId: string;
  readonly by: DeliveryMethod;
  /** False = stop when downloaded and wait for the word to apply. */
  readonly apply: boolean;
  /** As `UpdateTarget` in words; default "firmware". */
  readonly target?: string | undefined;
  /** A delta may be sent in place of the image. Default false. */
  readonly delta?: boolean | undefined;
  /** The campaign's attempt that this is. The same attempt again is the same update. */
  readonly campaign?: { readonly id: string; readonly wave: number; readonly attempt: number } | undefined;
}

/** Which attempt of which campaign. */
export interface CampaignAttempt {
  readonly campaignId: string;
  readonly endpoint: string;
  readonly attempt: number;
}

/** What a campaign asks for. */
export type CampaignUpdateOrder = Pick<UpdateOrder, "endpoint" | "imageId" | "by"> & {
  readonly campaign: NonNullable<UpdateOrder["campaign"]>;
};

export interface UpdateFilter {
  readonly endpoint?: string | undefined;
  /** Absent = in any; else in one of these. */
  readonly states?: readonly UpdateState[] | undefined;
  readonly imageId?: string | undefined;
}

export interface UpdateStore {
  /**
   * Creates an update in state `queued`, with its first event.
   *
   * @throws {UsageError} UPDATE_RUNNING (409) when the endpoint has an unfinished one; UNKNOWN_IMAGE (404)
   */
  create(order: UpdateOrder): Promise<Update>;
  /**
   * Changes an update and appends its event, both or neither: `update.transition` when the state changes, else
   * `update.note`. The first change to a final state ends it.
   *
   * @throws {UsageError} UNKNOWN_UPDATE (404); UPDATE_FINISHED (409) when it has ended already; UPDATE_TAKEN (409) when
   * another server drives it by now: then let it go, and do nothing that follows from the change; CAMPAIGN_PERMIT (409) when its
   * campaign says otherwise than `permit`
   */
  transition(updateId: string, change: UpdateChange): Promise<Update>;
  /**
   * Opens an update that has ended once more, in state `queued` and with the next attempt's number.
   *
   * @throws {UsageError} UNKNOWN_UPDATE (404); UPDATE_STATE (409) when it runs or needs no other attempt; UPDATE_RUNNING
   *   (409) when the device has another unfinished one; CAMPAIGN_UPDATE (409) for a campaign's
   */
  reopen(updateId: string): Promise<Update>;
  /** The update that a campaign's attempt is; undefined when it was never begun. */
  ofAttempt(attempt: CampaignAttempt): Promise<Update | undefined>;
  /**
   * Makes sure that an attempt is never begun: an attempt without an update gets one that is cancelled.
   *
   * @returns The update of the attempt, which is another's and unchanged when it was begun after all.
   */
  createCancelled(order: CampaignUpdateOrder, sentence: string): Promise<Update>;
  /** The URI that the device was told to fetch. */
  setPackageUri(updateId: string, packageUri: string): Promise<void>;
  /** Saves soon, in a batch, and tells the live feed. Ignored unless the update is transferring. */
  queueProgress(updateId: string, acknowledgedBytes: number): void;
  /** Resolves when all progress queued so far is in the database. */
  flush(): Promise<void>;
  get(updateId: string): Promise<Update | undefined>;
  /** Newest first. */
  list(filter: UpdateFilter, page: PageRequest): Promise<Page<Update>>;
  /** Every unfinished update that is this server's, or nobody's any more and then is this server's; oldest first, for a restart. */
  unfinished(): Promise<UnfinishedUpdate[]>;
  /** Takes over up to `limit` unfinished updates of servers that are gone, unless their device is at another that lives. */
  claimFree(limit: number): Promise<UnfinishedUpdate[]>;
  /** Takes over the unfinished updates of devices that have registered here; none when they are this server's already. */
  claimOf(endpoints: readonly string[]): Promise<UnfinishedUpdate[]>;
  /** An unfinished update that is this server's, or nobody's any more and then is this server's. */
  claimOne(updateId: string): Promise<UnfinishedUpdate[]>;
  /** Takes over up to `limit` unfinished updates whose device is registered here: they were begun while this server was away. */
  claimStray(limit: number): Promise<UnfinishedUpdate[]>;
  /** Updates that other servers, or a campaign, have created for this server and that nobody has begun. */
  ordered(): Promise<UnfinishedUpdate[]>;
}

export type NewEvent = Pick<Event, "kind" | "sentence"> & {
  readonly endpoint?: string | null;
  readonly updateId?: string | null;
  readonly campaignId?: string | null;
  readonly facts?: Readonly<Record<string, unknown>>;
  /** When it happened, in milliseconds of `performance.now()`; default: when it is stored. */
  readonly happenedAtMs?: number;
};

export interface EventFilter {
  readonly endpoint?: string | undefined;
  readonly updateId?: string | undefined;
  readonly campaignId?: string | undefined;
  /** Only events with a greater id. */
  readonly afterId?: number | undefined;
  /** Not what a campaign repeats of a device's update, whose own event says it already. */
  readonly withoutEchoes?: boolean | undefined;
}

export interface EventStore {
  /** How often one of those who listen has thrown since the start. */
  readonly listenerFailureCount: number;
  /** Appends one event; many at once share one statement. Resolves when it is in the database; who need not know that uses `Remarks`. */
  append(event: NewEvent): Promise<Event>;
  /** Appends all of these or none. */
  appendAll(events: readonly NewEvent[]): Promise<Event[]>;
  /** Tells those who listen now, and stores nothing: for the kinds of `LIVE_KINDS`. */
  publish(event: Omit<Event, "id" | "at">): void;
  /** Oldest first, from `afterId` on. */
  after(filter: EventFilter, limit: number): Promise<Event[]>;
  /** Newest first. */
  list(filter: EventFilter, page: PageRequest): Promise<Page<Event>>;
  /** The id of the newest event; 0 when there is none. */
  newestId(): Promise<number>;
  /** Calls `onEvent` with every event of every server from now on, ids ascending (progress has the id before it), until the returned function is called. */
  subscribe(onEvent: (event: Event) => void): () => void;
}

/** The answer that was given to an unsafe request, kept to be given again. */
export interface KeptAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
}

/** `mine`: go on, then `keep` or `release`. `kept`: answer this. The others refuse. */
export type KeyClaim =
  | { readonly kind: "mine" }
  | { readonly kind: "kept"; readonly answer: KeptAnswer }
  | { readonly kind: "running" }
  | { readonly kind: "otherRequest" };

export interface IdempotencyStore {
  /** Takes `key` for the request with this fingerprint, or says who has it. */
  claim(key: string, fingerprint: string): Promise<KeyClaim>;
  keep(key: string, answer: KeptAnswer): Promise<void>;
  /** Gives the key back: the request failed in a way that may pass. */
  release(key: string): Promise<void>;
}

export interface Stores {
  readonly requests: RequestQueueStore;
  readonly observations: ObservationStore;
  readonly images: ImageStore;
  readonly uploads: UploadStore;
  readonly devices: DeviceStore;
  readonly updates: UpdateStore;
  readonly events: EventStore;
  readonly remarks: Remarks;
  readonly exchanges: ExchangeStore;
  readonly idempotency: IdempotencyStore;
  readonly credentials: CredentialStore;
  readonly tokens: TokenStore;
  readonly nodes: NodeStore;
  readonly audit: AuditStore;
  readonly campaigns: PostgresCampaignStore;
  readonly mesh: MeshStore;
  readonly inventory: DeviceInventory;
  readonly statistics: FleetStatistics;
  readonly webhooks: WebhookStore;
  readonly outbox: WebhookOutbox;
  readonly retention: Retention;
  /** @throws {EnvironmentError} DATABASE_AWAY when the database does not answer. */
  ping(): Promise<void>;
  /** Writes what is queued, then lets go of the database and ends the embedded one. */
  close(): Promise<void>;
}

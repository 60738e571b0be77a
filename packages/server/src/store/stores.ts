/** The store as a whole: opened once by the server, closed last. */
import { access, constants, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { sql } from "kysely";
import { AuditStore } from "./audit-store.ts";
import type { BatchWriterOptions } from "./batch-writer.ts";
import { PostgresCampaignStore } from "./campaign-store.ts";
import { type CredentialStoreOptions, checkMasterKeys, PostgresCredentialStore } from "./credential-store.ts";
import { type Database, openDatabase } from "./database.ts";
import { DeviceInventory } from "./device-inventory.ts";
import { PostgresDeviceStore } from "./device-store.ts";
import { type EmbeddedPostgres, startEmbedded } from "./embedded.ts";
import { EVENT_CHANNEL, EventFollower } from "./event-follower.ts";
import { PostgresEventStore } from "./event-store.ts";
import { PostgresExchangeStore } from "./exchange-store.ts";
import { FleetStatistics } from "./fleet-statistics.ts";
import { PostgresIdempotencyStore } from "./idempotency-store.ts";
import { ImageFiles } from "./image-files.ts";
import { PageCache, type PageCacheOptions } from "./image-source.ts";
import { PostgresImageStore } from "./image-store.ts";
import { Journal } from "./journal.ts";
import { type MasterKeySource, MasterKeys } from "./master-keys.ts";
import { MeshStore } from "./mesh-store.ts";
import { migrate } from "./migrate.ts";
import { type NodeOptions, NodeStore } from "./node-store.ts";
import { ObservationStore } from "./observation-store.ts";
import type { OutageListener } from "./outage.ts";
import type { InspectImage, Stores } from "./ports.ts";
import { Remarks } from "./remarks.ts";
import { PostgresRequestQueueStore, REQUEST_CHANNEL } from "./request-queue-store.ts";
import { Retention, type RetentionLimits } from "./retention.ts";
import { PostgresTokenStore } from "./token-store.ts";
import { PostgresUpdateStore } from "./update-store.ts";
import { UploadFiles } from "./upload-files.ts";
import { WebhookOutbox } from "./webhook-outbox.ts";
import { WebhookStore } from "./webhook-store.ts";

export interface StoreOptions {
  /** Holds `images/`, `uploads/`, and `postgres/` when there is no `databaseUrl`. */
  readonly dataDir: string;
  /** Where the images are instead, for several servers on one database. */
  readonly imageDir?: string | undefined;
  /** null = the embedded database. */
  readonly databaseUrl: string | null;
  readonly maxImageBytes: number;
  readonly inspect: InspectImage;
  /** Who this server is among those on the same database. */
  readonly node?: NodeOptions;
  readonly pages?: PageCacheOptions;
  /** How long records are kept. */
  readonly retention?: RetentionLimits | undefined;
  readonly batches?: Omit<BatchWriterOptions, "onFailure">;
  /** Absent: `master.key` in the data folder. */
  readonly masterKey?: MasterKeySource | undefined;
  readonly credentials?: CredentialStoreOptions | undefined;
  /** Told when the database cannot be reached any more, and when it can again. */
  readonly onOutage?: OutageListener | undefined;
  /**
   * Called when a batch could not be written (it is tried again), when the embedded database ended by itself or had been left
   * running, when one of those who listen to events threw, when an event can never be stored or some were lost, and when a transaction
   * is tried again whose locks another one had.
   */
  readonly onTrouble?: (
    what:
      | "batchFailed"
      | "databaseCrashed"
      | "databaseTakenOver"
      | "eventRefused"
      | "eventsLost"
      | "listenerFailed"
      | "lockConflict",
    facts: Readonly<Record<string, unknown>>,
  ) => void;
}

/**
 * Opens the store: starts the embedded database if need be, and brings its tables up to date.
 *
 * @throws {EnvironmentError} DATA_FOLDER, DATABASE_AWAY, DATABASE_START, DISK_FULL, NO_EMBEDDED_DATABASE, NO_DATABASE_USER, MIGRATION, MASTER_KEY_FILE
 * @throws {UsageError} DATABASE_NEWER, DATA_IN_USE, MASTER_KEY
 */
export async function openStores(options: StoreOptions): Promise<Stores> {
  await prepareFolder(options.dataDir);
  const embedded = options.databaseUrl === null ? await startOwn(options) : undefined;
  const url = options.databaseUrl ?? (embedded as EmbeddedPostgres).url;
  const database = openDatabase(url, { onOutage: options.onOutage });
  try {
    await migrate(database.tables);
    return await assemble(options, { database, url, embedded });
  } catch (error) {
    await database.close();
    await embedded?.stop();
    throw error;
  }
}

async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const { message, code = "" } = error as NodeJS.ErrnoException;
    const reason = FOLDER_REASONS[code] ?? message;
    throw new EnvironmentError(
      "DATA_FOLDER",
      `the data folder ${folder} cannot be used: ${reason}`,
      { folder },
      { cause: error },
    );
  }
}

const FOLDER_REASONS: Readonly<Record<string, string>> = {
  EEXIST: "there is a file of that name",
  ENOTDIR: "a part of its path is a file",
  EACCES: "this account may not write there",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
};

const startOwn = ({ dataDir, onTrouble }: StoreOptions) =>
  startEmbedded(join(dataDir, "postgres"), {
    onCrash: () => onTrouble?.("databaseCrashed", {}),
    onTakenOver: () => onTrouble?.("databaseTakenOver", {}),
  });

interface Opened {
  readonly database: Database;
  readonly url: string;
  readonly embedded: EmbeddedPostgres | undefined;
}

async function assemble(
  options: StoreOptions,
  { database: { tables, close }, url, embedded }: Opened,
): Promise<Stores> {
  const onFailure = (error: unknown, waitingRows: number) => options.onTrouble?.("batchFailed", { error, waitingRows });
  const batches: BatchWriterOptions = { ...options.batches, onFailure };
  const journal = new Journal(tables, {
    onListenerFailed: (error, { id, kind }) => options.onTrouble?.("listenerFailed", { err: error, eventId: id, kind }),
    onLockConflict: (error) => options.onTrouble?.("lockConflict", { error }),
  });
  await journal.start();
  const events = new PostgresEventStore(tables, journal);
  const remarks = new Remarks(events, {
    onFailure,
    onRefused: (error, { kind, endpoint }) => options.onTrouble?.("eventRefused", { err: error, kind, endpoint }),
    onLost: (lostCount) => options.onTrouble?.("eventsLost", { lostCount }),
  });
  const nodes = new NodeStore(tables, options.node);
  const requests = new PostgresRequestQueueStore({ tables, journal, nodeId: nodes.id });
  const follower = new EventFollower({
    url,
    onNews: { [EVENT_CHANNEL]: () => void journal.catchUp(), [REQUEST_CHANNEL]: () => requests.onNews() },
  });
  const devices = new PostgresDeviceStore(tables, nodes.id, batches);
  const updates = new PostgresUpdateStore({ tables, journal, nodeId: nodes.id }, batches);
  const audit = new AuditStore(tables, batches);
  const exchanges = new PostgresExchangeStore(tables, batches);
  // Of a folder that others may share, what is being written now is theirs.
  const quietMs = options.databaseUrl === null ? 0 : LONGEST_PAUSE_MS;
  const files = await ImageFiles.open(options.imageDir ?? join(options.dataDir, "images"), quietMs);
  const uploads = await UploadFiles.open(join(options.dataDir, "uploads"), options);
  const pages = new PageCache(options.pages);
  const { inspect, maxImageBytes } = options;
  const keys = await MasterKeys.open(options.masterKey ?? { text: null, file: join(options.dataDir, "master.key") });
  await checkMasterKeys(tables, keys);
  const credentials = new PostgresCredentialStore({ tables, journal, keys, options: options.credentials });
  const tokens = new PostgresTokenStore(tables, journal);
  const statistics = new FleetStatistics(tables);
  const mesh = new MeshStore(tables, journal, keys);
  // The first thing that would go on by itself: nothing above may fail once it runs.
  follower.start();
  const stopTidying = tidyEvery(TIDY_EVERY_MS, async () => {
    await credentials.tidy();
    await tokens.flush();
    await mesh.gateways.tidy();
  });
  const stopCounting = tidyEvery(COUNT_EVERY_MS, () => statistics.count());
  return {
    images: new PostgresImageStore({ tables, journal, files, pages, inspect, maxImageBytes }),
    uploads,
    devices,
    updates,
    events,
    remarks,
    exchanges,
    nodes,
    audit,
    mesh,
    campaigns: new PostgresCampaignStore({ tables, journal, nodeId: nodes.id }),
    inventory: new DeviceInventory(tables, journal),
    statistics,
    webhooks: new WebhookStore(tables, keys),
    outbox: new WebhookOutbox(tables, keys),
    retention: new Retention(tables, options.retention),
    idempotency: new PostgresIdempotencyStore(tables),
    credentials,
    tokens,
    requests,
    observations: new ObservationStore(tables),
    ping: async () => void (await sql`select 1`.execute(tables)),
    close: async () => {
      await stopTidying();
      await stopCounting();
      // What cannot be written now has been reported by `onTrouble`; the rest is let go all the same.
      await Promise.allSettled([
        remarks.close(),
        devices.close(),
        updates.close(),
        audit.close(),
        exchanges.close(),
        credentials.tidy(),
        tokens.flush(),
      ]);
      await Promise.allSettled([nodes.leave(), follower.close()]);
      await journal.settle();
      await close();
      await embedded?.stop();
    },
  };
}

/** An upload to which nothing was added for so long has been given up. */
const LONGEST_PAUSE_MS = 3_600_000;

/** How late a credential may end after its time. */
const TIDY_EVERY_MS = 5000;

/** A day on which a server ran for as long has a count of the fleet. */
const COUNT_EVERY_MS = 600_000;

/** Runs `tidy` again and again, never twice at a time; what fails is tried again. The result ends it. */
function tidyEvery(pauseMs: number, tidy: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= tidy()
      .catch(() => {})
      .finally(() => {
        running = undefined;
      });
  }, pauseMs);
  timer.unref();
  return async () => {
    clearInterval(timer);
    await running;
  };
}

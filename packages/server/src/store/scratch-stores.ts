/** Stores on a scratch database, for tests and benchmarks. */
import { join } from "node:path";
import type { InspectImage, KeptRegistration, Stores } from "./ports.ts";
import { type ScratchDatabase, startScratchDatabase } from "./scratch-database.ts";
import { openStores, type StoreOptions } from "./stores.ts";

export interface ScratchStores {
  readonly stores: Stores;
  /** Holds the images. */
  readonly folder: string;
  readonly database: ScratchDatabase;
  /** Ends everything and deletes the files. */
  close(): Promise<void>;
}

/** None runs out by itself while a test runs, however slow the machine is. */
const LEASE_MS = 3_600_000;

/** For images that nobody looks into. */
export const inspectNothing: InspectImage = () => ({ format: "raw", signature: null, securityCounter: null });

/** @param settings PostgreSQL's; undefined = fast and forgetful. */
export async function openScratchStores(
  options: Partial<StoreOptions> = {},
  settings?: readonly string[],
): Promise<ScratchStores> {
  const database = await startScratchDatabase(settings);
  const stores = await openStores({
    dataDir: join(database.folder, "data"),
    databaseUrl: database.url,
    maxImageBytes: 2 ** 20,
    inspect: inspectNothing,
    ...options,
    node: { leaseMs: LEASE_MS, ...options.node },
  });
  const close = async () => {
    await stores.close();
    await database.stop();
  };
  return { stores, folder: join(database.folder, "data"), database, close };
}

/** Another server's stores on the database of `scratch`, with the same folder of images. Close them first. */
export async function openSecondStores(scratch: ScratchStores, options: Partial<StoreOptions> = {}): Promise<Stores> {
  return await openStores({
    dataDir: scratch.folder,
    databaseUrl: scratch.database.url,
    maxImageBytes: 2 ** 20,
    inspect: inspectNothing,
    ...options,
    node: { leaseMs: LEASE_MS, ...options.node },
  });
}

/** A registration as a device on a laptop would have it, changed by `changes`. */
export function exampleRegistration(endpoint: string, changes: Partial<KeptRegistration> = {}): KeptRegistration {
  const atMs = Date.UTC(2026, 2, 1, 12);
  return {
    endpoint,
    id: `r-${endpoint}`,
    presence: "registered",
    transport: "udp",
    address: "127.0.0.1:40000",
    lwm2mVersion: "1.1",
    binding: "U",
    queueMode: false,
    lifetimeS: 300,
    objects: exampleObjects(1, 3, 5),
    registeredAtMs: atMs,
    lastSeenAtMs: atMs,
    ...changes,
  };
}

/** Instance 0 of each of these objects. */
function exampleObjects(...ids: number[]): KeptRegistration["objects"] {
  const objects = ids.map((objectId) => ({ objectId, version: "1.0", instances: [0] }));
  return { rootSegments: [], contentFormats: [], objects };
}

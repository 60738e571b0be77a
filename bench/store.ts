/** What the store carries: registrations through the batch writer, updates' transitions, and images in blocks of 1 KiB. */
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { exampleRegistration, openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";

export interface StoreFigures {
  /** Rows that reached the database a second, all of them different endpoints. */
  readonly registrationSavesPerSecond: number;
  /** The same endpoints again and again, as lifetimes are renewed: most are coalesced in memory. */
  readonly registrationRenewalsPerSecond: number;
  /** Each with its event, many at once. */
  readonly transitionsPerSecond: number;
  /** One after the other, each waiting for its commit. */
  readonly lonelyTransitionsPerSecond: number;
  /** Sequential 1 KiB reads of many transfers of one image, in MB/s. */
  readonly imageReadMBps: number;
}

/** Measures on an embedded PostgreSQL with its real settings (fsync on). Takes some 10 s. */
export async function measureStore(): Promise<StoreFigures> {
  const scratch = await openScratchStores({ maxImageBytes: 2 ** 26 }, []);
  try {
    return {
      registrationSavesPerSecond: await measureSaves(scratch, 100_000, 100_000),
      registrationRenewalsPerSecond: await measureSaves(scratch, 200_000, 10_000),
      ...(await measureTransitions(scratch)),
      imageReadMBps: await measureReads(scratch),
    };
  } finally {
    await scratch.close();
  }
}

async function measureSaves({ stores }: ScratchStores, count: number, endpointCount: number): Promise<number> {
  const startMs = performance.now();
  for (let n = 0; n < count; n += 1) {
    stores.devices.queueSave([exampleRegistration(`bench-${n % endpointCount}`, { lastSeenAtMs: Date.now() })]);
    // A server gets its datagrams between turns of the event loop.
    if (n % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
  }
  await stores.devices.flush();
  return perSecond(count, startMs);
}

async function measureTransitions({ stores }: ScratchStores) {
  const { image } = await stores.images.add(Readable.from([randomBytes(1024)]), exampleName("transitions"));
  const order = { imageId: image.id, by: "auto", apply: true } as const;
  const updates = await Promise.all(
    Array.from({ length: 5000 }, (_, n) => stores.updates.create({ ...order, endpoint: `bench-${n}` })),
  );
  const change = { state: "waiting", sentence: "waiting for its turn" } as const;
  const startMs = performance.now();
  await Promise.all(updates.map(({ id }) => stores.updates.transition(id, change)));
  const transitionsPerSecond = perSecond(updates.length, startMs);
  const lonelyStartMs = performance.now();
  for (const { id } of updates.slice(0, 300)) await stores.updates.transition(id, { ...change, state: "transferring" });
  return { transitionsPerSecond, lonelyTransitionsPerSecond: perSecond(300, lonelyStartMs) };
}

async function measureReads({ stores }: ScratchStores): Promise<number> {
  const sizeBytes = 8 * 2 ** 20;
  const { image } = await stores.images.add(Readable.from([randomBytes(sizeBytes)]), exampleName("reads"));
  const source = await stores.images.openSource(image.id);
  if (source === undefined) throw new Error("the image is not there");
  const startMs = performance.now();
  let octets = 0;
  const pull = async () => {
    for (let offset = 0; offset < sizeBytes; offset += 1024) {
      const block = source.read(offset, 1024);
      octets += (block instanceof Promise ? await block : block).length;
      if (offset % 65_536 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: 50 }, pull));
  return Math.round(octets / 1e3 / (performance.now() - startMs));
}

const exampleName = (version: string) => ({ manufacturer: "Example", model: "Bench", version, hardware: [] });
const perSecond = (count: number, startMs: number) => Math.round((count * 1000) / (performance.now() - startMs));

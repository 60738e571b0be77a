/** Child process: the LwM2M server taking up a fleet from its store, and a fleet whose registrations have all ended. */
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import { exampleRegistration, openScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";

const count = Number(process.argv[2] ?? 100_000);
const AT_ONCE = 10_000;
const collect = (): void => (globalThis as { gc?: () => void }).gc?.();
const scratch = await openScratchStores({}, []);
const { stores } = scratch;

async function save(lastSeenAtMs: number, lifetimeS: number): Promise<void> {
  for (let first = 0; first < count; first += AT_ONCE) {
    const part = Array.from({ length: AT_ONCE }, (_, i) =>
      exampleRegistration(`urn:imei:${860_000_000_000_000 + first + i}`, {
        address: `10.${(first + i) >> 16}.${((first + i) >> 8) & 255}.${(first + i) & 255}:5683`,
        lastSeenAtMs,
        lifetimeS,
      }),
    );
    stores.devices.queueSave(part);
    await stores.devices.flush();
  }
}

const open = (): Promise<Lwm2mServer> =>
  Lwm2mServer.open({
    stores,
    log: pino({ level: "error" }),
    udp: { host: "127.0.0.1" },
    publicHost: null,
    httpPort: () => 0,
  });

const cpuSeconds = (since?: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1e6;
};

await save(Date.now(), 86_400);
collect();
const emptyRssBytes = process.memoryUsage.rss();
const restoreCpu = process.cpuUsage();
const restoreStartMs = performance.now();
const server = await open();
const restoreMs = performance.now() - restoreStartMs;
const restoreCpuSeconds = cpuSeconds(restoreCpu);
if (server.registrationCount !== count) throw new Error(`${server.registrationCount} of ${count} are back`);
const peakRssBytes = process.resourceUsage().maxRSS * 1024;
collect();
const { rss, heapUsed } = process.memoryUsage();
await server.close();

await save(Date.now() - 3_600_000, 60);
// From when all are back: they end while the server is still starting.
const { unfinished } = stores.updates;
let expiryStartMs = 0;
let expiryCpu = process.cpuUsage();
stores.updates.unfinished = () => {
  expiryStartMs = performance.now();
  expiryCpu = process.cpuUsage();
  return Reflect.apply(unfinished, stores.updates, []);
};
const expiring = await open();
while (expiring.registrationCount > 0) await new Promise((resolve) => setImmediate(resolve));
const expiryMs = performance.now() - expiryStartMs;
// The journal is in order: when this one is on record, all before it are.
await new Promise((resolve) => setImmediate(resolve));
await Promise.all([stores.devices.flush(), stores.events.append({ kind: "device.reported", sentence: "the end" })]);
const recordedMs = performance.now() - expiryStartMs;
const expiryCpuSeconds = cpuSeconds(expiryCpu);
const { items } = await stores.events.list({}, { limit: 2 });
if (items[1]?.kind !== "device.expired") throw new Error("no expiry is on record");
await expiring.close();
await scratch.close();
process.send?.({
  restoreSeconds: restoreMs / 1000,
  restoreCpuSeconds,
  rssMb: rss / 1e6,
  rssPeakMb: peakRssBytes / 1e6,
  emptyRssMb: emptyRssBytes / 1e6,
  heapMb: heapUsed / 1e6,
  expirySeconds: expiryMs / 1000,
  expiryRecordedSeconds: recordedMs / 1000,
  expiryCpuSeconds,
});
process.disconnect?.();

/** Child process: the LwM2M server with its store on an embedded PostgreSQL in its real settings. */
import { readRequest } from "@airlift/protocol/lwm2m/operations";
import { pathOf } from "@airlift/protocol/lwm2m/path";
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import { openScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";

const scratch = await openScratchStores({}, []);
const { stores } = scratch;
const server = await Lwm2mServer.open({
  stores,
  log: pino({ level: "error" }),
  udp: { host: "127.0.0.1" },
  publicHost: null,
  httpPort: () => 0,
  // A few sockets speak for all devices of a load: only where that is measured is one of them held back.
  peerGate: process.argv[2] === "gated" ? {} : { requestsPerSecond: 1_000_000, blocksPerSecond: 1_000_000 },
});
process.send?.(server.address.port);
let notified = 0;

/** Observes a resource of every device that registers. */
function observeAll(): void {
  stores.events.subscribe(({ kind, endpoint }) => {
    const device = kind === "device.registered" && endpoint !== null ? server.registrationOf(endpoint) : undefined;
    if (device === undefined) return;
    const count = (): void => {
      notified += 1;
    };
    void server.requests.observe(device, readRequest(pathOf(3303, 0, 5700)), count);
  });
}

process.on("message", (message) => {
  if (message === "observe") {
    observeAll();
    return;
  }
  if (message === "stop") {
    void server
      .close()
      .then(() => scratch.close())
      .then(() => process.exit(0));
    return;
  }
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage.rss(), notified });
});

/** Child process: the LwM2M server with its store on an embedded PostgreSQL in its real settings. */
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import { openScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";

const scratch = await openScratchStores({}, []);
const server = await Lwm2mServer.open({
  stores: scratch.stores,
  log: pino({ level: "error" }),
  udp: { host: "127.0.0.1" },
  publicHost: null,
  httpPort: () => 0,
});
process.send?.(server.address.port);
process.on("message", (message) => {
  if (message === "stop") {
    void server
      .close()
      .then(() => scratch.close())
      .then(() => process.exit(0));
    return;
  }
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage.rss() });
});

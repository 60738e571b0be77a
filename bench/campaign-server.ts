/** Child process: a server that runs the campaigns of a database, with devices that take some time; ends when it is killed. */
import { CampaignRunner } from "@airlift/server/links/campaign-runner";
import { openStores } from "@airlift/server/store/stores";
import { pino } from "pino";
import { InstantDelivery } from "./campaign-delivery.ts";

const [databaseUrl = "", dataDir = "", stepMs = "0"] = process.argv.slice(2);
const stores = await openStores({
  dataDir,
  databaseUrl,
  maxImageBytes: 2 ** 20,
  node: { name: "bench" },
  inspect: () => ({ format: "raw", signature: null, securityCounter: null }),
});
await stores.nodes.join();
let isServing = false;
const delivery = new InstantDelivery({
  updates: stores.updates,
  stepMs: Number(stepMs),
  onTransition: (update) => {
    if (!isServing) process.send?.("serving");
    isServing = true;
    runner.onTransition(update);
  },
});
const runner = new CampaignRunner({ stores, delivery, log: pino({ level: "warn" }) });
await delivery.restore(await stores.updates.unfinished());
runner.start();

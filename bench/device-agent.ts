/**
 * Child process: an update agent whose handlers only count. Tells when it has registered, when a package is there with
 * what it took to hold it, and its memory when asked.
 */
import { getHeapSpaceStatistics } from "node:v8";
import { createUpdateAgent } from "@airlift/device/agent";

const [server = ""] = process.argv.slice(2);
/** How often memory is looked at in one transfer, with all garbage swept. */
const LOOK_EVERY_BYTES = 131_072;

let storedBytes = 0;
let heldBeforeBytes = 0;
let heldMostBytes = 0;

function heldBytes(): number {
  // What one sweep frees may free more.
  for (let sweeps = 0; sweeps < 3; sweeps += 1) globalThis.gc?.();
  // Code that the engine compiles while it runs is nobody's data.
  const data = getHeapSpaceStatistics().filter(({ space_name: name }) => !/code|trusted|shared/.test(name));
  return data.reduce((sum, { space_used_size: bytes }) => sum + bytes, process.memoryUsage().arrayBuffers);
}

const agent = createUpdateAgent({
  endpoint: "bench",
  server,
  identity: { manufacturer: "Example", model: "Bench", serialNumber: "1", firmwareVersion: "1.0.0" },
  bind: { host: "127.0.0.1" },
  handlers: {
    openStream: () => {
      storedBytes = 0;
      heldMostBytes = 0;
    },
    write: (bytes) => {
      const looks =
        Math.floor((storedBytes + bytes.length) / LOOK_EVERY_BYTES) > Math.floor(storedBytes / LOOK_EVERY_BYTES);
      storedBytes += bytes.length;
      if (looks && isLooking) heldMostBytes = Math.max(heldMostBytes, heldBytes());
    },
    finish: () => undefined,
    reset: () => undefined,
    performUpgrade: () => "pending",
  },
  onEvent: (event) => {
    if (event.kind === "registered") process.send?.("registered");
    if (event.kind === "state" && event.state === "downloaded") {
      process.send?.({ storedBytes, heldForItBytes: isLooking ? heldMostBytes - heldBeforeBytes : 0 });
    }
  },
});

/** Looking costs time: what is timed is not looked at. */
let isLooking = false;
process.on("message", (question) => {
  // An exit of its own writes the cache of compiled code.
  if (question === "stop") process.exit(0);
  if (question === "look") {
    isLooking = true;
    heldBeforeBytes = heldBytes();
  }
  process.send?.({ rssBytes: process.memoryUsage.rss(), heldBytes: heldBytes() });
});
await agent.start();

/** Devices in queue mode and devices that register badly, over real sockets and a real database. */
import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { createUpdateAgent } from "@airlift/device/agent";
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import { CODE } from "@airlift/protocol/coap/codes";
import type { CampaignCommand } from "@airlift/protocol/update/campaign";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import { offsetAt } from "@airlift/runtime/zone-offset";
import { compilePolicy } from "@airlift/server/campaign/policy";
import { explain } from "@airlift/server/delivery/explain";
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";
import { createMemoryDevice } from "./memory-handlers.ts";
import { ScriptedDevice } from "./scripted-device.ts";

let scratch: ScratchStores;
let server: Lwm2mServer;
/** Short enough to see it end. */
const AWAKE_MS = 300;

const openServer = (port = 0): Promise<Lwm2mServer> =>
  Lwm2mServer.open({
    stores: scratch.stores,
    log: pino({ level: "silent" }),
    udp: { host: "127.0.0.1", port },
    publicHost: null,
    httpPort: () => 0,
    presence: { awakeMs: AWAKE_MS },
  });

const deferred = () => Promise.withResolvers<void>();

/** Resolves when the server knows what the device's network granted it. */
const reported = (endpoint: string): Promise<void> =>
  new Promise((resolve) => {
    const { devices } = scratch.stores;
    const { queueReport } = devices;
    devices.queueReport = (report) => {
      const isQueued = queueReport.call(devices, report);
      if (report.endpoint !== endpoint || report.resources === undefined) return isQueued;
      devices.queueReport = queueReport;
      resolve();
      return isQueued;
    };
  });

/** Resolves with the state in which an update has ended. */
const updateEnds = (updateId: string): Promise<string> =>
  new Promise((resolve) => {
    const unsubscribe = scratch.stores.events.subscribe(async (event) => {
      if (event.updateId !== updateId) return;
      const { state = "queued" } = (await scratch.stores.updates.get(updateId)) ?? {};
      if (!isFinalUpdateState(state)) return;
      unsubscribe();
      resolve(state);
    });
  });

/** What an operator reads of an update now. */
async function explained(updateId: string): Promise<string> {
  const { stores } = scratch;
  const update = await stores.updates.get(updateId);
  const device = update && (await stores.devices.get(update.endpoint));
  assert.ok(update && device);
  return explain(update, { ...device, asleepSinceMs: server.asleepSinceMs(update.endpoint) }, Date.now());
}

before(async () => {
  scratch = await openScratchStores();
  server = await openServer();
});
after(async () => {
  await server.close();
  await scratch.close();
});

const becomes = (endpoint: string, state: string): Promise<void> =>
  new Promise((resolve) => {
    if (server.presence.of(endpoint).state === state) return resolve();
    const unsubscribe = server.presence.subscribe((change) => {
      if (change.endpoint !== endpoint || change.state !== state) return;
      unsubscribe();
      resolve();
    });
  });

/** Resolves with the event of a request that has ended. */
const requestEnds = (endpoint: string, line = /^/): Promise<string> =>
  new Promise((resolve) => {
    const unsubscribe = scratch.stores.events.subscribe((event) => {
      if (event.endpoint !== endpoint || event.kind !== "device.request" || !line.test(event.sentence)) return;
      unsubscribe();
      resolve(event.sentence);
    });
  });

test("an Execute for a sleeping device outlives a restart and is done once it wakes up, before which it hears nothing", async () => {
  const device = await ScriptedDevice.open("sleeper", server.address.port);
  const location = await device.register("lt=3600&lwm2m=1.1&b=U&Q", "</3/0>");
  await becomes("sleeper", "asleep");
  assert.match(server.reachabilityOf("sleeper").reachability, /^asleep since .* next expected by .*lifetime 3600 s/);
  device.heard.length = 0;
  await server.queue.submit("sleeper", { operation: "execute", path: "/3/0/4" });
  const { port } = server.address;
  await server.close();
  await scratch.stores.devices.flush();
  server = await openServer(port);
  await becomes("sleeper", "asleep");
  assert.deepEqual(device.heard, []);
  const ended = requestEnds("sleeper");
  assert.equal((await device.request("post", location)).code, CODE.changed);
  assert.equal(await ended, "execute /3/0/4: the device answered 2.04");
  assert.deepEqual(device.heard, ["POST /3/0/4"]);
  await device.close();
});

test("a device without queue mode is asked at once", async () => {
  const device = await ScriptedDevice.open("listener", server.address.port);
  await device.register("lt=3600&lwm2m=1.1&b=U", "</3/0>");
  const ended = requestEnds("listener");
  await server.queue.submit("listener", { operation: "read", path: "/3/0/3" });
  assert.equal(await ended, "read /3/0/3: the device answered 2.05: /3/0/3 is 1.0.0");
  const told = server.operations.lastValues("listener").items.map(({ path, value, by }) => [path, value, by]);
  assert.deepEqual(told, [["/3/0/3", "1.0.0", "read"]]);
  const [record] = await server.queue.list("listener");
  assert.equal(Buffer.from(record?.answer?.payload ?? "", "base64").toString(), "1.0.0");
  await device.close();
});

test("an update of a device that sleeps between waits for it, says since when, and asks nothing of it meanwhile", async () => {
  const device = await ScriptedDevice.open("dozer", server.address.port);
  const links = "</3/0>,</5/0>";
  const location = await device.register("lt=3600&lwm2m=1.1&b=U&Q", links);
  const heardWhileAsleep: string[] = [];
  /** Sleeps until the server believes it, then renews its registration; `become` is what it comes to meanwhile. */
  const sleepThen = async (become: Readonly<Record<string, string>>): Promise<void> => {
    await becomes("dozer", "asleep");
    const heardCount = device.heard.length;
    await scratch.stores.events.append({ kind: "device.reported", sentence: "a look into the journal takes a while" });
    heardWhileAsleep.push(...device.heard.slice(heardCount));
    for (const [path, value] of Object.entries(become)) device.resources.set(path, value);
    await device.request("post", location);
  };
  const told = {
    fetch: deferred(),
    install: deferred(),
  };
  device.script = (verb, path) => {
    if (verb === "PUT" && path === "/5/0/1") told.fetch.resolve();
    if (verb === "POST" && path === "/5/0/2") told.install.resolve();
    return undefined;
  };
  await becomes("dozer", "asleep");
  const name = { manufacturer: "Example", model: "Pump", version: "1.1.0", hardware: [] };
  const { image } = await scratch.stores.images.add(Readable.from([Buffer.alloc(5_000, 1)]), name);
  const update = await scratch.stores.updates.create({ endpoint: "dozer", imageId: image.id, by: "pull", apply: true });
  const ended = updateEnds(update.id);
  device.heard.length = 0;
  await server.engine.start(update);
  assert.match(await explained(update.id), /^waiting \d+ s: asleep since \d\d:\d\d UTC, last lifetime 3600 s$/);
  assert.deepEqual(device.heard, []);
  await device.request("post", location);
  await told.fetch.promise;
  await sleepThen({ "/5/0/3": "2" });
  await told.install.promise;
  await sleepThen({ "/5/0/3": "0", "/5/0/5": "1", "/3/0/3": "1.1.0" });
  assert.equal(await ended, "succeeded");
  assert.deepEqual(heardWhileAsleep, []);
  await device.close();
});

test("a sleeper that its campaign let apply hears nothing of it when the campaign was paused before it woke up", async () => {
  const { stores } = scratch;
  const device = await ScriptedDevice.open("snoozer", server.address.port);
  const location = await device.register("lt=3600&lwm2m=1.1&b=U&Q", "</3/0>,</5/0>");
  const told = { fetch: deferred(), install: deferred() };
  device.script = (verb, path) => {
    if (verb === "PUT" && path === "/5/0/1") told.fetch.resolve();
    if (verb === "POST" && path === "/5/0/2") told.install.resolve();
    return undefined;
  };
  /** Resolves when an event of its update says this. */
  const says = (like: RegExp): Promise<void> =>
    new Promise((resolve) => {
      const unsubscribe = stores.events.subscribe(({ endpoint, updateId, sentence }) => {
        if (endpoint !== "snoozer" || updateId === null || !like.test(sentence)) return;
        unsubscribe();
        resolve();
      });
    });
  const name = { manufacturer: "Example", model: "Snoozer", version: "1.1.0", hardware: [] };
  const { image } = await stores.images.add(Readable.from([Buffer.alloc(5_000, 1)]), name);
  const spec = CampaignSpec.parse({ name: "spring", image: image.id, targets: { query: "endpoint==snoozer" } });
  const policy = compilePolicy(spec, () => image, offsetAt);
  await stores.devices.flush();
  const { id } = (await stores.campaigns.create({ spec, policy, author: { name: "ann" } }, Date.now())).campaign;
  /** What follows from it is on the update's timeline while the device sleeps. */
  const tell = async (command: CampaignCommand, follows?: RegExp): Promise<void> => {
    await becomes("snoozer", "asleep");
    const followed = follows && says(follows);
    await server.campaigns.command(id, { command, by: "ann" });
    await followed;
  };
  const wake = async (become: Readonly<Record<string, string>>, follows: RegExp): Promise<void> => {
    await becomes("snoozer", "asleep");
    for (const [path, value] of Object.entries(become)) device.resources.set(path, value);
    const followed = says(follows);
    await device.request("post", location);
    await followed;
  };
  await tell("submit");
  await tell("start", /asleep|sleeps/);
  await device.request("post", location);
  await told.fetch.promise;
  await tell("pause");
  await wake({ "/5/0/3": "2" }, /waiting for the command to apply/);
  await tell("resume", /^asking the device to apply/);
  await tell("pause", /^the device has the image and waits: it is not asked to apply/);
  device.heard.length = 0;
  await wake({}, /the device is awake; asking it/);
  await becomes("snoozer", "asleep");
  assert.ok(device.heard.includes("GET /5/0/3"), "it was looked at");
  assert.ok(!device.heard.includes("POST /5/0/2"), "and not asked to apply");
  await tell("resume", /^asking the device to apply/);
  await device.request("post", location);
  await told.install.promise;
  await wake({ "/5/0/3": "0", "/5/0/5": "1", "/3/0/3": "1.1.0" }, /^succeeded/);
  assert.equal(device.heard.filter((line) => line === "POST /5/0/2").length, 1);
  await device.close();
});

test("an operation on a sleeper is refused with a way out, and waits for it when that is wished, composite ones too", async () => {
  const device = await ScriptedDevice.open("napper", server.address.port);
  const location = await device.register("lt=3600&lwm2m=1.1&b=U&Q", "</3/0>");
  await becomes("napper", "asleep");
  await assert.rejects(server.operations.read({ endpoint: "napper", timeoutMs: 5_000 }, ["/3/0/3"]), {
    code: "DEVICE_ASLEEP",
    message:
      /^asleep since .*; an operation other than Observe waits for it with --queue, in the API with \?queue=true$/,
  });
  device.heard.length = 0;
  for (const wish of [
    { operation: "read", paths: ["/Device/0/Firmware Version"] },
    { operation: "readComposite", paths: ["/3/0/3", "/3/0/0"] },
    { operation: "write", path: "/3/0/14", write: { given: { value: "+01:00" }, mode: "replace" } },
    { operation: "writeComposite", values: { values: { "/3/0/15": "Europe/Oslo" } } },
    { operation: "execute", path: "/Device/0/Reboot", execution: { path: "/Device/0/Reboot" } },
  ] as const)
    await server.queue.submit("napper", await server.operations.contentOf("napper", wish));
  const ended = requestEnds("napper", /^execute/);
  await device.request("post", location);
  assert.match(await ended, /^execute \/3\/0\/4: the device answered 2\.04$/);
  const verbs = device.heard.map((line) => line.split(" ").slice(0, 2).join(" "));
  assert.deepEqual(verbs, ["GET /3/0/3", "FETCH /", "PUT /3/0/14", "IPATCH /", "POST /3/0/4"]);
  await device.close();
});

test("what the network granted a sleeper outlives a restart (object 10)", async () => {
  const device = await ScriptedDevice.open("modem", server.address.port);
  device.resources.set("/10/0/4", "7200").set("/10/0/5", "1");
  const isKept = reported("modem");
  await device.register("lt=86400&lwm2m=1.1&b=U&Q", "</3/0>,</5/0>,</10/0>");
  await isKept;
  const { port } = server.address;
  await server.close();
  await scratch.stores.devices.flush();
  server = await openServer(port);
  const { nextExpectedAtMs = 0, heardAtMs } = server.presence.of("modem");
  assert.equal(nextExpectedAtMs - heardAtMs, 7_200_000);
  await device.close();
});

test("our own agent in queue mode: what is asked while it sleeps waits for its next Update, and its image arrives between naps", async () => {
  const memory = createMemoryDevice();
  const agent = createUpdateAgent({
    endpoint: "napping-agent",
    server: `coap://127.0.0.1:${server.address.port}`,
    handlers: memory.handlers,
    store: memory.store,
    identity: { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0.0" },
    queueMode: true,
    // Renewed every two seconds: long enough to fall asleep in between.
    lifetimeS: 4,
  });
  await agent.start();
  await becomes("napping-agent", "asleep");
  assert.equal(server.registrationOf("napping-agent")?.queueMode, true);
  const ended = requestEnds("napping-agent", /^read/);
  const wish = { operation: "read", paths: ["/3/0/3"] } as const;
  await server.queue.submit("napping-agent", await server.operations.contentOf("napping-agent", wish));
  assert.match(await ended, /^read \/3\/0\/3: the device answered 2\.05/);
  await becomes("napping-agent", "asleep");
  const name = { manufacturer: "Example", model: "Pump", version: "2.0.0", hardware: [] };
  const { image } = await scratch.stores.images.add(Readable.from([Buffer.alloc(50_000, 2)]), name);
  const order = { endpoint: "napping-agent", imageId: image.id, by: "pull", apply: false } as const;
  const update = await scratch.stores.updates.create(order);
  const arrived = new Promise<void>((resolve) => {
    const unsubscribe = scratch.stores.events.subscribe(async ({ updateId }) => {
      if (updateId !== update.id) return;
      const { state } = (await scratch.stores.updates.get(update.id)) ?? {};
      if (state !== "waitingToApply") return;
      unsubscribe();
      resolve();
    });
  });
  await server.engine.start(update);
  assert.match(await explained(update.id), /asleep since/);
  await arrived;
  assert.equal(memory.image().length, 50_000);
  await agent.close();
});

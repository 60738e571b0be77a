/** The server's side of an update over real sockets, against devices that do what the test says. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import type { Update } from "@airlift/protocol/api/schemas";
import { CODE, formatCode } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint, uintOption } from "@airlift/protocol/coap/options";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { sendRequest } from "@airlift/protocol/lwm2m/reporting";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import { udpPeer } from "@airlift/runtime/udp";
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import type { UpdateOrder } from "@airlift/server/store/ports";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";
import { ScriptedDevice, untilClosed } from "./scripted-device.ts";

const image = randomBytes(200_000);
let scratch: ScratchStores;
let server: Lwm2mServer;
let imageId: string;

const openServer = (port = 0): Promise<Lwm2mServer> =>
  Lwm2mServer.open({
    stores: scratch.stores,
    log: pino({ level: "silent" }),
    udp: { host: "127.0.0.1", port },
    publicHost: null,
    httpPort: () => 0,
  });

before(async () => {
  scratch = await openScratchStores();
  server = await openServer();
  const name = { manufacturer: "Example", model: "Pump", version: "1.1.0", hardware: [] };
  imageId = (await scratch.stores.images.add(Readable.from([image]), name)).image.id;
});
after(async () => {
  await server.close();
  await scratch.close();
});

async function startUpdate(device: ScriptedDevice, order: Partial<UpdateOrder> = {}): Promise<Update> {
  const { endpoint } = device;
  const update = await scratch.stores.updates.create({ endpoint, imageId, by: "auto", apply: true, ...order });
  await server.engine.start(update);
  return update;
}

/** Resolves with the update when it has ended, or is in `state`. */
function reaches(update: Update, state?: Update["state"]): Promise<Update> {
  return new Promise((resolve) => {
    const look = async (): Promise<void> => {
      const now = await scratch.stores.updates.get(update.id);
      if (now && (now.state === state || isFinalUpdateState(now.state))) {
        stop();
        resolve(now);
      }
    };
    const stop = scratch.stores.events.subscribe((event) => {
      if (event.updateId === update.id) void look();
    });
    void look();
  });
}

/** A device that pulls what it is told to, then behaves as object 5 says. */
function pullingDevice(device: ScriptedDevice, atVersion = "1.1.0"): Buffer[] {
  const got: Buffer[] = [];
  device.script = (verb, path, payload) => {
    if (verb === "PUT" && path === "/5/0/1" && payload.length > 0) {
      device.resources.set("/5/0/3", "1");
      const uri = new URL(Buffer.from(payload).toString());
      const sink = { write: (bytes: Uint8Array) => void got.push(Buffer.from(bytes)) };
      const image = createRequest("get", uri.pathname + uri.search);
      const fetched = device.coap
        .download(udpPeer(uri.hostname, Number(uri.port)), image, sink)
        .then(() => device.resources.set("/5/0/3", "2"))
        .then(() => device.register());
      void untilClosed(fetched);
    }
    if (verb === "POST" && path === "/5/0/2") {
      for (const [resource, value] of [
        ["/5/0/3", "0"],
        ["/5/0/5", "1"],
        ["/3/0/3", atVersion],
      ] as const) {
        device.resources.set(resource, value);
      }
      setImmediate(() => void untilClosed(device.register()));
    }
    return undefined;
  };
  return got;
}

test("a pull: the device fetches the very image, applies it, registers again and is confirmed", async () => {
  const device = await ScriptedDevice.open("pull", server.address.port);
  const got = pullingDevice(device);
  await device.register();
  const done = await reaches(await startUpdate(device));
  assert.equal(done.sentence, "succeeded: the device runs 1.1.0 and reports success (Update Result 1)");
  assert.ok(Buffer.concat(got).equals(image));
  const states = (await scratch.stores.events.after({ updateId: done.id }, 100)).map((event) => event.facts["state"]);
  assert.deepEqual(
    [...new Set(states)],
    ["queued", "waiting", "transferring", "downloaded", "applying", "confirming", "succeeded"],
  );
  await device.close();
});

test("a push of 200,000 octets arrives block by block and whole", async () => {
  const device = await ScriptedDevice.open("push", server.address.port);
  pullingDevice(device);
  const applied = device.script;
  device.script = (verb, path, payload) => {
    if (verb === "PUSHED") device.resources.set("/5/0/3", "2");
    return applied(verb, path, payload);
  };
  await device.register();
  const done = await reaches(await startUpdate(device, { by: "push" }));
  assert.equal(done.state, "succeeded");
  assert.equal(done.acknowledgedBytes, image.length);
  assert.ok(Buffer.concat(device.received).equals(image));
  await device.close();
});

test("RFC 7959 §2.4: what a device answers in blocks of 16 octets is read to its end", async () => {
  const device = await ScriptedDevice.open("small-blocks", server.address.port, 16);
  pullingDevice(device);
  device.resources.set("/3/0/0", "a maker whose name is longer than a block");
  await device.register();
  const done = await reaches(await startUpdate(device));
  assert.equal(done.state, "succeeded");
  const known = await scratch.stores.devices.get("small-blocks");
  assert.equal(known?.manufacturer, "a maker whose name is longer than a block");
  await device.close();
});

test("lesson 13: a device that comes back with its old version fell back", async () => {
  const device = await ScriptedDevice.open("fallback", server.address.port);
  pullingDevice(device, "1.0.0");
  await device.register();
  const done = await reaches(await startUpdate(device));
  assert.equal(done.state, "fellBack");
  await device.close();
});

test("a refused Package URI ends the update with the device's code", async () => {
  const device = await ScriptedDevice.open("refuses", server.address.port);
  device.script = (verb) => (verb === "PUT" ? createResponse(CODE.badRequest) : undefined);
  await device.register();
  const done = await reaches(await startUpdate(device));
  assert.deepEqual([done.failure, done.sentence], ["rejected", "failed: the device refused the transfer with 4.00"]);
  await device.close();
});

test("an update for a device that is not here waits for it, says so, and can be cancelled", async () => {
  const device = await ScriptedDevice.open("late", server.address.port);
  const update = await startUpdate(device);
  assert.equal(
    (await reaches(update, "waiting")).sentence,
    "waiting: the device is not registered; going on when it is",
  );
  await device.register();
  await device.register();
  await server.engine.cancel(update.id);
  assert.equal((await reaches(update)).state, "cancelled");
  await device.close();
});

test("a server that restarts in mid-update goes on with it", async () => {
  const device = await ScriptedDevice.open("restart", server.address.port);
  await device.register();
  device.script = (verb, path) => {
    if (verb === "PUT" && path === "/5/0/1") device.resources.set("/5/0/3", "1");
    return undefined;
  };
  const update = await startUpdate(device);
  await reaches(update, "transferring");
  await server.close();
  pullingDevice(device);
  device.resources.set("/5/0/3", "2");
  server = await openServer();
  // The new server has another port here, so the device cannot know it yet: it registers there.
  const moved = await ScriptedDevice.open("restart", server.address.port);
  moved.resources.set("/5/0/3", "2");
  pullingDevice(moved);
  await moved.register();
  assert.equal((await reaches(update)).state, "succeeded");
  await device.close();
  await moved.close();
});

test("a device that moves to a new address in mid-update is asked there at once", { timeout: 10_000 }, async () => {
  const before = await ScriptedDevice.open("mover", server.address.port);
  const location = await before.register();
  // Behind its old address somebody takes everything and answers nothing.
  const asked = Promise.withResolvers<void>();
  before.coap.serve(({ options }) => {
    if (optionUint(options, OPTION.observe) === 0) asked.resolve();
    return new Promise(() => {});
  });
  const update = await startUpdate(before);
  await asked.promise;
  const now = await ScriptedDevice.open("mover", server.address.port);
  pullingDevice(now);
  assert.equal(formatCode((await now.request("post", location)).code), "2.04");
  assert.equal((await reaches(update)).state, "succeeded");
  await Promise.all([before.close(), now.close()]);
});

test("a server that is still reading the registrations of its last run asks for patience, and sends nobody away", async (t) => {
  const device = await ScriptedDevice.open("patient", server.address.port);
  const location = await device.register();
  const { port } = server.address;
  await server.close();
  const reading = Promise.withResolvers<void>();
  const { devices } = scratch.stores;
  const load = devices.loadRegistrations.bind(devices);
  t.mock.method(devices, "loadRegistrations", async () => {
    await reading.promise;
    await devices.flush();
    return await load();
  });
  const opening = openServer(port);
  let answer = await device.request("post", location);
  assert.equal(formatCode(answer.code), "5.03");
  reading.resolve();
  server = await opening;
  answer = await device.request("post", location);
  assert.equal(formatCode(answer.code), "2.04");
  await device.close();
});

test("LwM2M 1.2 §6.2: an unknown location is 4.04, a version we do not speak 4.12, a name that is missing 4.00", async () => {
  const device = await ScriptedDevice.open("edge", server.address.port);
  const answers = await Promise.all([
    device.request("post", "/rd/nobody"),
    device.request("post", "/rd?ep=x&lwm2m=9.0", { payload: new TextEncoder().encode("</3/0>") }),
    device.request("post", "/rd?lwm2m=1.1", { payload: new TextEncoder().encode("</3/0>") }),
    device.request("get", "/rd"),
    device.request("get", "/fw/0000000000000000"),
    device.request("get", "/"),
  ]);
  assert.deepEqual(
    answers.map(({ code }) => formatCode(code)),
    ["4.04", "4.12", "4.00", "4.05", "4.04", "4.04"],
  );
  await device.close();
});

test("§6.4.6: a report by Send makes the server look, whether an update runs or not; a stranger has to register", async () => {
  const device = await ScriptedDevice.open("sender", server.address.port);
  const report = async (): Promise<string> => {
    const { payload } = sendRequest([
      { path: [5, 0, 5], value: 1 },
      { path: [5, 0, 3], value: 0 },
    ]);
    const options = [uintOption(OPTION.contentFormat, CONTENT_FORMATS.senmlCbor)];
    return formatCode((await device.request("post", "/dp", { payload, options })).code);
  };
  assert.equal(await report(), "4.04");
  /** The next time that the server reads the update's result. */
  const looked = (): Promise<void> =>
    new Promise((resolve) => {
      device.script = (verb, path) => {
        if (verb === "GET" && path === "/5/0/5") resolve();
        return undefined;
      };
    });
  const first = looked();
  await device.register();
  await first;
  const again = looked();
  assert.equal(await report(), "2.04");
  await again;

  pullingDevice(device);
  const { script } = device;
  device.script = (verb, path, payload) => {
    if (verb !== "POST" || path !== "/5/0/2") return script(verb, path, payload);
    device.resources.set("/5/0/3", "0").set("/5/0/5", "1").set("/3/0/3", "1.1.0");
    // It does not register again: what it sends is all that the server hears.
    setImmediate(() => void untilClosed(report()));
    return undefined;
  };
  const update = await startUpdate(device);
  assert.equal((await reaches(update)).state, "succeeded");
  await device.close();
});

/** Devices that bend the rules, over real sockets: those lessons that are about what goes over the wire. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { blockOption, findBlock } from "@airlift/protocol/coap/block-option";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionBytes, pathOptions } from "@airlift/protocol/coap/options";
import { EMPTY, toHex } from "@airlift/protocol/lib/bytes";
import { udpPeer } from "@airlift/runtime/udp";
import { RawDevice } from "./raw-device.ts";
import { ScriptedDevice, untilClosed } from "./scripted-device.ts";
import { openUpdateStage, type UpdateStage } from "./update-stage.ts";

let stage: UpdateStage;
before(async () => {
  stage = await openUpdateStage();
});
after(() => stage.close());

/** What a device is once it has installed. */
const INSTALLED = [
  ["/5/0/3", "0"],
  ["/5/0/5", "1"],
  ["/3/0/3", "1.1.0"],
] as const;

interface PushedDeviceOptions {
  readonly blockBytes?: number;
  readonly first?: ScriptedDevice["script"];
  /** As `ScriptedDevice.register` takes them. */
  readonly register?: Parameters<ScriptedDevice["register"]>;
}

/** A device that takes a push, installs at once and registers again. `first` decides before it does. */
async function pushedDevice(
  endpoint: string,
  { blockBytes, first = () => undefined, register = [] }: PushedDeviceOptions = {},
): Promise<ScriptedDevice> {
  const device = await ScriptedDevice.open(endpoint, stage.server.address.port, blockBytes);
  device.script = (verb, path, payload) => {
    const answer = first(verb, path, payload);
    if (answer) return answer;
    if (verb === "PUSHED") device.resources.set("/5/0/3", "2");
    if (verb === "POST" && path === "/5/0/2") {
      for (const [resource, value] of INSTALLED) device.resources.set(resource, value);
      setImmediate(() => void untilClosed(device.register(...register)));
    }
    return undefined;
  };
  await device.register(...register);
  return device;
}

test("lesson 3: everything but the package is answered 5.03 during a push, and State 1 never shows", async () => {
  let wasPushed = false;
  const device: ScriptedDevice = await pushedDevice("busy", {
    first: (verb) => {
      if (verb === "PUSHED") wasPushed = true;
      const isPushing = device.received.length > 0 && !wasPushed;
      return isPushing ? createResponse(CODE.serviceUnavailable) : undefined;
    },
  });
  const done = await stage.reaches(await stage.update("busy", { by: "push" }));
  assert.equal(done.state, "succeeded", done.sentence);
  await device.close();
});

/** A raw device whose installation succeeds at once. */
async function rawPushed(endpoint: string): Promise<RawDevice> {
  const device = await RawDevice.open(stage.server.address.port);
  device.onExecute = (path) => {
    if (path !== "/5/0/2") return;
    for (const [resource, value] of INSTALLED) device.resources.set(resource, value);
    void device.register(endpoint);
  };
  await device.register(endpoint);
  return device;
}

test("lesson 4: all blocks of one push have one token", async () => {
  const device = await rawPushed("one-token");
  const done = await stage.reaches(await stage.update("one-token", { by: "push" }));
  assert.equal(done.state, "succeeded", done.sentence);
  assert.deepEqual([device.pushTokens.size, device.beginCount], [1, 1]);
  await device.close();
});

for (const [what, query, links] of [
  ["no version", "lt=60&lwm2m=1.1&b=U", "</3/0>,</5/0>"],
  ["a quoted version", "lt=60&lwm2m=1.0&b=U", '</3/0>,</5>;ver="1.1",</5/0>'],
  ["a bare version", "lt=60&lwm2m=1.1&b=U", "</3/0>,</5>;ver=1.1,</5/0>"],
] as const)
  test(`lesson 6: an object 5 registered with ${what} has its newer resources used all the same`, async () => {
    const endpoint = `ver-${what.replaceAll(" ", "-")}`;
    const device: ScriptedDevice = await pushedDevice(endpoint, { register: [query, links] });
    device.resources.set("/5/0/14", "1");
    const update = await stage.update(endpoint, { by: "push", apply: false });
    const held = await stage.reaches(update, "waitingToApply");
    assert.equal(held.state, "waitingToApply", held.sentence);
    assert.ok(device.heard.includes("PUT /5/0/14 0"), device.heard.join("; "));
    await stage.server.engine.apply(update.id);
    const done = await stage.reaches(update);
    assert.equal(done.state, "succeeded", done.sentence);
    await device.close();
  });

test("lesson 8: a GET of an image without Block2 gets its first block, and every block has the same ETag", async () => {
  const device = await RawDevice.open(stage.server.address.port);
  const tags = new Set<string>();
  const parts: Uint8Array[] = [];
  for (let more = true, number = 0; more; number += 1) {
    const wish = number === 0 ? [] : [blockOption(OPTION.block2, { number, more: false, sizeBytes: 1024 })];
    const options = [...pathOptions(`/fw/${stage.imageId}`), ...wish];
    const answer = await device.ask({ code: METHOD.get, options });
    const block = findBlock(answer.options, OPTION.block2);
    assert.deepEqual([block?.number, block?.sizeBytes], [number, 1024]);
    tags.add(toHex(optionBytes(answer.options, OPTION.etag) ?? EMPTY));
    parts.push(answer.payload);
    more = block?.more ?? false;
  }
  assert.ok(Buffer.concat(parts).equals(stage.image));
  assert.equal(tags.size, 1);
  assert.ok(!tags.has(""));
  await device.close();
});

for (const blockBytes of [16, 64, 512])
  test(`lesson 5: a push to a device of blocks of ${blockBytes} octets goes down to them and arrives whole`, async () => {
    const device = await pushedDevice(`blocks-${blockBytes}`, { blockBytes });
    const done = await stage.reaches(await stage.update(`blocks-${blockBytes}`, { by: "push" }));
    assert.equal(done.state, "succeeded", done.sentence);
    assert.ok(Buffer.concat(device.received).equals(stage.image));
    const kept = await exchangesOf(done.id);
    const push = kept.find(({ request }) => request === "PUT /5/0/0");
    assert.equal(push?.transfer?.bytes, stage.image.length);
    assert.ok((push?.transfer?.blockCount ?? 0) > (stage.image.length - 1024) / blockBytes);
    await device.close();
  });

test("lesson 5: blocks refused with 4.13 become smaller, which is counted and told on the device's timeline", async () => {
  const device = await rawPushed("refuses-blocks");
  device.largestBlockBytes = 64;
  const before = stage.server.engine.smallerBlocksCount;
  const done = await stage.reaches(await stage.update("refuses-blocks", { by: "push" }));
  assert.equal(done.state, "succeeded", done.sentence);
  assert.equal(device.receivedBytes, stage.image.length);
  assert.equal(stage.server.engine.smallerBlocksCount, before + 1);
  const { items } = await stage.stores.events.list({ endpoint: "refuses-blocks" }, { limit: 100 });
  assert.ok(items.some(({ sentence }) => /4\.13\): the push starts over in blocks of 64 octets$/.test(sentence)));
  await device.close();
});

test("a device that takes packages as text/plain only gets base64 (LwM2M 1.2 annex C.1)", async () => {
  let refusals = 0;
  const device = await pushedDevice("text", {
    first: (verb, _, payload) => {
      if (verb !== "PUSHED" || /^[A-Za-z0-9+/]*=*$/.test(Buffer.from(payload).toString("latin1"))) return undefined;
      refusals += 1;
      return createResponse(CODE.unsupportedContentFormat);
    },
  });
  const done = await stage.reaches(await stage.update("text", { by: "push" }));
  assert.equal(done.state, "succeeded", done.sentence);
  assert.equal(refusals, 1);
  const text = Buffer.concat(device.received).toString("latin1");
  assert.ok(Buffer.from(text, "base64").equals(stage.image));
  await device.close();
});

test("lesson 10: an occupied device that knows the zero package alone is reset by it, which a read confirms", async () => {
  const device: ScriptedDevice = await pushedDevice("occupied", {
    first: (verb, path, payload) => {
      if (verb !== "PUT") return undefined;
      if (path === "/5/0/1") return createResponse(CODE.badRequest);
      if (path === "/5/0/0" && payload.length === 1) device.resources.set("/5/0/3", "0");
      return undefined;
    },
  });
  device.resources.set("/5/0/3", "2");
  const done = await stage.reaches(await stage.update("occupied", { by: "push" }));
  assert.equal(done.state, "succeeded", done.sentence);
  await device.close();
});

test("a push to a device that is gone for a while and forgot its blocks starts over (4.08)", async () => {
  const device = await pushedDevice("gone");
  const { port } = device.coap.address;
  const update = await stage.update("gone", { by: "push" });
  while (device.received.length < 10) await nextTurn();
  await device.close();
  const back = await ScriptedDevice.open("gone", stage.server.address.port, undefined, port);
  back.script = device.script;
  for (const [path, value] of device.resources) back.resources.set(path, value);
  const { script } = device;
  back.script = (verb, path, payload) => {
    if (verb === "PUSHED") back.resources.set("/5/0/3", "2");
    if (verb === "POST" && path === "/5/0/2") for (const [resource, is] of INSTALLED) back.resources.set(resource, is);
    return verb === "POST" ? undefined : script(verb, path, payload);
  };
  const done = await stage.reaches(update);
  assert.equal(done.state, "succeeded", done.sentence);
  assert.ok(Buffer.concat(back.received).equals(stage.image));
  await back.close();
});

test("lesson 14: what was asked and answered is kept, with what had to be sent again and what was fetched", async () => {
  const device = await pushedDevice("timeline");
  const { script } = device;
  device.script = (verb, path, payload) => {
    if (verb !== "PUT" || path !== "/5/0/1") return script(verb, path, payload);
    device.resources.set("/5/0/3", "1");
    const uri = new URL(Buffer.from(payload).toString());
    const fetched = device.coap
      .download(udpPeer(uri.hostname, Number(uri.port)), createRequest("get", uri.pathname + uri.search), {
        write: () => {},
      })
      .then(() => void device.resources.set("/5/0/3", "2"));
    void untilClosed(fetched);
    return undefined;
  };
  const done = await stage.reaches(await stage.update("timeline", { by: "pull" }));
  assert.equal(done.state, "succeeded", done.sentence);
  assert.match(done.packageUri ?? "", /^coap:\/\/127\.0\.0\.1:\d+\/fw\/[0-9a-f]{16}/);
  const kept = await exchangesOf(done.id);
  assert.deepEqual(
    kept.map(({ number }) => number),
    kept.map((_, index) => index + 1),
  );
  const told = new Set(kept.map(({ request, answer }) => `${request} ${answer}`));
  for (const line of [
    "GET /5/0/3 2.05",
    "OBSERVE /5/0/3 2.05, does not notify",
    "PUT /5/0/1 2.04",
    "POST /5/0/2 2.04",
    `the device fetches the image ${stage.image.length} bytes sent`,
  ])
    assert.ok(told.has(line), `${line} is not among ${[...told].join("; ")}`);
  const fetch = kept.find(({ transfer }) => transfer !== null)?.transfer;
  assert.deepEqual([fetch?.bytes, fetch?.blockCount], [stage.image.length, Math.ceil(stage.image.length / 1024)]);
  await device.close();
});

async function exchangesOf(updateId: string) {
  const { exchanges } = stage.stores;
  await exchanges.flush();
  return await exchanges.list(updateId);
}

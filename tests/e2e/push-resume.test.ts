/** A push whose link is cut in the middle, over real sockets; the server gives a silent device up at once. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { RawDevice } from "./raw-device.ts";
import { openUpdateStage, type UpdateStage } from "./update-stage.ts";

let stage: UpdateStage;
before(async () => {
  const transmission = { ackTimeoutMs: 40, ackRandomFactor: 1, maxRetransmit: 1 };
  stage = await openUpdateStage(() => ({ udp: { host: "127.0.0.1", endpoint: { transmission } } }));
});
after(() => stage.close());

/** A device whose installation succeeds at once, and whose link is cut after so many blocks of its first push. */
async function cutAfter(endpoint: string, blockCount: number): Promise<{ device: RawDevice; cut: Promise<number> }> {
  const device = await RawDevice.open(stage.server.address.port);
  device.onExecute = (path) => {
    if (path !== "/5/0/2") return;
    device.resources.set("/5/0/3", "0").set("/5/0/5", "1").set("/3/0/3", "1.1.0");
    void device.register(endpoint);
  };
  const cut = new Promise<number>((resolve) => {
    device.onBlock = (block) => {
      if (block !== blockCount) return;
      device.onBlock = () => {};
      void device.unplug().then(resolve);
    };
  });
  await device.register(endpoint);
  return { device, cut };
}

/** Resolves when the timeline of an update has a line like this. */
async function tells(updateId: string, line: RegExp): Promise<void> {
  const { events } = stage.stores;
  const hasIt = async () => (await events.after({ updateId }, 100)).some(({ sentence }) => line.test(sentence));
  let stop = () => {};
  await new Promise<void>((resolve) => {
    const look = () => void hasIt().then((has) => has && resolve());
    stop = events.subscribe(look);
    look();
  });
  stop();
}

test("a push that breaks off goes on at the octet where it broke, for a device that remembers its blocks (RFC 7959 §2.5)", async () => {
  const { device, cut } = await cutAfter("remembers", 40);
  const update = await stage.update("remembers", { by: "push" });
  const port = await cut;
  await tells(update.id, /does not answer/);
  await device.plugIn(port);
  const done = await stage.reaches(update);
  assert.equal(done.state, "succeeded", done.sentence);
  assert.equal(device.beginCount, 1, "block 0 was sent once");
  assert.ok(Buffer.concat(device.received).equals(stage.image));
  await device.close();
});

test("a push that breaks off starts over, for a device that has forgotten its blocks and says 4.08", async () => {
  const { device, cut } = await cutAfter("forgets", 40);
  const update = await stage.update("forgets", { by: "push" });
  const port = await cut;
  await tells(update.id, /does not answer/);
  device.received = [];
  await device.plugIn(port);
  const done = await stage.reaches(update);
  assert.equal(done.state, "succeeded", done.sentence);
  assert.equal(device.beginCount, 2);
  assert.ok(Buffer.concat(device.received).equals(stage.image));
  await device.close();
});

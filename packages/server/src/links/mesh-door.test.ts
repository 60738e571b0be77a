import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { OPTION, textOption } from "@airlift/protocol/coap/options";
import { BroadcastStage } from "./broadcast-stage.ts";
import type { ExampleMeshDevice } from "./mesh-example.ts";

let stage: BroadcastStage;
before(async () => {
  stage = await BroadcastStage.open();
});
after(() => stage.close());

test("a packet is the same by HTTP, by CoAP's path and in the gateway's file; parity can be asked for too", async () => {
  const { world, order, name } = await stage.begun(1);
  const file = await world.fileOf(name);
  const uri = `zdm/sw/ACME-${world.model.replace("-", "%2D")}-2.0.1`;
  const { payloadBytes = 0, dataCount = 0 } = order.parts[1]?.content ?? {};
  const third = file.subarray(12 + 2 * payloadBytes, 12 + 3 * payloadBytes);
  assert.deepEqual(Buffer.from((await world.door.packetAt(`${uri}/3`)) ?? []), third);
  assert.deepEqual(Buffer.from((await world.door.packetAt(`zdm/sw/${name}/3`)) ?? []), third);
  // The name is one segment as it is written: its escapes are part of it.
  const overCoap = async (path: string, code: number = METHOD.get) => {
    const answer = await world.door.answer({
      code,
      options: path.split("/").map((part) => textOption(OPTION.uriPath, part)),
      payload: new Uint8Array(0),
    });
    return { code: answer.code, payload: "payload" in answer ? Buffer.from(answer.payload) : undefined };
  };
  assert.deepEqual(await overCoap(`${uri}/3`), { code: CODE.content, payload: third });
  assert.equal((await overCoap(`${uri}/99999999`)).code, CODE.notFound);
  assert.equal((await overCoap(`${uri}/3`, METHOD.put)).code, CODE.methodNotAllowed);
  assert.equal((await world.door.packetAt(`${uri}/0`))?.length, 12);
  assert.equal((await world.door.packetAt(`${uri}/${dataCount + 1}`))?.length, 40);
  assert.equal((await world.door.packetAt(`${uri}/${dataCount + 2}`))?.length, payloadBytes);
  assert.ok(await world.door.packetAt(`${uri}/manifest/1`));
  for (const wrong of ["zdm/sw/ACME-TH-2.0.1/3", `${uri}/99999999`, `${uri}`, "zdm/sw//1"])
    assert.equal(await world.door.packetAt(wrong), undefined, wrong);
});

test("a label with another key, IV or name than the device was taken in with is refused", async () => {
  const { world } = await stage.begun(1);
  const [device] = world.devices as [ExampleMeshDevice];
  const fields = device.label.split(":");
  for (const place of [3, 4, 5]) {
    const payload = fields.map((text, i) =>
      i === place ? text.replace(/.$/, (last) => (last === "1" ? "2" : "1")) : text,
    );
    const asked = { payload: payload.join(":"), manufacturer: "ACME", model: world.model };
    await assert.rejects(world.door.onboard(asked), { code: "MESH_DEVICE_EXISTS" }, payload[place]);
  }
});

test("a label that comes again does not take back what the device said; in another group the device gets that group's key", async () => {
  const { world } = await stage.begun(1);
  const [device] = world.devices as [ExampleMeshDevice];
  const again = (model: string) =>
    world.door.onboard({ payload: device.label, manufacturer: "ACME", model, version: "1.0.0", cell: "elsewhere" });
  device.version = [2, 0, 1];
  await world.tell(world.gateway.event(device.say("confirmed")));
  const { groupId, hasGroupKey } = await again(world.model);
  assert.equal(hasGroupKey, true);
  assert.equal((await stage.stores.devices.get(device.deviceId))?.version, "2.0.1");
  const moved = await again(`${world.model}-B`);
  assert.notEqual(moved.groupId, groupId);
  assert.deepEqual([moved.hasGroupKey, moved.cell], [false, "elsewhere"]);
  const { items } = await stage.stores.events.list({ endpoint: device.deviceId }, { limit: 1000 });
  const taken = items.filter(({ kind }) => kind === "device.onboarded").map(({ sentence }) => sentence);
  assert.deepEqual(taken.slice(0, 2), [
    `${device.deviceId} was taken in again: it goes from the group ${groupId} to ${moved.groupId}`,
    `${device.deviceId} was taken in again: it goes from the cell cell of ${world.model} to the cell elsewhere`,
  ]);
});

import assert from "node:assert/strict";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { CampaignSpec, type NewCampaign } from "@airlift/protocol/api/campaign";
import type { GatewayOrder, TransmitOrder } from "@airlift/protocol/api/gateway";
import type { Image } from "@airlift/protocol/api/schemas";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { OPTION, textOption } from "@airlift/protocol/coap/options";
import type { AirliftError } from "@airlift/protocol/lib/errors";
import { pino } from "pino";
import { CampaignEngine } from "../campaign/engine.ts";
import { compilePolicy } from "../campaign/policy.ts";
import type { MeshReport } from "../store/mesh-updates.ts";
import { openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { BroadcastDelivery, type BroadcastOptions } from "./broadcast-delivery.ts";
import { MeshDoor } from "./mesh-door.ts";
import { commandsIn, ExampleGateway, ExampleMeshDevice, type NewReport, octets } from "./mesh-example.ts";
import { MeshReleases } from "./mesh-releases.ts";

let scratch: ScratchStores;
before(async () => {
  scratch = await openScratchStores({ node: { name: "a" } });
  await scratch.stores.nodes.join();
});
after(() => scratch.close());

let worlds = 0;

/** A model of its own with so many devices, a gateway that hears them, and a campaign's engine. */
class World {
  readonly model = `TH-${++worlds}`;
  readonly gateway: ExampleGateway;
  readonly devices: readonly ExampleMeshDevice[];
  readonly bytes = Buffer.concat(Array.from({ length: 100 }, (_, i) => octets(worlds * 1000 + i, 32)));
  readonly reports: MeshReport[] = [];
  readonly releases = new MeshReleases(scratch.stores, join(scratch.folder, "mesh"));
  readonly broadcast: BroadcastDelivery;
  readonly door: MeshDoor;
  readonly engine = new CampaignEngine(scratch.stores.campaigns, () => 0);
  image!: Image;

  constructor(count: number, options: Partial<BroadcastOptions> = {}) {
    this.gateway = new ExampleGateway(`gw-${worlds}`);
    this.devices = Array.from(
      { length: count },
      (_, i) => new ExampleMeshDevice(`${this.model}.${i}`, worlds * 10_000 + i),
    );
    const { stores } = scratch;
    const onTransition = (report: MeshReport) => void this.reports.push(report);
    this.broadcast = new BroadcastDelivery({
      stores,
      releases: this.releases,
      log: pino({ level: "silent" }),
      gatherMs: 0,
      onTransition,
      ...options,
    });
    this.door = new MeshDoor({ stores, releases: this.releases, broadcast: this.broadcast });
  }

  async open(version = "2.0.1"): Promise<this> {
    const { stores } = scratch;
    const manufacturer = "ACME";
    const name = { manufacturer, model: this.model, version, hardware: [] };
    this.image = (await stores.images.add(Readable.from([this.bytes]), name)).image;
    const cell = `cell of ${this.model}`;
    await stores.mesh.gateways.add({ id: this.gateway.id, cells: [cell] });
    for (const { label: payload } of this.devices)
      await this.door.onboard({ payload, manufacturer, model: this.model, version: "1.0.0", cell });
    await this.tell();
    return this;
  }

  /** Resolves when what they set off is over as well. */
  async tell(...reports: readonly NewReport[]) {
    const answer = await this.broadcast.report(this.gateway.id, this.gateway.batch(...reports));
    await this.broadcast.settle();
    return answer;
  }

  /** Orders that the gateway has not seen; its devices hear what they command, and answer. */
  async orders(): Promise<GatewayOrder[]> {
    const orders = await scratch.stores.mesh.gateways.openOrders(this.gateway.id, this.gateway.lastOrder);
    this.gateway.lastOrder = orders.at(-1)?.number ?? this.gateway.lastOrder;
    const answers = orders.flatMap(commandsIn).flatMap((command) =>
      this.devices.flatMap((device) => {
        const status = device.hear(command);
        return status === undefined ? [] : [this.gateway.event(device.seal(status))];
      }),
    );
    if (answers.length > 0) await this.tell(...answers);
    return orders;
  }

  async fileOf(name: string): Promise<Buffer> {
    const file = await this.door.openContent(name);
    assert.ok(file !== undefined);
    const chunks = await file.stream(0, file.sizeBytes - 1).toArray();
    return Buffer.concat(chunks as Buffer[]);
  }

  async campaign(more: Partial<NewCampaign> = {}): Promise<string> {
    const spec = CampaignSpec.parse({
      name: this.model,
      image: this.image.id,
      targets: { query: `model==${this.model}` },
      ...more,
    });
    const { image } = this;
    const policy = compilePolicy(
      spec,
      () => image,
      () => 0,
    );
    const { campaign } = await scratch.stores.campaigns.create({ spec, policy, createdBy: "ann" }, Date.now());
    for (const command of ["submit", "start"] as const)
      await this.engine
        .command(campaign.id, { command, by: "ann" }, Date.now())
        .catch((error: AirliftError) => assert.equal(error.code, "CAMPAIGN_STATE"));
    return campaign.id;
  }

  /** Turns of the campaign and of the broadcast until nobody has anything to do. */
  async turn(): Promise<void> {
    const { campaigns } = scratch.stores;
    for (let i = 0; i < 4; i += 1) {
      await this.engine.sweep(Date.now());
      for (const leased of await campaigns.takeOrders(Date.now(), 1000)) {
        assert.equal(await this.broadcast.take(leased), "done");
        await campaigns.orderDone(leased.target.campaignId, leased.target.endpoint, leased.order);
      }
      await this.broadcast.sweep();
      for (const { campaignId, endpoint, ...news } of this.reports.splice(0))
        if (campaignId !== null) await this.engine.report({ campaignId, endpoint }, news, Date.now());
    }
  }

  sentenceOf = async (index: number): Promise<string> => {
    const { items } = await scratch.stores.updates.list({ endpoint: this.devices[index]?.deviceId }, { limit: 1 });
    return items[0]?.sentence ?? "";
  };

  stateOf = async (index: number): Promise<string> => {
    const { items } = await scratch.stores.updates.list({ endpoint: this.devices[index]?.deviceId }, { limit: 1 });
    return `${items[0]?.state} ${items[0]?.failure ?? ""}`.trim();
  };
}

const transmitIn = (orders: readonly GatewayOrder[]): TransmitOrder =>
  orders.flatMap(({ order }) => (order.kind === "transmit" ? [order] : []))[0] ??
  assert.fail("no broadcast was ordered");

test("a device that was taken in by its label gets a campaign's image by broadcast, installs on the campaign's word and is believed", async () => {
  const world = await new World(1).open();
  const [device] = world.devices as [ExampleMeshDevice];
  const campaignId = await world.campaign();
  await world.turn();
  const order = transmitIn(await world.orders());
  assert.deepEqual(
    order.parts.map(({ content }) => content.name),
    [device.schedules[0], device.schedules[1]].map((one) => Buffer.from(one?.name ?? []).toString("hex")),
  );
  assert.ok(device.group !== undefined && Buffer.from(device.group.key).toString("hex") === order.pollChannel.key);
  assert.equal((await scratch.stores.mesh.devices.get(device.deviceId))?.hasGroupKey, true);

  const name = order.parts[1]?.content.name ?? "";
  const file = await world.fileOf(name);
  assert.deepEqual(Buffer.from(device.receive(name, file) ?? []), world.bytes);
  await world.tell(world.gateway.event(device.say("receiving", { receivedCount: 20, deficit: 47 })));
  assert.equal(await world.stateOf(0), "transferring");
  await world.tell(world.gateway.event(device.say("verified")), world.gateway.end(order));
  assert.equal(await world.stateOf(0), "waitingToApply");
  await world.turn();
  assert.equal(device.appliedName, undefined);
  await world.orders();
  assert.equal(device.appliedName, name);
  assert.equal(await world.stateOf(0), "applying");
  device.version = [2, 0, 1];
  await world.tell(world.gateway.event(device.say("confirmed")));
  assert.equal(await world.stateOf(0), "succeeded");
  await world.turn();
  const kept = await scratch.stores.campaigns.get(campaignId);
  assert.equal(kept?.campaign.state, "finished");
  assert.equal(kept.campaign.waves[0]?.counts.succeeded, 1);
  assert.equal((await scratch.stores.devices.get(device.deviceId))?.version, "2.0.1");
  const section = await scratch.stores.mesh.sessions.broadcastOf(campaignId);
  assert.deepEqual([section?.sessionCount, section?.runningCount, section?.airtimeUsedMs], [1, 0, 1234]);
});

/** One campaign's broadcast, ordered and heard. */
async function begun(count: number, options: Partial<BroadcastOptions> = {}) {
  const world = await new World(count, options).open();
  const campaignId = await world.campaign();
  await world.turn();
  const order = transmitIn(await world.orders());
  return { world, campaignId, order, name: order.parts[1]?.content.name ?? "" };
}

test("a device cannot answer for another, say again what it said, or be spoken for by somebody without its key", async () => {
  const { world, order } = await begun(3);
  const [first, second, third] = world.devices as [ExampleMeshDevice, ExampleMeshDevice, ExampleMeshDevice];
  const genuine = first.say("receiving", { deficit: 3 });
  const forged = { ...second.say("verified"), name: genuine.name, fseq: genuine.fseq + 5 };
  const damaged = { ...third.say("verified"), payload: "00".repeat(24) };
  const answer = await world.tell(
    world.gateway.event(genuine),
    world.gateway.event(forged),
    world.gateway.event(damaged),
  );
  assert.deepEqual(
    answer.events.map(({ deficit }) => deficit),
    [3],
  );
  assert.deepEqual(
    [await world.stateOf(0), await world.stateOf(1), await world.stateOf(2)],
    ["transferring", "waiting", "waiting"],
  );

  await world.tell(world.gateway.event(first.say("verified")));
  // As it was heard by another gateway, later.
  const replayed = await world.tell(world.gateway.event(genuine));
  assert.deepEqual(replayed.events, []);
  assert.equal(await world.stateOf(0), "waitingToApply");
  assert.equal(order.deviceCount, 3);
});

test("a batch that comes twice is taken once, and answered both times", async () => {
  const { world } = await begun(1);
  const [device] = world.devices as [ExampleMeshDevice];
  const batch = world.gateway.batch(world.gateway.event(device.say("receiving", { deficit: 9 })));
  const first = await world.broadcast.report(world.gateway.id, batch);
  const again = await world.broadcast.report(world.gateway.id, batch);
  assert.deepEqual(again.events, first.events);
  assert.equal(again.takenNumber, first.takenNumber);
  assert.equal(first.events[0]?.deficit, 9);
});

test("done is done only with the new version", async () => {
  const { world } = await begun(2);
  const [liar, honest] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  honest.version = [2, 0, 1];
  await world.tell(world.gateway.event(liar.say("confirmed")), world.gateway.event(honest.say("confirmed")));
  assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["failed wrongVersion", "succeeded"]);
});

test("what a device says of its failure is the update's", async () => {
  const { world } = await begun(2);
  const [wrong, back] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  await world.tell(
    world.gateway.event(wrong.say("none", { result: "integrityFailed" })),
    world.gateway.event(back.say("rolledBack", { result: "failed" })),
  );
  assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["failed integrityFailed", "fellBack"]);
});

test("all of a group hear one schedule and one word to install; a part of it is spoken to one by one", async () => {
  const { world, campaignId, order } = await begun(4);
  assert.equal(order.parts[0]?.commands.filter(({ name }) => name === order.pollChannel.name).length, 2);
  for (const device of world.devices) assert.equal(device.schedules.length, 2);
  await world.tell(
    ...world.devices.map((device) => world.gateway.event(device.say("verified"))),
    world.gateway.end(order),
  );
  await world.turn();
  const [apply, ...rest] = (await world.orders()).flatMap(commandsIn);
  assert.equal(apply?.name, order.pollChannel.name);
  assert.deepEqual(rest, []);
  for (const device of world.devices) assert.ok(device.appliedName);
  assert.ok(campaignId);

  const other = await new World(4).open("3.0.0");
  const { items } = await scratch.stores.images.list({ limit: 1 });
  const only = other.devices[2] as ExampleMeshDevice;
  await scratch.stores.updates.create({
    endpoint: only.deviceId,
    imageId: items[0]?.id ?? "",
    by: "auto",
    apply: true,
  });
  await other.broadcast.sweep();
  const part = transmitIn(await other.orders());
  assert.equal(part.deviceCount, 1);
  assert.deepEqual(
    other.devices.map(({ schedules }) => schedules.length),
    [0, 0, 2, 0],
  );
});

test("devices that were to be told to install are held by a pause; who was told before installs, and is not told again", async () => {
  const { world, campaignId, order, name } = await begun(2);
  const [, second] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  const tell = (command: "pause" | "resume") => world.engine.command(campaignId, { command, by: "ann" }, Date.now());
  await world.tell(
    ...world.devices.map((device) => world.gateway.event(device.say("verified"))),
    world.gateway.end(order),
  );
  for (const { campaignId: id, endpoint, ...news } of world.reports.splice(0))
    if (id !== null) await world.engine.report({ campaignId: id, endpoint }, news, Date.now());
  const { campaigns, mesh } = scratch.stores;
  const permits = await campaigns.takeOrders(Date.now(), 1000);
  assert.deepEqual(new Set(permits.map((one) => one.order.kind)), new Set(["apply"]));
  for (const permit of permits) assert.equal(await world.broadcast.take(permit), "done");
  await tell("pause");
  // The server that was just about to tell them finds them held.
  await world.broadcast.sweep();
  assert.deepEqual((await world.orders()).flatMap(commandsIn), []);
  await world.turn();
  assert.deepEqual(
    (await mesh.updatesIn("waitingToApply")).filter(({ mayApply }) => mayApply),
    [],
  );
  assert.equal(await world.broadcast.take(permits[0] as (typeof permits)[number]), "later");
  assert.match(await world.sentenceOf(0), /^waiting: the device is not told to install before its campaign says so/);
  await tell("resume");
  await world.turn();
  await world.orders();
  assert.equal(second.appliedName, name);
  await world.tell();
  await tell("pause");
  await world.turn();
  assert.deepEqual((await world.orders()).flatMap(commandsIn), []);
  assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["applying", "applying"]);
  for (const device of world.devices) device.version = [2, 0, 1];
  await world.tell(...world.devices.map((device) => world.gateway.event(device.say("confirmed"))));
  assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["succeeded", "succeeded"]);
});

test("while a campaign is still letting devices begin, those that have begun wait for them, but not for ever", async () => {
  for (const [mostGatherMs, counts] of [
    [undefined, [0, 3]],
    [0, [1]],
  ] as const) {
    const world = await new World(3, { mostGatherMs }).open();
    await world.campaign();
    await world.engine.sweep(Date.now());
    const planned: number[] = [];
    for (const limit of [1, 1000].slice(0, counts.length)) {
      for (const leased of await scratch.stores.campaigns.takeOrders(Date.now(), limit)) {
        await world.broadcast.take(leased);
        await scratch.stores.campaigns.orderDone(leased.target.campaignId, leased.target.endpoint, leased.order);
      }
      await world.broadcast.sweep();
      const orders = await world.orders();
      planned.push(orders.some(({ order }) => order.kind === "transmit") ? transmitIn(orders).deviceCount : 0);
    }
    assert.deepEqual(planned, counts);
  }
});

test("a cancel that comes when the device has ended leaves its outcome as it is, and one before the begin takes its place", async () => {
  const world = await new World(2).open();
  const campaignId = await world.campaign();
  await world.engine.sweep(Date.now());
  const { campaigns, updates } = scratch.stores;
  const [early, late] = await campaigns.takeOrders(Date.now(), 10);
  assert.ok(early !== undefined && late !== undefined);
  assert.equal(await world.broadcast.take(late), "done");
  const [held] = (await updates.list({ endpoint: late.target.endpoint }, { limit: 1 })).items;
  await updates.transition(held?.id ?? "", { state: "succeeded", sentence: "succeeded: runs 2.0.1" });
  for (const { target, order } of [early, late]) {
    const cancel = { kind: "cancel" as const, attempt: order.attempt };
    assert.equal(await world.broadcast.take({ target, order: cancel }), "done");
  }
  assert.deepEqual(
    world.reports.splice(0).map(({ endpoint, state }) => [endpoint, state]),
    [
      [early.target.endpoint, "cancelled"],
      [late.target.endpoint, "succeeded"],
    ],
  );
  assert.equal(await world.broadcast.take(early), "done");
  const { items } = await updates.list({ endpoint: early.target.endpoint }, { limit: 10 });
  assert.deepEqual(
    items.map(({ state }) => state),
    ["cancelled"],
  );
  await world.engine.command(campaignId, { command: "stop", by: "ann" }, Date.now());
});

test("a gateway cannot end the broadcast of another", async () => {
  const { order } = await begun(1);
  const stranger = await new World(0).open();
  await stranger.tell(stranger.gateway.end(order, "failed"));
  assert.equal((await scratch.stores.mesh.sessions.get(order.sessionId))?.endedAt, null);
});

test("a stopped campaign is off the air at once: the gateway is ordered to, and the devices are told", async () => {
  const { world, campaignId, order, name } = await begun(2);
  world.broadcast.start();
  try {
    const heard = new Promise<void>((resolve) => {
      const stop = scratch.stores.mesh.gateways.onOrders(world.gateway.id, () => {
        stop();
        resolve();
      });
    });
    await world.engine.command(campaignId, { command: "stop", by: "ann" }, Date.now());
    await heard;
    const orders = await world.orders();
    assert.ok(orders.some((one) => one.order.kind === "cancel" && one.order.sessionId === order.sessionId));
    for (const device of world.devices) assert.equal(device.cancelledName, name);
    await world.turn();
    assert.deepEqual([await world.stateOf(0), await world.stateOf(1)], ["cancelled", "cancelled"]);
    assert.equal((await scratch.stores.mesh.sessions.get(order.sessionId))?.outcome, "cancelled");
  } finally {
    await world.broadcast.close();
  }
});

test("what the law does not allow within the time is refused with the numbers, and no gateway hears of it", async () => {
  const world = await new World(2, { spanMs: 60_000 }).open();
  world.gateway.usedMs = 32_000;
  await world.tell();
  await assert.rejects(
    world.door.preview(
      world.image.id,
      world.devices.map(({ deviceId }) => deviceId),
      60_000,
    ),
    (error: AirliftError) => {
      assert.equal(error.code, "AIRTIME_OVER_BUDGET");
      assert.ok(Number(error.facts["neededMs"]) > Number(error.facts["allowedMs"]));
      return true;
    },
  );
  await world.campaign();
  await world.turn();
  assert.deepEqual(await world.orders(), []);
  const { items } = await scratch.stores.updates.list({ endpoint: world.devices[0]?.deviceId }, { limit: 1 });
  assert.match(
    items[0]?.sentence ?? "",
    /wants \d+\.\d s of airtime .* 868\.0-868\.6 allows 32\.4 s in each 3600\.0 s, 32\.0 s of it used/,
  );
});

test("a gateway that does not know the time is not trusted with one; when it does, the broadcast begins", async () => {
  const world = await new World(1).open();
  world.gateway.isClockTrusted = false;
  await world.tell();
  await world.campaign();
  await world.turn();
  assert.deepEqual(await world.orders(), []);
  assert.equal(
    await world.sentenceOf(0),
    `waiting: no gateway reaches cell of ${world.model}: ${world.gateway.id} does not know the time`,
  );
  world.gateway.isClockTrusted = true;
  await world.tell();
  await world.turn();
  assert.ok(transmitIn(await world.orders()));
});

test("a device that is silent after its broadcast is asked alone, some times, and then counts as silent", async () => {
  const { world, order } = await begun(2, { quietMs: 0 });
  const [talker, sleeper] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  await world.tell(world.gateway.event(talker.say("verified")), world.gateway.end(order));
  for (let i = 0; i < 7; i += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    await world.broadcast.sweep();
  }
  assert.equal(await world.stateOf(1), "silent");
  await world.orders();
  // Each time the manifest and the image, on request: whoever has them says so, whoever has not asks for them.
  assert.equal(sleeper.schedules.filter(({ updateAtMs }) => updateAtMs === 0).length, 10);
  assert.equal(talker.schedules.filter(({ updateAtMs }) => updateAtMs === 0).length, 0);
});

test("a group's new key reaches its devices before the next broadcast, and an order never holds a key at rest", async () => {
  const { world, order, name } = await begun(1);
  const [device] = world.devices as [ExampleMeshDevice];
  const oldKey = device.group?.key;
  device.version = [2, 0, 1];
  await world.tell(world.gateway.event(device.say("confirmed")), world.gateway.end(order));
  const [group] = (await scratch.stores.mesh.devices.groups()).filter(({ model }) => model === world.model);
  const rotated = await scratch.stores.mesh.devices.rotate(group?.id ?? "");
  assert.deepEqual([rotated.generation, rotated.keyCount], [2, 0]);
  await scratch.stores.updates.create({ endpoint: device.deviceId, imageId: world.image.id, by: "auto", apply: true });
  await world.broadcast.sweep();
  const next = transmitIn(await world.orders());
  assert.notDeepEqual(device.group?.key, oldKey);
  assert.equal(Buffer.from(device.group?.key ?? []).toString("hex"), next.pollChannel.key);
  // The content is the same for good: name, octets and key.
  assert.equal(next.parts[1]?.content.sha256, order.parts[1]?.content.sha256);
  assert.deepEqual(device.receive(name, await world.fileOf(name)), new Uint8Array(world.bytes));
});

test("a packet is the same by HTTP, by CoAP's path and in the gateway's file; parity can be asked for too", async () => {
  const { world, order, name } = await begun(1);
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

test("a broadcast that its gateway could not finish is repeated for those who lack the image, twice, and then given up with the reason", async () => {
  const { world, order } = await begun(2, { quietMs: 0 });
  const [complete, left] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  await world.tell(world.gateway.event(complete.say("verified")), world.gateway.end(order, "failed"));
  for (let round = 2; round <= 3; round += 1) {
    await world.broadcast.sweep();
    const again = transmitIn(await world.orders());
    assert.notEqual(again.sessionId, order.sessionId);
    assert.equal(again.deviceCount, 1);
    assert.match(
      await world.sentenceOf(1),
      new RegExp(`^waiting: broadcast ${again.sessionId} by ${world.gateway.id} begins`),
    );
    await world.tell(world.gateway.end(again, "failed"));
  }
  await world.broadcast.sweep();
  assert.equal(await world.stateOf(1), "failed connectionLost");
  assert.equal(await world.sentenceOf(1), "failed: 3 broadcasts did not bring the whole image; the last one failed");
  assert.equal(await world.stateOf(0), "waitingToApply");
  assert.equal(left.appliedName, undefined);
});

test("who says after the broadcast that packets are missing is asked to fetch them; if it cannot, it is in another broadcast", async () => {
  const { world, order } = await begun(2, { quietMs: 1 });
  const [complete, deaf] = world.devices as [ExampleMeshDevice, ExampleMeshDevice];
  await world.tell(world.gateway.event(complete.say("verified")), world.gateway.end(order));
  await world.tell(world.gateway.event(deaf.say("repairing", { deficit: 2, receivedCount: 60 })));
  await world.broadcast.sweep();
  // Asked when nothing was heard of it already, it may be in the next broadcast as soon as it says what it lacks.
  let again: readonly GatewayOrder[] = await world.orders();
  assert.equal(deaf.schedules.filter(({ updateAtMs }) => updateAtMs === 0).length, 2);
  await world.tell(world.gateway.event(deaf.say("suspended", { deficit: 2, receivedCount: 60 })));
  while (!again.some((one) => one.order.kind === "transmit")) {
    await world.broadcast.sweep();
    again = await world.orders();
  }
  assert.equal(transmitIn(again).deviceCount, 1);
  await world.tell(world.gateway.event(deaf.say("verified")), world.gateway.end(transmitIn(again)));
  assert.equal(await world.stateOf(1), "waitingToApply");
});

test("a broadcast has the campaign's download windows, and none of it is outside of them", async () => {
  const world = await new World(1, { spanMs: 3 * 3_600_000 }).open();
  await world.campaign({ windows: { download: [{ cron: "*/10 * * * *", for: "5m" }] } });
  // Whether a window is open now is the clock's affair: begun all the same, as a campaign would a moment later.
  const { endpoint } = { endpoint: world.devices[0]?.deviceId ?? "" };
  const [held] = (await scratch.stores.campaigns.list(undefined, { limit: 1 })).items;
  await scratch.stores.updates.create({
    endpoint,
    imageId: world.image.id,
    by: "auto",
    apply: false,
    campaign: { id: held?.campaign.id ?? "", wave: 0, attempt: 1 },
  });
  await world.broadcast.sweep();
  const { windows } = transmitIn(await world.orders());
  assert.ok(windows.length >= 17, `${windows.length} windows`);
  for (const { fromMs, untilMs } of windows) {
    assert.ok(untilMs - fromMs <= 5 * 60_000);
    assert.ok(fromMs % 600_000 < 5 * 60_000 && (untilMs % 600_000 || 600_000) <= 5 * 60_000);
  }
});

test("the broadcast of a gateway that was removed is over, and another gateway that reaches the cell takes its place", async () => {
  const { world, order } = await begun(1, { quietMs: 0 });
  const cell = `cell of ${world.model}`;
  await scratch.stores.mesh.gateways.remove(world.gateway.id);
  const next = new ExampleGateway(`${world.gateway.id}-next`);
  await scratch.stores.mesh.gateways.add({ id: next.id, cells: [cell] });
  await world.broadcast.report(next.id, next.batch());
  await world.broadcast.sweep();
  assert.deepEqual((await scratch.stores.mesh.sessions.get(order.sessionId))?.detail, "its gateway was removed");
  const again = transmitIn(await scratch.stores.mesh.gateways.openOrders(next.id, 0));
  assert.equal(again.deviceCount, 1);
});

test("a gateway does not begin while a neighbour that shares a cell broadcasts for others", async () => {
  const { world: first, order } = await begun(1, { quietMs: 3_600_000 });
  const second = await new World(1).open();
  const near = new ExampleGateway(`near-${second.gateway.id}`);
  const { gateways } = scratch.stores.mesh;
  await gateways.add({ id: near.id, cells: [`cell of ${first.model}`, `cell of ${second.model}`] });
  await second.broadcast.report(near.id, near.batch());
  second.gateway.isClockTrusted = false;
  await second.tell();
  await second.campaign();
  await second.turn();
  assert.match(await second.sentenceOf(0), new RegExp(`${near.id} shares a cell with ${first.gateway.id}, whose`));
  assert.deepEqual(await gateways.openOrders(near.id, 0), []);
  await first.tell(first.gateway.end(order));
  await first.broadcast.sweep();
  await second.broadcast.sweep();
  assert.equal(transmitIn(await gateways.openOrders(near.id, 0)).deviceCount, 1);
});

test("while nothing is done for a device, its update says what is true: on air, over and not heard, or no gateway", async () => {
  const { world, order } = await begun(1, { quietMs: 3_600_000 });
  const progress = {
    sessionId: order.sessionId,
    state: "streaming" as const,
    part: 1,
    tallies: [],
    airtimeMs: 5,
    deficits: [],
    nextAtMs: null,
  };
  await world.tell({ kind: "progress", progress });
  await world.broadcast.sweep();
  assert.match(await world.sentenceOf(0), /^waiting: broadcast \w+ by gw-\d+ is on air/);
  await world.tell(world.gateway.end(order));
  await world.broadcast.sweep();
  assert.match(await world.sentenceOf(0), /^waiting: broadcast \w+ has ended; nothing was heard of the device since/);
});

test("a label that comes again does not take back what the device said; in another group the device gets that group's key", async () => {
  const { world } = await begun(1);
  const [device] = world.devices as [ExampleMeshDevice];
  const again = (model: string) =>
    world.door.onboard({ payload: device.label, manufacturer: "ACME", model, version: "1.0.0", cell: "elsewhere" });
  device.version = [2, 0, 1];
  await world.tell(world.gateway.event(device.say("confirmed")));
  const { groupId, hasGroupKey } = await again(world.model);
  assert.equal(hasGroupKey, true);
  assert.equal((await scratch.stores.devices.get(device.deviceId))?.version, "2.0.1");
  const moved = await again(`${world.model}-B`);
  assert.notEqual(moved.groupId, groupId);
  assert.deepEqual([moved.hasGroupKey, moved.cell], [false, "elsewhere"]);
});

test("a gateway in a sub-band of which nothing is known yet is in nobody's way", async () => {
  const world = await new World(2).open();
  const ids = world.devices.map(({ deviceId }) => deviceId);
  const { gateways } = scratch.stores.mesh;
  await gateways.add({ id: "typo-1", cells: ["far"], band: "900-901" });
  assert.equal((await world.door.preview(world.image.id, ids, 86_400_000)).sessions[0]?.gatewayId, world.gateway.id);
  await gateways.remove("typo-1");
});

test("packets that are missing are those of the campaign's image, not of an earlier one", async () => {
  const { world, campaignId } = await begun(2);
  const [device] = world.devices as [ExampleMeshDevice];
  const deficits = async () => (await scratch.stores.mesh.sessions.broadcastOf(campaignId))?.deficits;
  assert.deepEqual(await deficits(), { none: 0, to4: 0, to16: 0, to64: 0, more: 0, unheard: 2 });
  await world.tell(world.gateway.event(device.say("receiving", { deficit: 9 })));
  await world.turn();
  assert.deepEqual(await deficits(), { none: 0, to4: 0, to16: 1, to64: 0, more: 0, unheard: 1 });
});

test("a gateway that sends in another sub-band than it is planned for takes no part, and its operator is told once", async () => {
  const world = await new World(1).open();
  const batch = () => {
    const { state, reports } = world.gateway.batch();
    return { state: { ...state, ledgers: state.ledgers.map((ledger) => ({ ...ledger, band: "wired" })) }, reports };
  };
  for (let i = 0; i < 2; i += 1)
    assert.equal((await world.broadcast.report(world.gateway.id, batch())).band, "868.0-868.6");
  await world.campaign();
  await world.turn();
  assert.deepEqual(await world.orders(), []);
  const why = `${world.gateway.id} sends in wired, and is planned for 868.0-868.6`;
  assert.equal(await world.sentenceOf(0), `waiting: no gateway reaches cell of ${world.model}: ${why}`);
  const { items } = await scratch.stores.events.list({}, { limit: 1000 });
  const told = items.filter(({ kind, facts }) => kind === "gateway.warning" && facts["gatewayId"] === world.gateway.id);
  assert.equal(told.length, 1);
});

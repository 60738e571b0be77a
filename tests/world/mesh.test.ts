/** Whole broadcasts with the real cores in virtual time: losses, power cuts, killed senders, clocks that jump, relays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PackedContent } from "@airlift/protocol/zmesh/packed-content";
import { subBandNamed } from "@airlift/protocol/zmesh/regions";
import { blockDigestsOf } from "@airlift/protocol/zmesh/release";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { rememberKeystreams } from "@airlift/sim/mesh/keystream-cache";
import type { LossModel } from "@airlift/sim/mesh/loss-model";
import { MeshWorld, type MeshWorldOptions, UPDATE_AT_MS } from "@airlift/sim/mesh/mesh-world";
import type { ReceiverPlan } from "@airlift/sim/mesh/receiver-node";
import { countViolations } from "@airlift/sim/mesh/sliding-window";
import { seeded } from "@airlift/sim/world";

const limit = subBandNamed("868.0-868.6")?.limit ?? assert.fail();
const DAY_MS = 24 * 3_600_000;
const independent = (loss: number): LossModel => ({ kind: "independent", loss });

interface Changes extends Partial<MeshWorldOptions> {
  readonly imageBytes?: number;
  /** The devices hold a manifest. */
  readonly isSigned?: boolean;
}

function createWorld(seed: number, changes: Changes): MeshWorld {
  const random = seeded(seed);
  const crypto = rememberKeystreams(zmeshCrypto);
  const image = Uint8Array.from({ length: changes.imageBytes ?? 2_000 }, () => random() * 256);
  const keys = { key: zmeshCrypto.randomBytes(16), iv: new Uint8Array(9) };
  const content = new PackedContent({ uri: "zdm/sw/ACME-TH-1", bytes: image, ...keys }, {}, crypto);
  const { chunkBytes, dataCount, end, digest } = content;
  const expected = {
    // As a manifest says it, without a CRC.
    profile: { lengthBytes: image.length, dataCount, chunkBytes, repairScheme: end.repairScheme },
    imageDigest: digest,
    blockDigests: blockDigestsOf(content, crypto),
  };
  const base = {
    ...(changes.isSigned && { expected }),
    content,
    image,
    crypto,
    random,
    limit,
    gapMs: 100,
    loss: 0.05,
    receivers: [],
  };
  return new MeshWorld({ ...base, ...changes });
}

/** Every device has the right image and says success, or says what went wrong; and the law was kept. */
function assertTruth(world: MeshWorld, seed: number): void {
  assert.deepEqual(world.wrongImages, [], `seed ${seed}`);
  for (const { id, record, completeAtMs } of world.nodes) {
    const isInstalled = record.state === "idle" && record.result === "success";
    assert.equal(isInstalled, completeAtMs !== undefined, `seed ${seed}, ${id}: ${JSON.stringify(record)}`);
    // Complete, but cancelled before anybody said when to apply it, and the cancel was lost: it waits for a command.
    if (record.state === "verified" && world.outcome === "cancelled") continue;
    assert.ok(record.state === "idle", `seed ${seed}, ${id} is ${record.state}`);
    if (!isInstalled)
      assert.ok(["connectionLost", "cancelled", "initial"].includes(record.result), `seed ${seed}, ${id}`);
  }
  assert.equal(countViolations(world.onAir, limit, 0.9 * limit.budgetMs), 0, `seed ${seed}`);
}

function randomReceiver(random: () => number): ReceiverPlan {
  const loss = random() * 0.2;
  const cutCount = random() < 0.5 ? 0 : 1 + Math.floor(random() * 4);
  return {
    losses: random() < 0.3 ? { kind: "bursty", loss: Math.max(0.02, loss), burst: 5 } : independent(loss),
    driftPpm: (random() - 0.5) * 200,
    ...(random() < 0.2 && { joinsAtMs: random() * 15_000 }),
    ...(random() < 0.2 && { hopCount: 1 }),
    ...(random() < 0.2 && { usesRepair: false }),
    ...(random() < 0.2 && { maxMissing: 4 }),
    cuts: Array.from({ length: cutCount }, () => ({
      afterOperations: Math.floor(random() * random() * 500),
      offMs: Math.floor(random() * 5_000),
    })),
    ...(random() < 0.2 && { clockJumps: [{ atMs: random() * 15_000, byMs: (random() - 0.5) * 4 * DAY_MS }] }),
  };
}

test("1000 seeds: the sender and the receivers die at random points, and every device ends with the right image or the truth", () => {
  let [cuts, kills, installed, devices] = [0, 0, 0, 0];
  for (let seed = 1; seed <= 1_000; seed += 1) {
    const random = seeded(seed * 7919);
    const killCount = random() < 0.5 ? 0 : 1 + Math.floor(random() * 3);
    const world = createWorld(seed, {
      imageBytes: 100 + Math.floor(random() * 2_900),
      receivers: Array.from({ length: 3 }, () => randomReceiver(random)),
      kills: Array.from({ length: killCount }, () => ({
        atMs: UPDATE_AT_MS + random() * 9_000,
        offMs: random() * 20_000,
      })),
      ...(random() < 0.1 && { cancelAtMs: UPDATE_AT_MS + random() * 8_000 }),
    });
    assert.equal(world.run(3 * DAY_MS), false, `seed ${seed} never comes to rest`);
    assertTruth(world, seed);
    kills += killCount;
    for (const node of world.nodes) {
      cuts += node.cutCount;
      devices += 1;
      if (node.completeAtMs !== undefined) installed += 1;
    }
  }
  // The test would prove nothing if little happened in it.
  assert.ok(cuts > 1_000 && kills > 700, `${cuts} cuts, ${kills} kills`);
  assert.ok(installed > 0.85 * devices, `${installed} of ${devices} installed`);
});

test("§8: with 100 devices and 5 % loss all are complete after parity, at most three polls, and few answers", () => {
  for (let seed = 1; seed <= 2; seed += 1) {
    const receivers = Array.from({ length: 100 }, () => ({ losses: independent(0.05) }));
    const world = createWorld(seed, { imageBytes: 9_600, receivers });
    world.run(DAY_MS);
    assertTruth(world, seed);
    assert.ok(world.nodes.every(({ completeAtMs }) => completeAtMs !== undefined));
    const { tally } = world;
    assert.ok(tally && tally.pollCount - 2 <= 3 && tally.answerCount <= 10, JSON.stringify(tally));
    assert.ok(tally.dataCount + tally.repairCount < 1.2 * 200, JSON.stringify(tally));
  }
});

test("§8: half the devices come late: the head is repeated, and parity is not spent on them", () => {
  const receivers = Array.from({ length: 20 }, (_, i) => ({
    losses: independent(0.05),
    ...(i % 2 === 0 && { joinsAtMs: UPDATE_AT_MS + 5_000 }),
  }));
  // What would tell a late device what is coming, before End does.
  const world = createWorld(4, { imageBytes: 9_600, receivers });
  world.run(DAY_MS);
  assertTruth(world, 4);
  assert.ok(world.nodes.every(({ completeAtMs }) => completeAtMs !== undefined));
  assert.ok((world.tally?.repairCount ?? 0) < 60, JSON.stringify(world.tally));
  assert.ok((world.tally?.dataCount ?? 0) > 200);
});

test("§5: behind two relays a broadcast arrives too", () => {
  const receivers = [0, 1, 2, 2].map((hopCount) => ({ losses: independent(0.03), hopCount }));
  const world = createWorld(5, { receivers, loss: 0.1 });
  world.run(DAY_MS);
  assertTruth(world, 5);
  assert.ok(world.nodes.every(({ completeAtMs }) => completeAtMs !== undefined));
});

/** Another octet; of Begin one of the CRC, which makes it a Begin all the same. */
const forged = (seq: number, payload: Uint8Array): Uint8Array =>
  payload.map((octet, i) => (seq > 0 || i === 5 ? octet ^ 1 : octet));

test("§6: somebody who knows the network key forges every other Begin and one packet in 400 for one device, and it gets its image all the same", () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const random = seeded(seed);
    const forge: MeshWorldOptions["forge"] = ({ payload, device, seq }) =>
      device === "device-0" && random() < (seq === 0 ? 1 / 2 : 1 / 400) ? forged(seq, payload) : payload;
    const receivers = Array.from({ length: 2 }, () => ({ losses: independent(0.05) }));
    const world = createWorld(seed, { imageBytes: 9_600, receivers, forge, isSigned: true });
    world.run(3 * DAY_MS);
    assert.deepEqual(world.wrongImages, [], `seed ${seed}`);
    for (const { record } of world.nodes) assert.equal(record.result, "success", `seed ${seed}`);
  }
});

/** Power cuts at every operation of the flash, counted first: the device boots a whole image, tells the truth, and gets there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { generateSigningKey, imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { Flash, type Loss, PowerCut } from "@airlift/sim/flash";
import { seeded } from "@airlift/sim/world";
import { createSlots, type Slots } from "./slots.ts";

const pair = generateSigningKey();
const signing = { crypto: imageCrypto, key: loadSigningKey(pair.privatePem) };
const trust = [loadPublicKey(pair.publicPem)];
const URI = "https://example.com/fw/2";

const image = (major: number): Uint8Array =>
  makeMcubootImage(
    Uint8Array.from({ length: 900 }, (_, i) => i * major),
    { version: { major, minor: 0, revision: 0, build: 0 }, securityCounter: major },
    signing,
  );
const OLD = image(1);
const NEW = image(2);

/** What an agent and its server do between two starts, whatever the state they find. Until a restart, or all is done. */
async function live(slots: Slots): Promise<"restart" | "done"> {
  const update = await slots.store.load();
  const { handlers, store } = slots;
  switch (update.state) {
    case "updating":
      await slots.confirm();
      await handlers.reset();
      return live(slots);
    case "downloaded":
      await store.save({ state: "updating", result: "initial", uri: URI });
      await handlers.performUpgrade();
      return "restart";
    case "idle":
      if (slots.version() === "2.0.0") return "done";
      await store.save({ state: "downloading", result: "initial", uri: URI, offset: 0 });
      return live(slots);
    case "downloading":
      if (update.offset === 0) await handlers.openStream({ uri: URI, etag: Uint8Array.of(7) });
      for (let offset = update.offset; offset < NEW.length; offset += 100) {
        await handlers.write(NEW.subarray(offset, offset + 100));
      }
      await handlers.finish();
      return live(slots);
  }
}

async function start(flash: Flash): Promise<Slots> {
  const slots = createSlots({ directory: flash, trust, persistEveryBytes: 250 });
  await slots.boot();
  return slots;
}

async function untilDone(flash: Flash): Promise<void> {
  while ((await live(await start(flash))) === "restart");
}

/** A device that runs OLD from slot a, having come from slot b, so that both slots have a history. */
async function device(): Promise<Flash> {
  const flash = new Flash();
  for (const bytes of [image(1), OLD]) {
    const slots = await start(flash);
    await slots.handlers.openStream({});
    await slots.handlers.write(bytes);
    await slots.handlers.finish();
    await slots.handlers.performUpgrade();
    await (await start(flash)).confirm();
  }
  flash.restart("kept");
  return flash;
}

/** What the slots say of themselves is what is on the flash. */
async function assertTruthful(flash: Flash, slots: Slots, where: string): Promise<void> {
  const { slot, isTrial } = slots.running();
  const running = Buffer.from(flash.peek(`${slot}/image`) ?? []);
  const other = Buffer.from(flash.peek(slot === "a" ? "b/image" : "a/image") ?? []);
  const isNew = slots.version() === "2.0.0";
  assert.ok(running.equals(isNew ? NEW : OLD), `${where}: not a whole image`);
  const update = await slots.store.load();
  const told = `${where}: ${JSON.stringify(update)}, new ${isNew}, trial ${isTrial}`;
  if (update.state === "updating") assert.ok(isTrial && isNew, told);
  else assert.ok(!isTrial, told);
  if (update.state === "idle" && update.uri === URI) assert.equal(update.result, isNew ? "success" : "failed", told);
  if (update.state === "idle" && update.uri !== URI) assert.ok(!isNew && update.result === "success", told);
  if (update.state === "downloaded") assert.ok(!isNew && other.equals(NEW), told);
  if (update.state === "downloading") {
    assert.ok(!isNew && other.subarray(0, update.offset).equals(NEW.subarray(0, update.offset)), told);
    if (update.offset > 0) assert.deepEqual(update.etag, Uint8Array.of(7), told);
  }
}

async function countOperations(): Promise<number> {
  const flash = await device();
  await untilDone(flash);
  return flash.operationCount;
}

async function cutAndRecover(cutAt: number, loss: Loss, where: string): Promise<void> {
  const flash = await device();
  flash.cutAt = cutAt;
  await assert.rejects(untilDone(flash), PowerCut, where);
  flash.restart(loss);
  const slots = await start(flash);
  await assertTruthful(flash, slots, where);
  await live(slots);
  await untilDone(flash);
  const done = await start(flash);
  assert.equal(done.version(), "2.0.0", where);
  await assertTruthful(flash, done, where);
}

test("a cut at any operation, with everything lost or everything kept that was not synced", async () => {
  const count = await countOperations();
  assert.ok(count > 50, `${count} operations`);
  for (const loss of ["lost", "kept"] as const) {
    for (let cutAt = 0; cutAt < count; cutAt += 1) await cutAndRecover(cutAt, loss, `cut ${cutAt}, ${loss}`);
  }
});

test("a cut at any operation, with torn and reordered writes", async () => {
  const count = await countOperations();
  for (let seed = 0; seed < 5; seed += 1) {
    for (let cutAt = 0; cutAt < count; cutAt += 1)
      await cutAndRecover(cutAt, seeded(seed), `cut ${cutAt}, seed ${seed}`);
  }
});

test("many cuts in one update, also in the recovery from another", async () => {
  for (let seed = 0; seed < 100; seed += 1) {
    const random = seeded(seed);
    const flash = await device();
    for (let cuts = 0; cuts < 8; cuts += 1) {
      flash.cutAt = Math.floor(random() * 60);
      try {
        await untilDone(flash);
      } catch (error) {
        assert.ok(error instanceof PowerCut, `seed ${seed}: ${error}`);
      }
      flash.restart(random);
      await assertTruthful(flash, await start(flash), `seed ${seed}, cut ${cuts}`);
    }
    await untilDone(flash);
    assert.equal((await start(flash)).version(), "2.0.0", `seed ${seed}`);
  }
});

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type McubootImageOptions, makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import type { Trust } from "@airlift/protocol/image/verify";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { generateSigningKey, imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { Flash } from "@airlift/sim/flash";
import { HandlerError, type SlotFiles } from "../ports.ts";
import { createSlots, type Slots, type SlotsOptions } from "./slots.ts";

const pair = generateSigningKey();
const key = loadSigningKey(pair.privatePem);
const trust: Trust = [loadPublicKey(pair.publicPem)];
const URI = "coap://example.com/fw/1";
const ETAG = Uint8Array.of(1, 2, 3);

function image(major: number, options: Partial<McubootImageOptions> = {}, sizeBytes = 700): Uint8Array {
  const payload = new Uint8Array(sizeBytes).fill(major);
  return makeMcubootImage(
    payload,
    { version: { major, minor: 0, revision: 0, build: 0 }, ...options },
    { crypto: imageCrypto, key },
  );
}

async function boot(flash: SlotFiles, options: Partial<SlotsOptions> = {}): Promise<Slots> {
  const slots = createSlots({ directory: flash, trust, persistEveryBytes: 200, ...options });
  await slots.boot();
  return slots;
}

async function download(slots: Slots, bytes: Uint8Array, fromOffset = 0): Promise<void> {
  if (fromOffset === 0) await slots.handlers.openStream({ uri: URI, etag: ETAG });
  for (let offset = fromOffset; offset < bytes.length; offset += 64) {
    await slots.handlers.write(bytes.subarray(offset, offset + 64));
  }
  await slots.handlers.finish();
}

/** Download, switch, restart, confirm. */
async function install(flash: SlotFiles, bytes: Uint8Array, options: Partial<SlotsOptions> = {}): Promise<Slots> {
  const before = await boot(flash, options);
  await download(before, bytes);
  assert.equal(await before.handlers.performUpgrade(), "restarting");
  const slots = await boot(flash, options);
  await slots.confirm();
  return slots;
}

const refuses = (slots: Slots, bytes: Uint8Array, result: HandlerError["result"]) =>
  assert.rejects(
    async () => download(slots, bytes),
    (error) => error instanceof HandlerError && error.result === result,
  );

test("an update goes into the other slot, runs on trial, and stays once it is confirmed", async () => {
  const flash = new Flash();
  const slots = await boot(flash, { factoryVersion: "0.9.0" });
  assert.equal(slots.version(), "0.9.0");
  await download(slots, image(1));
  assert.equal(await slots.handlers.packageVersion?.(), "1.0.0");
  assert.deepEqual(await slots.store.load(), { state: "downloaded", result: "initial" });
  assert.equal(slots.version(), "0.9.0");
  await slots.handlers.performUpgrade();

  const next = createSlots({ directory: flash, trust });
  assert.deepEqual(await next.boot(), { slot: "b", outcome: "trial" });
  assert.equal(next.version(), "1.0.0");
  assert.deepEqual(await next.store.load(), { state: "updating", result: "initial" });
  await next.confirm();
  await next.confirm();
  assert.deepEqual(next.running(), { slot: "b", isTrial: false, isFactory: false });
  assert.deepEqual(await next.store.load(), { state: "idle", result: "success" });
  await next.handlers.reset();

  const later = createSlots({ directory: flash, trust });
  assert.deepEqual(await later.boot(), { slot: "b", outcome: "unchanged" });
  assert.deepEqual(await later.store.load(), { state: "idle", result: "success" });
  assert.equal((await install(flash, image(2))).running().slot, "a");
});

test("an image that is not confirmed by the following start falls back, and the device says so", async () => {
  const flash = new Flash();
  await install(flash, image(1));
  const slots = await boot(flash);
  await slots.store.save({ state: "downloading", result: "initial", uri: URI, offset: 0 });
  await download(slots, image(2));
  await slots.handlers.performUpgrade();
  assert.equal((await boot(flash)).version(), "2.0.0");
  const after = createSlots({ directory: flash, trust });
  assert.deepEqual(await after.boot(), { slot: "b", outcome: "fellBack" });
  assert.equal(after.version(), "1.0.0");
  assert.deepEqual(await after.store.load(), { state: "idle", result: "failed", uri: URI });
  assert.equal((await install(flash, image(3))).version(), "3.0.0");
});

test("an image on trial is neither overwritten nor reset", async () => {
  const flash = new Flash();
  const slots = await boot(flash);
  await download(slots, image(1));
  await slots.handlers.performUpgrade();
  const trial = await boot(flash);
  await assert.rejects(async () => trial.handlers.openStream({}), { name: "HandlerError", result: "noFlash" });
  await trial.handlers.reset();
  await trial.confirm();
  assert.equal((await boot(flash)).version(), "1.0.0");
});

test("a download goes on after a restart at the last octet that was made durable", async () => {
  const flash = new Flash();
  const bytes = image(1);
  const slots = await boot(flash);
  await slots.store.save({ state: "downloading", result: "initial", uri: URI, offset: 0 });
  await slots.handlers.openStream({ uri: URI, etag: ETAG });
  for (let offset = 0; offset < 500; offset += 50) await slots.handlers.write(bytes.subarray(offset, offset + 50));
  flash.restart("lost");
  const next = await boot(flash);
  const update = await next.store.load();
  assert.deepEqual(update, { state: "downloading", result: "initial", uri: URI, offset: 400, etag: ETAG });
  await download(next, bytes, 400);
  assert.equal(await next.handlers.packageVersion?.(), "1.0.0");
});

test("nothing of what was written after the last durable octet remains in the image", async () => {
  const flash = new Flash();
  const options = { trust: "allow-unsigned" } as const;
  const slots = await boot(flash, options);
  await slots.store.save({ state: "downloading", result: "initial", uri: URI, offset: 0 });
  await slots.handlers.openStream({ uri: URI });
  for (let offset = 0; offset < 500; offset += 50) await slots.handlers.write(new Uint8Array(50));
  flash.restart("kept");
  const next = await boot(flash, options);
  await next.handlers.write(Uint8Array.of(1));
  await next.handlers.finish();
  assert.equal(flash.peek("b/image")?.length, 401);
});

test("reset forgets a download in every state, and what was there before it", async () => {
  const flash = new Flash();
  const slots = await boot(flash);
  await slots.handlers.reset();
  await slots.handlers.openStream({ uri: URI });
  await slots.handlers.write(image(1).subarray(0, 300));
  await slots.handlers.reset();
  await slots.handlers.reset();
  assert.equal(flash.peek("b/image"), undefined);
  await assert.rejects(async () => slots.handlers.write(Uint8Array.of(1)), { code: "STREAM_CLOSED" });
  await download(slots, image(1));
  await slots.handlers.reset();
  assert.equal(await slots.handlers.packageVersion?.(), undefined);
  await assert.rejects(async () => slots.handlers.performUpgrade(), { code: "NOTHING_DOWNLOADED" });
});

test("a cancelled download is forgotten even when the power goes before the reset", async () => {
  const flash = new Flash();
  const slots = await boot(flash);
  await download(slots, image(1));
  await slots.store.save({ state: "idle", result: "cancelled", uri: URI });
  flash.restart("kept");
  const next = await boot(flash);
  assert.deepEqual(await next.store.load(), { state: "idle", result: "cancelled", uri: URI });
  assert.equal(flash.peek("b/image"), undefined);
});

test("an update that the power kept from switching can be tried again", async () => {
  const flash = new Flash();
  const slots = await boot(flash);
  await download(slots, image(1));
  await slots.store.save({ state: "updating", result: "initial" });
  flash.restart("kept");
  const next = await boot(flash);
  assert.deepEqual(await next.store.load(), { state: "downloaded", result: "failed" });
  await next.handlers.performUpgrade();
  assert.equal((await boot(flash)).version(), "1.0.0");
});

test("images that do not belong here are refused before they count as downloaded, with the reason", async () => {
  const flash = new Flash();
  const slots = await install(flash, image(1, { securityCounter: 5 }));
  const stranger = { crypto: imageCrypto, key: loadSigningKey(generateSigningKey().privatePem) };
  const version = { major: 9, minor: 0, revision: 0, build: 0 };
  const counted = { version, securityCounter: 9 };
  const broken = image(9, { securityCounter: 9 });
  broken[100] = 0;
  await refuses(slots, broken, "integrityFailed");
  await refuses(slots, makeMcubootImage(broken, counted, stranger), "integrityFailed");
  await refuses(slots, makeMcubootImage(broken, counted, { crypto: imageCrypto }), "integrityFailed");
  await refuses(slots, new Uint8Array(300).fill(1), "integrityFailed");
  await refuses(slots, broken.subarray(0, 300), "integrityFailed");
  await refuses(slots, new Uint8Array(0), "unsupportedPackage");
  await refuses(slots, image(9, { securityCounter: 4 }), "unsupportedPackage");
  await refuses(slots, image(9), "unsupportedPackage");
  const needsOther = { securityCounter: 9, dependencies: [{ imageIndex: 1, version }] };
  await refuses(slots, image(9, needsOther), "unsupportedPackage");
  assert.equal(flash.peek("a/image"), undefined);
  assert.deepEqual(await slots.store.load(), { state: "idle", result: "success" });
  const withOther = await boot(flash, { otherImages: new Map([[1, version]]) });
  await download(withOther, image(9, needsOther));
});

test("raw files need leave, and say their version where the integrator can read it", async () => {
  const raw = new TextEncoder().encode("version 7.1 of a raw file");
  const describe: SlotsOptions["describe"] = async ({ reader }) => ({
    version: Buffer.from(await reader.read(8, 3)).toString(),
  });
  assert.equal((await install(new Flash(), raw, { trust: "allow-unsigned", describe })).version(), "7.1");
  const slots = await install(new Flash(), raw, { trust: "allow-unsigned" });
  assert.match(slots.version(), /^sha256:[0-9a-f]{12}$/);
});

test("a medium that is full, or an image above the limit, is noFlash, and a smaller image fits afterwards", async () => {
  const flash = new Flash(4_000);
  await install(flash, image(1));
  for (const options of [{}, { maxImageBytes: 1_500 }]) {
    const slots = await boot(flash, options);
    await refuses(slots, image(2, {}, 4_000), "noFlash");
    await slots.handlers.reset();
    await download(slots, image(2));
    await slots.handlers.reset();
  }
});

test("a device whose medium refuses every write boots the image it has, and tries the new one when it can", async () => {
  const flash = new Flash();
  const slots = await boot(flash, { factoryVersion: "0.9.0" });
  await download(slots, image(1));
  await slots.handlers.performUpgrade();
  const full = Object.create(flash, {
    open: {
      value: async (name: string, how: "read" | "update" | "create") => {
        if (how === "create") throw new EnvironmentError("NO_SPACE", "full");
        return flash.open(name, how);
      },
    },
    rename: { value: flash.rename.bind(flash) },
    unlink: { value: flash.unlink.bind(flash) },
    syncFolderOf: { value: flash.syncFolderOf.bind(flash) },
  });
  const stuck = createSlots({ directory: full, trust, factoryVersion: "0.9.0" });
  assert.deepEqual(await stuck.boot(), { slot: "a", outcome: "postponed" });
  assert.equal(stuck.version(), "0.9.0");
  assert.deepEqual(await stuck.store.load(), { state: "downloaded", result: "failed" });
  await assert.rejects(async () => stuck.handlers.performUpgrade(), { name: "HandlerError", result: "noFlash" });
  assert.equal((await boot(flash)).version(), "1.0.0");
  assert.equal((await boot(full, { factoryVersion: "0.9.0" })).version(), "0.9.0");
});

test("an image that rots before its first start never runs; an active one that rots is replaced by the other", async () => {
  const flash = new Flash();
  const rot = (bytes: Uint8Array) => bytes.fill(0, 50, 60);
  await install(flash, image(1));
  const slots = await boot(flash);
  await download(slots, image(2));
  await slots.handlers.performUpgrade();
  flash.poke("a/image", rot);
  const next = createSlots({ directory: flash, trust });
  assert.deepEqual(await next.boot(), { slot: "b", outcome: "refused" });
  assert.deepEqual(await next.store.load(), { state: "idle", result: "integrityFailed" });

  await install(flash, image(3));
  flash.poke("a/image", rot);
  const rescued = createSlots({ directory: flash, trust });
  assert.deepEqual(await rescued.boot(), { slot: "b", outcome: "rescued" });
  assert.equal(rescued.version(), "1.0.0");
  flash.poke("b/image", rot);
  await assert.rejects(boot(flash), { name: "EnvironmentError", code: "NO_BOOTABLE_IMAGE" });
});

test("a new image that was not confirmed runs on when the old one has rotted meanwhile", async () => {
  const flash = new Flash();
  await install(flash, image(1));
  const slots = await boot(flash);
  await download(slots, image(2));
  await slots.handlers.performUpgrade();
  assert.equal((await boot(flash)).version(), "2.0.0");
  flash.poke("b/image", (bytes) => bytes.fill(0, 50, 60));
  const rescued = createSlots({ directory: flash, trust });
  assert.deepEqual(await rescued.boot(), { slot: "a", outcome: "rescued" });
  assert.deepEqual(rescued.running(), { slot: "a", isTrial: false, isFactory: false });
  assert.equal((await boot(flash)).version(), "2.0.0");
});

test("a rotten image does not bring back one that a higher security counter has shut out", async () => {
  const flash = new Flash();
  await install(flash, image(1, { securityCounter: 1 }));
  await install(flash, image(2, { securityCounter: 2 }));
  flash.poke("a/image", (bytes) => bytes.fill(0, 50, 60));
  await assert.rejects(boot(flash), { code: "NO_BOOTABLE_IMAGE" });
});

test("a record that rots gives way to the one before; two that rot are told", async () => {
  const flash = new Flash();
  await install(flash, image(1));
  const spoil = (bytes: Uint8Array) => bytes.fill(0x20, 3, 9);
  const slots = await boot(flash);
  await slots.store.save({ state: "idle", result: "cancelled" });
  const newest = /"generation":(\d+)/;
  const names = ["state-0", "state-1"].sort((a, b) => {
    const generation = (name: string) => Number(newest.exec(Buffer.from(flash.peek(name) ?? []).toString())?.[1]);
    return generation(b) - generation(a);
  });
  flash.poke(names[0] ?? "", spoil);
  assert.deepEqual(await (await boot(flash)).store.load(), { state: "idle", result: "success" });
  for (const name of names) flash.poke(name, spoil);
  const lost = createSlots({ directory: flash, trust });
  assert.deepEqual(await lost.boot(), { slot: "a", outcome: "forgot" });
});

test("nothing works before boot, and boot works once", async () => {
  const slots = createSlots({ directory: new Flash(), trust });
  await assert.rejects(slots.store.load(), { code: "SLOTS_NOT_BOOTED" });
  await slots.boot();
  await assert.rejects(slots.boot(), { code: "SLOTS_BOOTED" });
});

test("on a real file system: update, fall back, update again", async () => {
  const directory = mkdtempSync(join(tmpdir(), "airlift-slots-"));
  try {
    const files = join(directory, "slots") as unknown as SlotFiles;
    assert.equal((await install(files, image(1))).version(), "1.0.0");
    const slots = await boot(files);
    await download(slots, image(2));
    await slots.handlers.performUpgrade();
    assert.equal((await boot(files)).version(), "2.0.0");
    assert.equal((await boot(files)).version(), "1.0.0");
    assert.equal((await install(files, image(3))).version(), "3.0.0");
    const resumed = await boot(files);
    await resumed.store.save({ state: "downloading", result: "initial", uri: URI, offset: 0 });
    await resumed.handlers.openStream({ uri: URI });
    await resumed.handlers.write(image(4).subarray(0, 640));
    const next = await boot(files);
    assert.equal(((await next.store.load()) as { offset: number }).offset, 640);
    await download(next, image(4), 640);
    assert.equal(await next.handlers.packageVersion?.(), "4.0.0");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

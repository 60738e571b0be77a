/** Deltas from the store to a device: one that decodes them runs the new image, one that cannot gets the whole of it. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import { createSlots, type SlotsOptions } from "@airlift/device/node/slots";
import { createZstdDecoder } from "@airlift/device/node/zstd-decoder";
import type { Delta } from "@airlift/protocol/api/schemas";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { generateSigningKey, imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { encodeZstdDelta } from "@airlift/runtime/zstd-delta";
import { openUpdateStage, type UpdateStage } from "./update-stage.ts";

const pair = generateSigningKey();
const body = randomBytes(60_000);
const imageOf = (major: number): Uint8Array =>
  makeMcubootImage(
    Uint8Array.from(body).fill(major, 0, 16),
    { version: { major, minor: 0, revision: 0, build: 0 } },
    { crypto: imageCrypto, key: loadSigningKey(pair.privatePem) },
  );
const [OLD, NEW] = [imageOf(1), imageOf(2)];

let stage: UpdateStage;
let ids: { readonly old: string; readonly wanted: string };
let delta: Delta;
const folder = mkdtempSync(join(tmpdir(), "airlift-delta-"));
const closers: (() => Promise<void>)[] = [];

before(async () => {
  stage = await openUpdateStage();
  const add = async (version: string, bytes: Uint8Array) => {
    const name = { manufacturer: "Example", model: "Meter", version, hardware: [] };
    return await stage.stores.images.add(Readable.from([bytes]), name);
  };
  ids = { old: (await add("1.0.0", OLD)).image.id, wanted: (await add("2.0.0", NEW)).image.id };
  const added = (await add("2.0.0", encodeZstdDelta(OLD, NEW))).delta;
  assert.ok(added);
  delta = added;
});

after(async () => {
  for (const close of closers) await close();
  await stage.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
});

/** A device that starts again whenever it wants to; it came with 0.9.0. */
async function startDevice(endpoint: string, more: Partial<SlotsOptions>): Promise<{ image(): Promise<string> }> {
  let agent: UpdateAgent;
  let restarts: Promise<void> = Promise.resolve();
  let version = "";
  const start = async (): Promise<void> => {
    const trust = [loadPublicKey(pair.publicPem)];
    const slots = createSlots({ directory: join(folder, endpoint), trust, factoryVersion: "0.9.0", ...more });
    await slots.boot();
    version = slots.version();
    const mine = createUpdateAgent({
      endpoint,
      server: `coap://127.0.0.1:${stage.server.address.port}`,
      slots,
      identity: { manufacturer: "Example", model: "Meter", serialNumber: endpoint, firmwareVersion: version },
      upgradeDelayMs: 0,
      reboot: () => {
        restarts = restarts.then(() => mine.close({ saysGoodbye: false })).then(start);
      },
    });
    agent = mine;
    await mine.start();
  };
  await start();
  closers.push(async () => {
    await restarts;
    await agent.close();
  });
  return {
    async image() {
      await restarts;
      return version;
    },
  };
}

/** What the timeline says of an update, oldest first. */
const timeline = async (updateId: string): Promise<string[]> => {
  const { items } = await stage.stores.events.list({ updateId }, { limit: 200 });
  return items.map(({ sentence }) => sentence).reverse();
};

const update = async (endpoint: string, imageId: string) =>
  await stage.reaches(await stage.update(endpoint, { imageId, delta: true }));

test("a device that runs the base is sent the delta, and runs the new image", async () => {
  const device = await startDevice("decodes", { decoders: [createZstdDecoder()] });
  const first = await update("decodes", ids.old);
  assert.equal(first.state, "succeeded", first.sentence);
  assert.equal(first.totalBytes, OLD.length);
  const whole = "bytes over coap: the whole image, as there is no delta from 0.9.0, which it runs";
  assert.ok((await timeline(first.id)).some((sentence) => sentence.endsWith(whole)));
  const second = await update("decodes", ids.wanted);
  assert.equal(second.state, "succeeded", second.sentence);
  assert.equal(await device.image(), "2.0.0");
  assert.deepEqual([first.deltaId, second.deltaId], [null, delta.id]);
  assert.deepEqual([second.totalBytes, second.acknowledgedBytes], [delta.sizeBytes, delta.sizeBytes]);
  assert.ok(delta.sizeBytes < NEW.length / 20, `${delta.sizeBytes} of ${NEW.length}`);
  assert.match(second.packageUri ?? "", new RegExp(`/fw/${delta.id}\\?`));
  const told = `told the device to fetch ${delta.sizeBytes} bytes over coap: the delta from 1.0.0, which it runs`;
  assert.ok((await timeline(second.id)).includes(told));
});

test("a device that knows no deltas refuses it and gets the whole image in the same update", async () => {
  const device = await startDevice("plain", {});
  assert.equal((await update("plain", ids.old)).state, "succeeded");
  const second = await update("plain", ids.wanted);
  assert.equal(second.state, "succeeded", second.sentence);
  assert.equal(await device.image(), "2.0.0");
  assert.deepEqual([second.deltaId, second.totalBytes], [null, NEW.length]);
  const sentences = await timeline(second.id);
  assert.ok(
    sentences.some((sentence) => /did not take the delta: .*\(Update Result 5\); sending it the/.test(sentence)),
  );
  const whole = "the whole image, as it refused the delta with Update Result 5";
  assert.ok(
    sentences.includes(`told the device to fetch ${NEW.length} bytes over coap: ${whole}`),
    sentences.join("\n"),
  );
});

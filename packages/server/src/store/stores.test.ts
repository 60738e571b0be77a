import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import type { Event } from "@airlift/protocol/api/schemas";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { exampleRegistration, openScratchStores, type ScratchStores } from "./scratch-stores.ts";
import { openStores } from "./stores.ts";

let scratch: ScratchStores;
before(async () => {
  scratch = await openScratchStores();
});
after(() => scratch.close());

const name = (version: string) => ({ manufacturer: "Example", model: "Sensor", version, hardware: ["a", "b"] });
const bytes = (fill: number, length = 300_000) => new Uint8Array(length).fill(fill);
const add = async (version: string, content: Uint8Array) =>
  await scratch.stores.images.add(Readable.from([content]), name(version));
const refusedWith = (code: string) => (error: unknown) => error instanceof UsageError && error.code === code;

describe("images", () => {
  test("the same bytes under the same name are one image; other bytes under that name are refused", async () => {
    const first = await add("1.0.0", bytes(1));
    assert.equal(first.isNew, true);
    assert.equal(first.image.sizeBytes, 300_000);
    assert.deepEqual(first.image.hardware, ["a", "b"]);
    assert.deepEqual(await add("1.0.0", bytes(1)), { image: first.image, isNew: false });
    await assert.rejects(add("1.0.0", bytes(2)), refusedWith("IMAGE_CONFLICT"));
    const twin = await add("1.0.1", bytes(1));
    assert.equal(twin.image.sha256, first.image.sha256);
    assert.notEqual(twin.image.id, first.image.id);
  });

  test("two uploads of the same image at once make one", async () => {
    const both = await Promise.all([add("1.1.0", bytes(3)), add("1.1.0", bytes(3))]);
    assert.deepEqual(both.map(({ isNew }) => isNew).sort(), [false, true]);
  });

  test("an empty, an oversized and a broken-off upload are told apart, and leave no file", async () => {
    const before = await readdir(join(scratch.folder, "images"));
    await assert.rejects(add("2.0.0", new Uint8Array(0)), refusedWith("IMAGE_EMPTY"));
    await assert.rejects(add("2.0.0", bytes(1, 2 ** 20 + 1)), refusedWith("IMAGE_TOO_LARGE"));
    const cut = new Readable({ read() {} });
    cut.push(bytes(1));
    setImmediate(() => cut.destroy(new Error("connection reset")));
    await assert.rejects(scratch.stores.images.add(cut, name("2.0.0")), { code: "UPLOAD_CUT" });
    assert.deepEqual(await readdir(join(scratch.folder, "images")), before);
  });

  test("a source reads any range, and sequential blocks come from memory", async () => {
    const content = Uint8Array.from({ length: 200_001 }, (_, i) => (i * 7) ^ (i >> 8));
    const { image } = await add("3.0.0", content);
    const source = await scratch.stores.images.openSource(image.id);
    assert.ok(source);
    assert.equal(source.etag.length, 8);
    assert.equal(Buffer.from(source.etag).toString("hex"), image.sha256.slice(0, 16));
    let waited = 0;
    for (let offset = 0; offset < content.length; offset += 1024) {
      const block = source.read(offset, 1024);
      if (block instanceof Promise) waited += 1;
      assert.deepEqual(Buffer.from(await block), Buffer.from(content.subarray(offset, offset + 1024)));
      // Gives the read ahead the turn of the event loop that a network would.
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(waited <= 4, `${waited} of 196 reads waited`);
    assert.deepEqual(Buffer.from(await source.read(65_000, 70_000)), Buffer.from(content.subarray(65_000, 135_000)));
    assert.equal((await source.read(200_001, 10)).length, 0);
    assert.equal(await scratch.stores.images.openSource("0".repeat(16)), undefined);
  });

  test("lists page from the newest on", async () => {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await scratch.stores.images.list({ cursor, limit: 2 });
      seen.push(...page.items.map((image) => image.version));
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    assert.deepEqual(seen, ["3.0.0", "1.1.0", "1.0.1", "1.0.0"]);
    await assert.rejects(scratch.stores.images.list({ cursor: "%", limit: 2 }), refusedWith("CURSOR"));
  });
});

describe("devices", () => {
  test("registrations come back as they were saved, the newest of each endpoint", async () => {
    const { devices } = scratch.stores;
    const registrations = Array.from({ length: 2500 }, (_, n) =>
      exampleRegistration(`many-${`${n}`.padStart(5, "0")}`),
    );
    devices.queueSave(registrations);
    const moved = exampleRegistration("many-00007", {
      address: "[2001:db8::7]:5683",
      presence: "expired",
      queueMode: true,
    });
    devices.queueSave([moved]);
    await devices.flush();
    const loaded = new Map((await devices.loadRegistrations()).map((one) => [one.endpoint, one]));
    assert.equal(loaded.size, 2500);
    assert.deepEqual(loaded.get(moved.endpoint), moved);
    const last = registrations[2499];
    assert.deepEqual(last && loaded.get(last.endpoint), last);
  });

  test("a report changes what it names and keeps the rest; one device's odd text does not stop the others", async () => {
    const { devices } = scratch.stores;
    const firmware = {
      state: 0,
      result: 1,
      packageName: null,
      packageVersion: "odd \0 \ud800",
      protocols: [0, 2],
      deliveryMethod: 2,
    };
    devices.queueSave([exampleRegistration("odd\0name"), exampleRegistration("plain", { lifetimeS: Number.NaN })]);
    devices.queueSave([exampleRegistration("reports")]);
    devices.queueReport({ endpoint: "reports", manufacturer: "Example", version: "1.0.0" });
    devices.queueReport({ endpoint: "reports", version: "1.1.0", model: undefined, firmware });
    await devices.flush();
    const device = await devices.get("reports");
    assert.deepEqual([device?.manufacturer, device?.model, device?.version], ["Example", null, "1.1.0"]);
    assert.deepEqual(device?.firmware, { ...firmware, packageVersion: "odd  \ufffd" });
    devices.queueReport({ endpoint: "reports", firmware: null });
    await devices.flush();
    assert.deepEqual(await devices.get("reports"), { ...device, firmware: null });
    assert.equal((await devices.get("oddname"))?.endpoint, "oddname");
    assert.equal(await devices.get("plain"), undefined);
  });
});

describe("updates", () => {
  const order = async (endpoint: string) => ({
    endpoint,
    imageId: (await add("1.0.0", bytes(1))).image.id,
    by: "auto" as const,
    apply: true,
  });

  test("one endpoint has one unfinished update, also when two are asked for at once", async () => {
    const { updates } = scratch.stores;
    const wanted = await order("busy");
    const both = await Promise.allSettled([updates.create(wanted), updates.create(wanted)]);
    assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    const refused = both.find((one) => one.status === "rejected");
    assert.ok(refusedWith("UPDATE_RUNNING")(refused?.reason));
    const [update] = (await updates.list({ endpoint: "busy" }, { limit: 10 })).items;
    assert.ok(update);
    await updates.transition(update.id, { state: "cancelled", sentence: "cancelled by the operator" });
    await updates.create(wanted);
    await assert.rejects(updates.create({ ...wanted, imageId: "f".repeat(16) }), refusedWith("UNKNOWN_IMAGE"));
  });

  test("a transition and its event are there together, in order, and on the live feed; the end is final", async () => {
    const { updates, events } = scratch.stores;
    const heard: Event[] = [];
    const stop = events.subscribe((event) => heard.push(event));
    const update = await updates.create(await order("steps"));
    assert.deepEqual([update.state, update.totalBytes, update.finishedAt], ["queued", 300_000, null]);
    await updates.transition(update.id, { state: "transferring", method: "pull", sentence: "the device downloads" });
    await updates.transition(update.id, { sentence: "the device is slow", facts: { rateBps: 12 } });
    updates.queueProgress(update.id, 1024);
    updates.queueProgress(update.id, 2048);
    await updates.flush();
    assert.equal((await updates.get(update.id))?.acknowledgedBytes, 2048);
    updates.queueProgress(update.id, 4096);
    const failed = await updates.transition(update.id, {
      state: "failed",
      failure: "integrityFailed",
      sentence: "the device says: integrity check failed",
    });
    assert.equal(failed.failure, "integrityFailed");
    assert.equal(failed.method, "pull");
    assert.ok(failed.finishedAt);
    await assert.rejects(
      updates.transition(update.id, { state: "applying", sentence: "too late" }),
      refusedWith("UPDATE_FINISHED"),
    );
    await assert.rejects(updates.transition("nobody", { sentence: "who" }), refusedWith("UNKNOWN_UPDATE"));
    stop();
    const kinds = ["update.transition", "update.transition", "update.note", "update.transition"];
    const stored = await events.after({ updateId: update.id }, 100);
    assert.deepEqual(
      stored.map((event) => event.kind),
      kinds,
    );
    assert.deepEqual(
      stored.map((event) => event.facts["state"]),
      ["queued", "transferring", "transferring", "failed"],
    );
    assert.deepEqual(
      heard.filter((event) => event.kind !== "update.progress"),
      stored,
    );
    assert.equal(heard.find((event) => event.kind === "update.progress")?.facts["acknowledgedBytes"], 2048);
    assert.equal(
      (await updates.unfinished()).some((one) => one.update.id === update.id),
      false,
    );
  });

  test("a thousand changes at once keep the order of ids on the feed, and a failing one takes no other with it", async () => {
    const { events, updates } = scratch.stores;
    const ids: number[] = [];
    const stop = events.subscribe((event) => ids.push(event.id));
    const appended = Array.from({ length: 1000 }, (_, n) =>
      n % 100 === 50
        ? updates.transition("nobody", { sentence: "who" })
        : events.append({ kind: "device.reported", endpoint: "crowd", sentence: `report ${n}` }),
    );
    const settled = await Promise.allSettled(appended);
    stop();
    assert.equal(settled.filter(({ status }) => status === "rejected").length, 10);
    assert.deepEqual(
      ids,
      ids.toSorted((a, b) => a - b),
    );
    assert.equal(ids.length, 990);
    const page = await events.list({ endpoint: "crowd" }, { limit: 3 });
    assert.deepEqual(
      page.items.map(({ sentence }) => sentence),
      ["report 999", "report 998", "report 997"],
    );
    assert.equal((await events.after({ afterId: ids.at(-2) }, 10)).length, 1);
    assert.equal(await events.newestId(), ids.at(-1));
  });
});

test("a key of a request is taken once, answers again with the same, and refuses another request", async () => {
  const { idempotency } = scratch.stores;
  assert.deepEqual(await idempotency.claim("key", "one"), { kind: "mine" });
  assert.deepEqual(await idempotency.claim("key", "one"), { kind: "running" });
  const answer = { status: 201, contentType: "application/json", body: "{}", headers: { etag: '"1"' } };
  await idempotency.keep("key", answer);
  assert.deepEqual(await idempotency.claim("key", "one"), { kind: "kept", answer });
  assert.deepEqual(await idempotency.claim("key", "two"), { kind: "otherRequest" });
  await idempotency.claim("failed", "one");
  await idempotency.release("failed");
  assert.deepEqual(await idempotency.claim("failed", "two"), { kind: "mine" });
});

test("while the database is away calls say so and registrations wait; when it is back all is written", async (t) => {
  const troubles: string[] = [];
  const away = await openScratchStores({ batches: { retryMs: [5, 20] }, onTrouble: (what) => troubles.push(what) });
  t.after(() => away.close());
  const { stores, database } = away;
  await database.pause();
  const isAway = (error: unknown) => error instanceof EnvironmentError && error.code === "DATABASE_AWAY";
  await assert.rejects(stores.ping(), isAway);
  await assert.rejects(stores.events.append({ kind: "device.registered", sentence: "hello" }), isAway);
  await assert.rejects(stores.images.add(Readable.from([bytes(9)]), name("9.0.0")), isAway);
  assert.deepEqual(await readdir(join(away.folder, "images")), []);
  stores.devices.queueSave([exampleRegistration("waits")]);
  await assert.rejects(stores.devices.flush(), isAway);
  assert.ok(troubles.includes("batchFailed"));
  await database.resume();
  await stores.devices.flush();
  assert.equal((await stores.devices.get("waits"))?.endpoint, "waits");
  await stores.ping();
});

test("a data folder that cannot be made is one clear error", async () => {
  const dataDir = join(scratch.folder, "a-file");
  await writeFile(dataDir, "");
  const inspect = () => ({ format: "raw" as const, signature: null, securityCounter: null });
  await assert.rejects(
    openStores({ dataDir, databaseUrl: scratch.database.url, maxImageBytes: 1, inspect }),
    (error) => error instanceof EnvironmentError && error.code === "DATA_FOLDER",
  );
});

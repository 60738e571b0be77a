import assert from "node:assert/strict";
import { test } from "node:test";
import type { Image, Update } from "@airlift/protocol/api/schemas";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { pino } from "pino";
import { newSnapshot, type RequestOutcome } from "../delivery/driver-messages.ts";
import type { DeviceReport } from "../delivery/report.ts";
import type { ImageSource, Stores, UnfinishedUpdate, UpdateChange } from "../store/ports.ts";
import { exampleRegistration } from "../store/scratch-stores.ts";
import { DeliveryEngine } from "./delivery-engine.ts";
import type { DeviceLink } from "./device-link.ts";

const IDLE: DeviceReport = {
  firmware: {
    state: 0,
    result: 0,
    packageUri: null,
    packageName: null,
    packageVersion: null,
    protocols: null,
    deliveryMethod: 2,
  },
  version: "1.0.0",
  manufacturer: null,
  model: null,
  hardware: null,
};

const updateOf = (endpoint: string, by: Update["by"] = "push") =>
  ({ id: `u-${endpoint}`, endpoint, imageId: "i1", by, apply: true }) as Update;

/** An engine between a store and devices that do what the test says; `done` is what was asked of both, in order. */
class World {
  readonly done: string[] = [];
  /** Updates that others look up, and those of them that nobody drives. */
  readonly onRecord = new Map<string, Update>();
  readonly free: UnfinishedUpdate[] = [];
  readonly own: UnfinishedUpdate[] = [];
  transition = async (_: string, __: UpdateChange): Promise<void> => {};
  readImage = async (): Promise<Partial<Image>> => ({ version: "1.1.0", sizeBytes: 1000 });
  readReport = async (): Promise<DeviceReport> => IDLE;
  registrationOf = exampleRegistration;
  readonly told: string[] = [];
  openSource = async (): Promise<ImageSource | undefined> => ({ sizeBytes: 1000 }) as ImageSource;
  readonly engine: DeliveryEngine;

  constructor(updateLimit?: number) {
    const stores = {
      images: { get: () => this.readImage(), openSource: () => this.openSource() },
      devices: { flush: async () => {} },
      updates: {
        transition: async (id: string, change: UpdateChange) => {
          await this.transition(id, change);
          this.done.push(`${id} ${change.state}`);
        },
        get: async (id: string) => this.onRecord.get(id),
        claimOne: async (id: string) => this.free.filter(({ update }) => update.id === id),
        unfinished: async () => this.own,
        queueProgress: () => {},
        setPackageUri: async () => {},
      },
      exchanges: { newestNumber: async () => 0, queue: () => {} },
    } as unknown as Stores;
    const did = (what: string) => async (): Promise<RequestOutcome> => {
      this.done.push(what);
      return { outcome: "accepted" };
    };
    const link = {
      readReport: () => this.readReport(),
      observe: async () => [],
      pushPackage: did("push"),
      reset: did("reset"),
      apply: did("execute"),
      writePackageUri: async (_: unknown, uri: string) => await did(`write ${uri}`)(),
    } as unknown as DeviceLink;
    this.engine = new DeliveryEngine({
      stores,
      linkFor: () => link,
      log: pino({ level: "silent" }),
      updateLimit,
      cancelWaitMs: 1,
      registrationOf: (endpoint) => this.registrationOf(endpoint),
      packageUri: async () => "coap://127.0.0.1/fw/i1",
      onReport: (endpoint, { version }) => this.told.push(`${endpoint} ${version}`),
      schemesFor: () => ["coap"],
    });
  }
}

test("an update that is cancelled while its image is being opened is never pushed", async (t) => {
  const world = new World();
  t.after(() => world.engine.close());
  const opening = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<ImageSource>();
  world.openSource = () => {
    opening.resolve();
    return opened.promise;
  };
  await world.engine.start(updateOf("pump"));
  await opening.promise;
  await world.engine.cancel("u-pump");
  opened.resolve({ sizeBytes: 1000 } as ImageSource);
  await new Promise(setImmediate);
  assert.ok(world.done.includes("u-pump cancelled") && world.done.includes("reset"));
  assert.ok(!world.done.includes("push"));
});

test("an answer from where a device was is nobody's: its address may be another device's by now", async (t) => {
  const world = new World();
  t.after(() => world.engine.close());
  const asked = Promise.withResolvers<void>();
  const late = Promise.withResolvers<DeviceReport>();
  world.readReport = () => {
    asked.resolve();
    return late.promise;
  };
  await world.engine.start(updateOf("pump", "pull"));
  await asked.promise;
  world.readReport = async () => ({ ...IDLE, version: "1.1.0" });
  world.registrationOf = (endpoint) => exampleRegistration(endpoint, { id: "another" });
  world.engine.onRegistered("pump");
  await new Promise(setImmediate);
  late.resolve({ ...IDLE, version: "0.9.0" });
  await new Promise(setImmediate);
  assert.deepEqual(world.told, ["pump 1.1.0"]);
});

test("nothing is asked of a device because of a decision that could not be stored", async (t) => {
  const world = new World();
  t.after(() => world.engine.close());
  const failed = Promise.withResolvers<void>();
  world.transition = async (_, { state }) => {
    if (state !== "transferring") return;
    setImmediate(failed.resolve);
    throw new Error("a mistake of our own");
  };
  await world.engine.start(updateOf("pump", "pull"));
  await failed.promise;
  assert.deepEqual(world.done, ["u-pump waiting", "u-pump waiting"]);
});

test("an update that is created just before the database goes away begins when it is back", async (t) => {
  const world = new World();
  t.after(() => world.engine.close());
  const { readImage } = world;
  world.readImage = async () => {
    world.readImage = readImage;
    throw new EnvironmentError("DATABASE_AWAY", "gone for a moment");
  };
  await world.engine.start(updateOf("pump"));
  await new Promise(setImmediate);
  for (let turn = 0; turn < 20 && world.engine.runningCount === 0; turn += 1) await new Promise(setImmediate);
  assert.equal(world.engine.runningCount, 1);
});

test("what was claimed just before the database went away is taken up when it is back", async (t) => {
  const world = new World();
  t.after(() => world.engine.close());
  const { readImage } = world;
  world.readImage = async () => {
    throw new EnvironmentError("DATABASE_AWAY", "gone for a moment");
  };
  const claimed = ["pump", "valve"].map((endpoint) => ({ update: updateOf(endpoint), snapshot: newSnapshot(true) }));
  await assert.rejects(world.engine.restore(claimed), { code: "DATABASE_AWAY" });
  world.readImage = readImage;
  world.own.push(...claimed);
  await world.engine.resume();
  assert.equal(world.engine.runningCount, 2);
});

test("an update that is told to wait between the decision to ask the device and the asking does not ask it", async (t) => {
  const world = new World();
  t.after(() => world.engine.close());
  world.readReport = async () => ({ ...IDLE, firmware: IDLE.firmware && { ...IDLE.firmware, state: 2 } });
  const update = { ...updateOf("pump", "pull"), state: "waitingToApply" as const, apply: false, finishedAt: null };
  world.onRecord.set(update.id, update);
  const held = { ...newSnapshot(false), state: "waitingToApply" as const, transferStarted: true };
  await world.engine.restore([{ update, snapshot: held }]);
  const deciding = Promise.withResolvers<void>();
  const decided = Promise.withResolvers<void>();
  world.transition = async (_, { state, facts }) => {
    if (state !== "downloaded" || facts?.["event"] !== "apply") return;
    deciding.resolve();
    await decided.promise;
  };
  const applied = world.engine.apply("u-pump").catch((error: EnvironmentError) => error.code);
  await deciding.promise;
  const waits = world.engine.hold("u-pump").catch((error: EnvironmentError) => error.code);
  decided.resolve();
  await Promise.all([applied, waits]);
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  assert.ok(!world.done.includes("execute"), world.done.join(", "));
  assert.equal(world.done.at(-1), "u-pump waitingToApply");
});

test("a package that was installed when its update was told to wait is activated", async (t) => {
  const world = new World();
  t.after(() => world.engine.close());
  world.readReport = async () => {
    const needsActivation = !world.done.includes("execute");
    const firmware = { ...IDLE.firmware, result: 1, needsActivation } as DeviceReport["firmware"];
    return { ...IDLE, firmware, version: "1.1.0" };
  };
  const update = { ...updateOf("pump", "pull"), state: "applying" as const, apply: false, finishedAt: null };
  const told = { ...newSnapshot(false), state: "applying" as const, transferStarted: true, executeCount: 1 };
  await world.engine.restore([{ update, snapshot: told }]);
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
  assert.deepEqual(world.done.slice(-2), ["execute", "u-pump succeeded"]);
});

test("an update whose campaign permits nothing any more is left as it is on record, and whoever commanded is told", async (t) => {
  const world = new World();
  t.after(() => world.engine.close());
  const update = { ...updateOf("pump", "pull"), state: "waitingToApply" as const, apply: false, finishedAt: null };
  world.onRecord.set(update.id, update);
  const own = { update, snapshot: { ...newSnapshot(false), state: "waitingToApply" as const } };
  await world.engine.restore([own]);
  world.own.push(own);
  world.transition = async (_, { permit }) => {
    if (permit === true) throw new UsageError("CAMPAIGN_PERMIT", "it is paused");
  };
  await assert.rejects(world.engine.apply("u-pump"), { code: "CAMPAIGN_PERMIT" });
  assert.ok(!world.done.includes("execute"));
  assert.equal(world.engine.runningCount, 0);
  await world.engine.resume();
  assert.equal(world.engine.runningCount, 1);
});

test("what another server had meanwhile goes on from its record, not from what ran here before", async (t) => {
  const world = new World();
  t.after(() => world.engine.close());
  const downloaded = { ...IDLE, firmware: IDLE.firmware && { ...IDLE.firmware, state: 2 } };
  const first = Promise.withResolvers<DeviceReport>();
  world.readReport = () => first.promise;
  const update = updateOf("pump", "pull");
  const told = { ...newSnapshot(true), state: "transferring" as const, transferStarted: true };
  await world.engine.restore([{ update, snapshot: told }]);
  world.readReport = async () => downloaded;
  await world.engine.takeOver([{ update, snapshot: { ...told, apply: false } }]);
  first.resolve(downloaded);
  for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
  assert.equal(world.engine.runningCount, 1);
  assert.equal(world.done.at(-1), "u-pump waitingToApply", world.done.join(", "));
});

test("an update for which there is no room is on record as cancelled, and one of the last run stops no start", async (t) => {
  const world = new World(1);
  t.after(() => world.engine.close());
  await world.engine.start(updateOf("first"));
  await assert.rejects(world.engine.start(updateOf("second")), { code: "UPDATES_FULL" });
  assert.ok(world.done.includes("u-second cancelled"));
  await world.engine.restore([{ update: updateOf("third"), snapshot: newSnapshot(true) }]);
  assert.equal(world.engine.runningCount, 1);
  world.onRecord.set("u-second", { ...updateOf("second"), state: "cancelled", finishedAt: "2026-03-01T12:00:00.000Z" });
  await assert.rejects(world.engine.cancel("u-second"), { code: "UPDATE_FINISHED" });
});

test("a command to an update that nobody drives has it taken up; to one that another server drives it is refused as such", async (t) => {
  const world = new World();
  t.after(() => world.engine.close());
  for (const endpoint of ["orphan", "far"]) {
    const update = { ...updateOf(endpoint, "pull"), state: "waiting" as const, finishedAt: null };
    world.onRecord.set(update.id, update);
    if (endpoint === "orphan") world.free.push({ update, snapshot: newSnapshot(true) });
  }
  await world.engine.cancel("u-orphan");
  assert.ok(world.done.includes("u-orphan cancelled"));
  await assert.rejects(world.engine.cancel("u-far"), { code: "UPDATE_TAKEN" });
  await assert.rejects(world.engine.apply("u-none"), { code: "UNKNOWN_UPDATE" });
});

test("a cancel does not wait for ever for a database that is away: the update is cancelled, its caller told to ask again", async (t) => {
  const world = new World();
  t.after(() => world.engine.close());
  const back = Promise.withResolvers<void>();
  await world.engine.start(updateOf("pump", "pull"));
  world.transition = () => back.promise;
  await assert.rejects(world.engine.cancel("u-pump"), { code: "DATABASE_AWAY" });
  await assert.rejects(world.engine.cancel("u-pump"), { code: "UPDATE_FINISHED" });
  back.resolve();
});

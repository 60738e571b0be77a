/** Components (object 33629) and packages of software (object 9) of real devices, updated by a real server. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createUpdateAgent } from "@airlift/device/agent";
import type { SoftwareHandlers } from "@airlift/device/software-ports";
import { createMemoryDevice } from "./memory-handlers.ts";
import { openUpdateStage, type UpdateStage } from "./update-stage.ts";

const IDENTITY = { manufacturer: "Example", model: "Pump", serialNumber: "7", firmwareVersion: "7.0" };

let stage: UpdateStage;
before(async () => {
  stage = await openUpdateStage();
});
after(() => stage.close());

const agentOptions = (endpoint: string) => ({
  endpoint,
  server: `coap://127.0.0.1:${stage.server.address.port}`,
  identity: IDENTITY,
  upgradeDelayMs: 0,
});

const statesOf = async (updateId: string): Promise<unknown[]> => {
  const events = await stage.stores.events.after({ updateId }, 100);
  return [...new Set(events.map(({ facts }) => facts["state"]))];
};

for (const by of ["pull", "push"] as const)
  test(`object 33629: one component is updated by ${by}, and the device's firmware is left alone`, async (t) => {
    const memories = [createMemoryDevice(), createMemoryDevice()];
    const versions = ["7.0", "0.9"];
    let installed = new Uint8Array();
    const components = memories.map(({ handlers, store, image }, instance) => ({
      name: `part ${instance}`,
      currentVersion: () => versions[instance] ?? "",
      handlers: {
        ...handlers,
        performUpgrade: (): "installed" => {
          versions[instance] = "1.1.0";
          installed = Uint8Array.from(image());
          return "installed";
        },
      },
      store,
    }));
    const agent = createUpdateAgent({ ...agentOptions(`parts-${by}`), components: { ...components } });
    t.after(() => agent.close());
    await agent.start();
    const done = await stage.reaches(await stage.update(`parts-${by}`, { target: "component:1", by }));
    assert.equal(done.sentence, "succeeded: the device runs 1.1.0 and reports success (Update Result 1)");
    assert.deepEqual(versions, ["7.0", "1.1.0"]);
    assert.ok(stage.image.equals(installed));
    assert.equal(
      (await stage.reaches(await stage.update(`parts-${by}`, { target: "component:1", by }))).state,
      "skipped",
    );
    const missing = await stage.reaches(await stage.update(`parts-${by}`, { target: "component:5" }));
    assert.deepEqual(
      [missing.failure, missing.sentence],
      ["noFirmwareUpdateObject", "failed: the device has no component /33629/5, so it cannot be updated over LwM2M"],
    );
  });

test("object 9: a package is delivered, installed, activated; its upgrade is prepared first", async (t) => {
  const memory = createMemoryDevice();
  const calls: string[] = [];
  let version = "";
  let installed = new Uint8Array();
  const note = (word: string) => (): void => void calls.push(word);
  const handlers: SoftwareHandlers = {
    ...memory.handlers,
    install: () => {
      calls.push("install");
      version = "1.1.0";
      installed = Uint8Array.from(memory.image());
      return "installed";
    },
    uninstall: note("uninstall"),
    prepareUpgrade: note("prepareUpgrade"),
    activate: note("activate"),
    deactivate: note("deactivate"),
    packageName: () => "camera",
    packageVersion: () => version,
  };
  const agent = createUpdateAgent({ ...agentOptions("camera"), software: { 3: { handlers } } });
  t.after(() => agent.close());
  await agent.start();
  const order = { target: "software:3" } as const;
  const first = await stage.update("camera", order);
  const done = await stage.reaches(first);
  assert.equal(done.state, "succeeded", done.sentence);
  assert.deepEqual(calls, ["install", "activate"]);
  assert.ok(stage.image.equals(installed));
  assert.deepEqual(await statesOf(first.id), [
    "queued",
    "waiting",
    "transferring",
    "downloaded",
    "applying",
    "succeeded",
  ]);
  assert.equal((await stage.reaches(await stage.update("camera", order))).state, "skipped");

  version = "1.0.0";
  const upgrade = await stage.reaches(await stage.update("camera", order));
  assert.equal(upgrade.state, "succeeded", upgrade.sentence);
  assert.deepEqual(calls.slice(2), ["prepareUpgrade", "install", "activate"]);
});

test("object 9: an image that the device refuses fails with its own reason and its own number", async (t) => {
  const memory = createMemoryDevice(stage.image[0]);
  const nothing = (): void => {};
  const handlers: SoftwareHandlers = {
    ...memory.handlers,
    install: () => "installed",
    uninstall: nothing,
    activate: nothing,
    deactivate: nothing,
    packageName: () => "",
    packageVersion: () => "",
  };
  const agent = createUpdateAgent({ ...agentOptions("refusing"), software: { 0: { handlers } } });
  t.after(() => agent.close());
  await agent.start();
  const done = await stage.reaches(await stage.update("refusing", { target: "software:0" }));
  assert.equal(done.failure, "integrityFailed");
  assert.match(done.sentence, /\(Update Result 53\)$/);
});

test("resource 14: a device that would upgrade by itself is told to wait when the operator wants to say when", async (t) => {
  const memory = createMemoryDevice();
  memory.persisted = { state: "idle", result: "initial", notes: { automaticUpgrade: true } };
  let upgrades = 0;
  const performUpgrade = (): "pending" => {
    upgrades += 1;
    return "pending";
  };
  const agent = createUpdateAgent({
    ...agentOptions("automatic"),
    lwm2mVersion: "1.2",
    handlers: { ...memory.handlers, performUpgrade },
    store: memory.store,
  });
  t.after(() => agent.close());
  await agent.start();
  const update = await stage.update("automatic", { apply: false });
  const held = await stage.reaches(update, "waitingToApply");
  assert.equal(held.state, "waitingToApply", held.sentence);
  assert.equal(upgrades, 0);
  await stage.server.engine.cancel(update.id);
});

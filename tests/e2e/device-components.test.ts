/** A device of several components (object 33629) against a scripted server, over real sockets of this machine. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { AgentEvent, UpdateAgentOptions } from "@airlift/device/agent-options";
import type { ComponentHandlers, ComponentOptions, ComponentOrder } from "@airlift/device/component-ports";
import { HandlerError } from "@airlift/device/ports";
import { memorySource } from "@airlift/protocol/coap/body";
import { METHOD } from "@airlift/protocol/coap/codes";
import { CoapRefusal } from "@airlift/protocol/coap/exchange";
import { decodeUtf8, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { toCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { requestOf } from "@airlift/protocol/lwm2m/request";
import { createMemoryDevice, type MemoryDevice } from "./memory-handlers.ts";
import { codeText, openScriptedServer, type ScriptedServer } from "./scripted-server.ts";

const IDENTITY = { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0" };
const APP = 0;
const TEE = 1;
const BOOT = 2;
/** An image of 3000 octets that begins with `first`. */
const image = (first: number): Uint8Array => new Uint8Array(3_000).fill(0x55).fill(first, 0, 1);

let server: ScriptedServer;
let agent: UpdateAgent;
let memories: MemoryDevice[];
let events: AgentEvent[];
let waiting: (() => void)[];
/** What `performUpgrade` of a component was called with. */
let upgrades: string[];

beforeEach(async () => {
  server = await openScriptedServer();
  memories = [APP, TEE, BOOT].map(() => createMemoryDevice());
  events = [];
  waiting = [];
  upgrades = [];
});

afterEach(async () => {
  await agent.close();
  await server.close();
});

function component(instance: number, own: Partial<ComponentHandlers> = {}): ComponentOptions {
  const memory = memories[instance] as MemoryDevice;
  const performUpgrade = ({ along }: ComponentOrder): "installed" => {
    upgrades.push(`${instance}+${along.join()}`);
    return "installed";
  };
  const name = ["application", "tee", "bootloader"][instance] ?? "";
  return {
    name,
    currentVersion: `${instance}.0`,
    handlers: { ...memory.handlers, performUpgrade, ...own },
    store: memory.store,
  };
}

async function start(
  own: Partial<Record<number, Partial<ComponentHandlers>>> = {},
  more: Partial<UpdateAgentOptions> = {},
) {
  agent = createUpdateAgent({
    endpoint: "node-1",
    server: server.uri,
    identity: IDENTITY,
    components: { 0: component(APP, own[APP]), 1: component(TEE, own[TEE]), 2: component(BOOT, own[BOOT]) },
    upgradeDelayMs: 0,
    onEvent: (event) => {
      events.push(event);
      for (const look of waiting) look();
    },
    ...more,
  });
  await agent.start();
  await server.registered();
}

/** "(state,result)" of all three, as the server reads it. */
async function standing(): Promise<string> {
  const read = async (i: number) => `${await server.read(`/33629/${i}/3`)},${await server.read(`/33629/${i}/5`)}`;
  return (await Promise.all([APP, TEE, BOOT].map(read))).join(" ");
}

function until(isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (isSo()) resolve();
    };
    waiting.push(look);
    look();
  });
}

const isIn = (instance: number, state: string) => (): boolean => agent.component(instance).state === state;
const uriOf = (name: string): string => `${server.uri}/fw/${name}`;

async function pull(instance: number, name: string): Promise<void> {
  server.files.set(name, { bytes: image(instance + 1), etag: 1 });
  assert.equal(await server.write(`/33629/${instance}/1`, uriOf(name)), "2.04");
  await until(isIn(instance, "downloaded"));
}

async function push(instance: number, bytes: Uint8Array): Promise<string> {
  const uriPath = ["33629", `${instance}`, "0"];
  const request = toCoapRequest(requestOf({ code: METHOD.put, uriPath, contentFormat: CONTENT_FORMATS.opaque }));
  try {
    return codeText((await server.coap.upload(server.device(), request, memorySource(bytes), {})).code);
  } catch (error) {
    if (error instanceof CoapRefusal) return codeText(error.response.code);
    throw error;
  }
}

async function execute(instance: number, argument: string): Promise<string> {
  const uriPath = ["33629", `${instance}`, "2"];
  const payload = encodeUtf8(argument);
  return codeText((await server.ask(requestOf({ code: METHOD.post, uriPath, contentFormat: 0, payload }))).code);
}

/** The instances that resource 16 or 17 points at. */
async function links(instance: number, resource: 16 | 17): Promise<string[]> {
  const uriPath = ["33629", `${instance}`, `${resource}`];
  const json = CONTENT_FORMATS.senmlJson;
  const { payload } = await server.ask(requestOf({ code: METHOD.get, uriPath, accept: json }));
  const records = JSON.parse(decodeUtf8(payload) ?? "") as { vlo?: string }[];
  return records.flatMap(({ vlo }) => (vlo === undefined ? [] : [vlo]));
}

test("object 33629: the instances are registered, named and discovered; there is no object 5", async () => {
  await start();
  const objects = server.registrations[0]?.objects.objects.map(({ objectId, instances }) => [objectId, [...instances]]);
  assert.deepEqual(objects, [
    [1, [0]],
    [3, [0]],
    [33_629, [0, 1, 2]],
  ]);
  assert.equal(await server.read("/33629/2/14"), "bootloader");
  assert.equal(await server.read("/33629/1/15"), "1.0");
  assert.equal(await server.read("/33629/1/9"), "2");
  assert.equal(await server.read("/33629/3/14"), "4.04");
  assert.equal(await server.read("/5/0/3"), "4.04");
  const discovered = await server.read("/33629/1", CONTENT_FORMATS.linkFormat);
  assert.match(discovered, /<\/33629\/1\/15>.*<\/33629\/1\/16>;dim=0/);
  assert.doesNotMatch(discovered, /<\/33629\/1\/7>/);
});

test("object 33629: Create and Delete are refused with 4.05", async () => {
  await start();
  const code = async (method: number, uriPath: string[]) => {
    const format = method === METHOD.post ? { contentFormat: CONTENT_FORMATS.tlv } : {};
    return codeText((await server.ask(requestOf({ code: method, uriPath, ...format }))).code);
  };
  assert.equal(await code(METHOD.post, ["33629"]), "4.05");
  assert.equal(await code(METHOD.delete, ["33629", "1"]), "4.05");
});

test("one component is updated by itself, by a push or a pull", async () => {
  await start();
  assert.equal(await push(TEE, image(1)), "2.04");
  assert.equal(await standing(), "0,0 2,0 0,0");
  assert.equal(await server.execute("/33629/1/2"), "2.04");
  await until(() => agent.component(TEE).result === "success");
  assert.deepEqual(upgrades, ["1+"]);
  await pull(BOOT, "boot");
  assert.deepEqual(memories[BOOT]?.image(), image(BOOT + 1));
  assert.equal(await standing(), "0,0 0,1 2,0");
});

test("one pull at a time: the others are answered 2.04, wait, and follow in their order", async () => {
  const opened: number[] = [];
  const note = (instance: number): Partial<ComponentHandlers> => ({
    openStream: () => {
      opened.push(instance);
    },
  });
  let proceed: () => void = () => undefined;
  const isHeld = new Promise<void>((resolve) => {
    proceed = resolve;
  });
  const held = { ...note(APP), write: () => isHeld };
  await start({ [APP]: held, [TEE]: note(TEE), [BOOT]: note(BOOT) });
  for (const name of ["app", "boot", "tee"]) server.files.set(name, { bytes: image(1), etag: 1 });
  assert.equal(await server.write("/33629/0/1", uriOf("app")), "2.04");
  assert.equal(await server.write("/33629/2/1", uriOf("boot")), "2.04");
  assert.equal(await server.write("/33629/1/1", uriOf("tee")), "2.04");
  assert.equal(await standing(), "1,0 1,0 1,0");
  assert.equal(await server.write("/33629/2/1", uriOf("app")), "4.00", "a second URI on a busy instance");
  assert.equal(await push(TEE, image(1)), "4.05", "a push while a pull runs");
  proceed();
  await until(isIn(TEE, "downloaded"));
  assert.deepEqual(opened, [APP, BOOT, TEE]);
  assert.equal(await standing(), "2,0 2,0 2,0");
});

test("a pull that waits is cancelled without a request, and the next one follows", async () => {
  let proceed: () => void = () => undefined;
  const isHeld = new Promise<void>((resolve) => {
    proceed = resolve;
  });
  await start({ [APP]: { write: () => isHeld } });
  for (const name of ["app", "boot", "tee"]) server.files.set(name, { bytes: image(1), etag: 1 });
  await server.write("/33629/0/1", uriOf("app"));
  await server.write("/33629/1/1", uriOf("tee"));
  await server.write("/33629/2/1", uriOf("boot"));
  assert.equal(await server.execute("/33629/1/10"), "2.04");
  assert.equal(await standing(), "1,0 0,10 1,0");
  assert.equal(await server.execute("/33629/0/10"), "2.04");
  proceed();
  await until(isIn(BOOT, "downloaded"));
  assert.ok(server.fetches.every(({ options }) => !options.some(({ value }) => decodeUtf8(value) === "tee")));
});

test("object 33629 /3: a package for several brings all of them to Downloaded, and links them", async () => {
  await start({ [APP]: { finish: () => ({ components: [APP, TEE] }) } });
  await pull(APP, "both");
  await until(isIn(TEE, "downloaded"));
  assert.equal(await standing(), "2,0 2,0 0,0");
  assert.deepEqual(await links(APP, 16), ["33629:1"]);
  assert.deepEqual(await links(TEE, 16), ["33629:0"]);
  assert.equal(await server.execute("/33629/1/2"), "2.04");
  await until(() => agent.component(APP).result === "success");
  assert.deepEqual(upgrades, ["1+0"]);
  assert.equal(await standing(), "0,1 0,1 0,0");
  assert.deepEqual(await links(APP, 16), []);
});

test("object 33629 /3: a package for several is rejected with 12 when one of them is not Idle", async () => {
  await start({ [APP]: { finish: () => ({ components: [APP, TEE] }) } });
  await pull(TEE, "tee");
  server.files.set("both", { bytes: image(1), etag: 2 });
  await server.write("/33629/0/1", uriOf("both"));
  await until(() => agent.component(APP).result === "conflictingState");
  assert.equal(await standing(), "0,12 2,0 0,0");
  assert.deepEqual(await links(APP, 17), ["33629:1"]);
  assert.ok(memories[APP]?.calls.includes("reset"), "the image is not kept");
});

test("object 33629 /3: an Update that overtakes the save of a package for several installs all of them", async () => {
  const saving = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const { store } = memories[APP] as MemoryDevice;
  const save: typeof store.save = async (update) => {
    if (update.state === "downloaded") {
      saving.resolve();
      await held.promise;
    }
    return store.save(update);
  };
  const finish = () => ({ components: [APP, TEE] });
  const app = { ...component(APP, { finish }), store: { ...store, save } };
  await start({}, { components: { 0: app, 1: component(TEE) } });
  server.files.set("both", { bytes: image(1), etag: 1 });
  assert.equal(await server.write("/33629/0/1", uriOf("both")), "2.04");
  await saving.promise;
  const answer = execute(APP, "");
  while (agent.component(APP).state !== "updating") await nextTurn();
  held.resolve();
  assert.equal(await answer, "2.04");
  await until(isIn(APP, "idle"));
  await until(isIn(TEE, "idle"));
  assert.deepEqual(upgrades, ["0+1"]);
});

test("object 33629 /2: without an argument all linked ones, with 0 only this one, with a list exactly that", async () => {
  await start();
  for (const [argument, expected, left] of [
    ["", "0+1", "0,1 0,1 2,0"],
    ["0", "0+", "0,1 2,0 2,0"],
    ["0='</33629/1>,</33629/2>'", "0+1,2", "0,1 0,1 0,1"],
    ["0='</33629/2>,</33629/0>'", "0+2", "0,1 2,0 0,1"],
  ] as const) {
    for (const [instance, name] of ["app", "tee", "boot"].entries()) {
      if (agent.component(instance).state === "idle") await pull(instance, name);
    }
    agent.component(APP).setLinked([TEE]);
    // Whom the others are linked to does not count: this Update is not theirs.
    agent.component(TEE).setLinked([APP, BOOT]);
    assert.equal(await execute(APP, argument), "2.04");
    await until(() => agent.component(APP).result === "success");
    assert.deepEqual(upgrades.splice(0), [expected]);
    assert.equal(await standing(), left, argument);
  }
});

test("object 33629 /2: a list with one that is not Downloaded, or not there, ends with 13 and changes no other", async () => {
  await start();
  await pull(APP, "app");
  await pull(TEE, "tee");
  for (const [argument, conflicting] of [
    ["0='</33629/1>,</33629/2>'", ["33629:2"]],
    ["0='</33629/9>'", []],
  ] as const) {
    assert.equal(await execute(APP, argument), "2.04");
    await until(() => agent.component(APP).result === "dependencyError" && agent.component(APP).state === "downloaded");
    assert.equal(await standing(), "2,13 2,0 0,0");
    assert.deepEqual(await links(APP, 17), conflicting);
  }
  assert.deepEqual(upgrades, []);
  assert.equal(await execute(APP, "0"), "2.04");
  await until(() => agent.component(APP).result === "success");
  assert.deepEqual(await links(APP, 17), []);
});

test("object 33629 /2: an argument that is none is refused with 4.00", async () => {
  await start();
  await pull(APP, "app");
  for (const argument of ["1", "0,1", "0='</5/0>'", "0='</33629>'", "0='1,2'", "0='</33629/1>,'"]) {
    assert.equal(await execute(APP, argument), "4.00", argument);
  }
  assert.equal(await standing(), "2,0 0,0 0,0");
  assert.equal(await execute(TEE, ""), "4.05", "not Downloaded");
});

test("object 33629 /17: what the integrator names as conflicting stands in the way until it is updated along", async () => {
  await start();
  await pull(APP, "app");
  agent.component(APP).setConflicting([TEE]);
  assert.deepEqual(await links(APP, 17), ["33629:1"]);
  assert.equal(await server.execute("/33629/0/2"), "2.04");
  await until(() => agent.component(APP).result === "dependencyError");
  assert.equal(await standing(), "2,13 0,0 0,0");
  await pull(TEE, "tee");
  assert.equal(await execute(APP, "0='</33629/1>'"), "2.04");
  await until(() => agent.component(TEE).result === "success");
  assert.equal(await standing(), "0,1 0,1 0,0");
});

test("object 33629 /5: a handler that tells of a dependency; all of them go back to Downloaded", async () => {
  const performUpgrade = (): never => {
    throw new HandlerError("dependencyError", "needs the bootloader");
  };
  await start({ [APP]: { performUpgrade } });
  await pull(APP, "app");
  await pull(TEE, "tee");
  agent.component(APP).setLinked([TEE]);
  await server.execute("/33629/0/2");
  await until(() => agent.component(TEE).result === "dependencyError");
  assert.equal(await standing(), "2,13 2,13 0,0");
});

test("an outcome that comes later holds for all that were updated along", async () => {
  await start({ [APP]: { performUpgrade: () => "pending" } });
  await pull(APP, "app");
  await pull(TEE, "tee");
  agent.component(APP).setLinked([TEE]);
  await server.execute("/33629/0/2");
  await until(isIn(TEE, "updating"));
  assert.equal(await standing(), "3,0 3,0 0,0");
  agent.component(APP).setResult("integrityFailed");
  await until(() => agent.component(TEE).result === "integrityFailed");
  assert.equal(await standing(), "0,5 0,5 0,0");
});

test("set_state_and_result: one arrow at a time, and none that needs the network", async () => {
  await start();
  const tee = agent.component(TEE);
  assert.throws(() => tee.setStateAndResult("downloading", "initial"), { code: "RESULT_NOT_SETTABLE" });
  assert.throws(() => tee.setStateAndResult("updating", "initial"), { code: "RESULT_NOT_SETTABLE" });
  tee.setStateAndResult("downloaded", "initial");
  tee.setStateAndResult("updating", "initial");
  tee.setStateAndResult("downloaded", "failed");
  tee.setStateAndResult("updating", "initial");
  tee.setStateAndResult("idle", "success");
  await until(() => events.some((event) => event.kind === "state" && event.component === TEE));
  assert.equal(await standing(), "0,0 0,1 0,0");
  assert.throws(() => agent.component(7), { code: "NO_COMPONENT" });
  assert.throws(() => tee.setLinked([7]), { code: "NO_COMPONENT" });
});

test("after a restart in Updating each component is confirmed when its server is reached", async () => {
  for (const instance of [APP, TEE]) {
    (memories[instance] as MemoryDevice).persisted = { state: "updating", result: "initial" };
  }
  const confirmed: number[] = [];
  const fails = (): never => {
    throw new Error("does not answer");
  };
  const confirm = (): void => {
    confirmed.push(APP);
  };
  await start({ [APP]: { confirm }, [TEE]: { confirm: fails } });
  assert.equal(await standing(), "0,1 0,8 0,0");
  assert.deepEqual(confirmed, [APP]);
});

test("options: neither firmware nor components, or links to nobody, are mistakes", () => {
  const options = { endpoint: "node-1", server: "coap://127.0.0.1", identity: IDENTITY };
  assert.throws(() => createUpdateAgent(options), { code: "AGENT_OPTIONS" });
  const lost = { ...component(APP), linked: [5] };
  assert.throws(() => createUpdateAgent({ ...options, components: { 0: lost } }), { code: "AGENT_OPTIONS" });
  agent = createUpdateAgent({ ...options, components: { 0: component(APP) } });
});

/** Packages above the firmware (object 9) against a scripted server, over real sockets of this machine. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { AgentEvent } from "@airlift/device/agent-options";
import { HandlerError } from "@airlift/device/ports";
import type { PersistedSoftware, SoftwareHandlers, SoftwareOptions } from "@airlift/device/software-ports";
import { memorySource } from "@airlift/protocol/coap/body";
import { METHOD } from "@airlift/protocol/coap/codes";
import { CoapRefusal } from "@airlift/protocol/coap/exchange";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { toCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { requestOf } from "@airlift/protocol/lwm2m/request";
import { createMemoryDevice, type MemoryDevice } from "./memory-handlers.ts";
import { codeText, openScriptedServer, type ScriptedServer } from "./scripted-server.ts";

const IDENTITY = { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0" };
const PACKAGE = new Uint8Array(2_500).fill(0x42);

let server: ScriptedServer;
let agent: UpdateAgent;
let memory: MemoryDevice;
let calls: string[];
let saved: PersistedSoftware | undefined;
let waiting: (() => void)[];
let installedName: string;
let failures: (AgentEvent & { kind: "failure" })[];

beforeEach(async () => {
  server = await openScriptedServer();
  memory = createMemoryDevice();
  calls = [];
  waiting = [];
  failures = [];
  saved = undefined;
  installedName = "";
});

afterEach(async () => {
  await agent.close();
  await server.close();
});

function software(own: Partial<SoftwareHandlers> = {}): SoftwareOptions {
  const note = (word: string) => (): void => {
    calls.push(word);
  };
  return {
    handlers: {
      ...memory.handlers,
      install: () => {
        calls.push("install");
        installedName = "camera";
        return "installed";
      },
      uninstall: note("uninstall"),
      prepareUpgrade: note("prepareUpgrade"),
      activate: note("activate"),
      deactivate: note("deactivate"),
      packageName: () => installedName,
      packageVersion: () => (installedName === "" ? "" : "3.1"),
      ...own,
    },
    store: {
      load: async () =>
        saved ?? { state: "initial", result: "initial", download: { state: "idle", result: "initial" } },
      save: async (persisted) => {
        saved = persisted;
      },
    },
  };
}

async function start(own: Partial<SoftwareHandlers> = {}): Promise<void> {
  agent = createUpdateAgent({
    endpoint: "node-1",
    server: server.uri,
    identity: IDENTITY,
    software: { 0: software(own), 3: software() },
    upgradeDelayMs: 0,
    onEvent: (event) => {
      if (event.kind === "failure") failures.push(event);
      for (const look of waiting) look();
    },
  });
  await agent.start();
  await server.registered();
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

/** "state,result,active" as the server reads them. */
async function standing(): Promise<string> {
  return (await Promise.all([7, 9, 12].map((resource) => server.read(`/9/0/${resource}`)))).join();
}

async function push(bytes: Uint8Array): Promise<string> {
  const uriPath = ["9", "0", "2"];
  const request = toCoapRequest(requestOf({ code: METHOD.put, uriPath, contentFormat: CONTENT_FORMATS.opaque }));
  try {
    return codeText((await server.coap.upload(server.device(), request, memorySource(bytes), {})).code);
  } catch (error) {
    if (error instanceof CoapRefusal) return codeText(error.response.code);
    throw error;
  }
}

async function execute(resource: number, argument = ""): Promise<string> {
  const payload = encodeUtf8(argument);
  const uriPath = ["9", "0", `${resource}`];
  return codeText((await server.ask(requestOf({ code: METHOD.post, uriPath, contentFormat: 0, payload }))).code);
}

const INSTALL = 4;
const UNINSTALL = 6;
const ACTIVATE = 10;
const DEACTIVATE = 11;
const isIn = (state: string) => (): boolean => agent.software(0).state === state;

async function installed(): Promise<void> {
  assert.equal(await push(PACKAGE), "2.04");
  assert.equal(await execute(INSTALL), "2.04");
  await until(isIn("installed"));
}

test("object 9: the instances are registered; nothing is installed", async () => {
  await start();
  const objects = server.registrations[0]?.objects.objects.map(({ objectId, instances }) => [objectId, [...instances]]);
  assert.deepEqual(objects?.at(-1), [9, [0, 3]]);
  assert.equal(await standing(), "0,0,0");
  assert.equal(await server.read("/9/0/0"), "");
  assert.equal(await server.read("/9/0/3"), "4.05", "the Package URI is only written");
  for (const resource of [INSTALL, UNINSTALL, ACTIVATE, DEACTIVATE]) assert.equal(await execute(resource), "4.05");
});

test("object 9 /7, /9: pushed, installed, activated, deactivated, removed", async () => {
  await start();
  assert.equal(await push(PACKAGE), "2.04");
  assert.deepEqual(memory.image(), PACKAGE);
  assert.equal(await standing(), "3,3,0");
  assert.equal(await execute(ACTIVATE), "4.05", "delivered, not installed");
  assert.equal(await execute(INSTALL), "2.04");
  await until(isIn("installed"));
  assert.equal(await standing(), "4,2,0");
  assert.equal(await server.read("/9/0/0"), "camera");
  assert.equal(await execute(ACTIVATE), "2.04");
  assert.equal(await standing(), "4,2,1");
  assert.equal(await execute(DEACTIVATE), "2.04");
  assert.equal(await standing(), "4,2,0");
  assert.equal(await execute(UNINSTALL), "2.04");
  assert.equal(await standing(), "0,0,0");
  assert.deepEqual(calls, ["install", "activate", "deactivate", "uninstall"]);
});

test("object 9 /3: pulled, with the verification visible as DOWNLOADED", async () => {
  let verify: () => void = () => undefined;
  const verified = new Promise<void>((resolve) => {
    verify = resolve;
  });
  await start({ finish: () => verified });
  server.files.set("camera", { bytes: PACKAGE, etag: 1 });
  assert.equal(await server.write("/9/0/3", `${server.uri}/fw/camera`), "2.04");
  await until(isIn("downloaded"));
  assert.equal(await standing(), "2,1,0");
  assert.equal(await execute(INSTALL), "4.05");
  assert.equal(await server.write("/9/0/3", `${server.uri}/fw/camera`), "4.05", "one download at a time");
  verify();
  await until(isIn("delivered"));
  assert.equal(await standing(), "3,3,0");
});

test("object 9 /9: what can go wrong with a download", async () => {
  let result: HandlerError["result"] = "noFlash";
  const fail = (): never => {
    throw new HandlerError(result, "the reason in words");
  };
  await start({ finish: fail });
  for (const [reason, expected] of [
    ["noFlash", "0,50,0"],
    ["noMemory", "0,51,0"],
    ["integrityFailed", "0,53,0"],
    ["unsupportedPackage", "0,54,0"],
  ] as const) {
    result = reason;
    await push(PACKAGE);
    await until(isIn("initial"));
    assert.equal(await standing(), expected);
    assert.equal(await server.read("/9/0/16"), "the reason in words");
  }
  assert.equal(await server.write("/9/0/3", "gopher://files.example/x"), "4.00");
  assert.equal(await standing(), "0,56,0");
  assert.equal(await server.write("/9/0/3", `${server.uri}/fw/absent`), "2.04");
  await until(() => agent.software(0).result === "invalidUri" && isIn("initial")());
  assert.equal(await standing(), "0,56,0");
});

test("object 9 /4: an installation that fails stays DELIVERED with 58, and may be tried again", async () => {
  let isLucky = false;
  await start({
    install: () => {
      if (!isLucky) throw new Error("a dependency is missing");
      return "installed";
    },
  });
  assert.equal(await push(PACKAGE), "2.04");
  assert.equal(await execute(INSTALL), "2.04");
  await until(() => agent.software(0).result === "installFailed");
  assert.equal(await standing(), "3,58,0");
  assert.equal(await server.read("/9/0/16"), "a dependency is missing");
  isLucky = true;
  assert.equal(await execute(INSTALL), "2.04");
  await until(isIn("installed"));
  assert.equal(await standing(), "4,2,0");
  assert.equal(await server.read("/9/0/16"), "");
});

test("object 9 /6: for an upgrade the package stays in place and the next one is awaited", async () => {
  await start();
  await installed();
  await execute(ACTIVATE);
  assert.equal(await execute(UNINSTALL, "1"), "2.04");
  assert.equal(await standing(), "0,0,0");
  assert.deepEqual(calls, ["install", "activate", "prepareUpgrade"]);
  await installed();
  assert.equal(await standing(), "4,2,0");
  assert.equal(await execute(UNINSTALL, "2"), "4.00");
  assert.equal(await execute(UNINSTALL, "0"), "2.04");
});

test("object 9 /6: what is only delivered is forgotten, and what cannot be removed is 59", async () => {
  const fail = (): never => {
    throw new Error("in use");
  };
  await start({ uninstall: fail });
  await push(PACKAGE);
  assert.equal(await execute(UNINSTALL), "2.04");
  assert.equal(await standing(), "0,0,0");
  await until(() => memory.calls.includes("reset"));
  await installed();
  assert.equal(await execute(UNINSTALL), "5.00");
  assert.equal(await standing(), "4,59,0");
  assert.equal(failures.at(-1)?.software, 0);
});

test("object 9 /10: software that does not start is not active", async () => {
  const fail = (): never => {
    throw new Error("no camera");
  };
  await start({ activate: fail });
  await installed();
  assert.equal(await execute(ACTIVATE), "5.00");
  assert.equal(await standing(), "4,2,0");
  assert.equal(await server.read("/9/0/16"), "no camera");
});

test("an outcome that comes later", async () => {
  await start({ install: () => "pending" });
  assert.throws(() => agent.software(0).setResult("installed"), { code: "RESULT_NOT_SETTABLE" });
  await push(PACKAGE);
  await execute(INSTALL);
  await until(isIn("installing"));
  assert.equal(await standing(), "3,3,0");
  agent.software(0).setResult("installFailed");
  await until(isIn("delivered"));
  assert.equal(await standing(), "3,58,0");
  assert.throws(() => agent.software(9), { code: "NO_SOFTWARE" });
});

test("a restart: what was active is active, what was half done has failed, what was installing is confirmed", async () => {
  const idle = { state: "idle", result: "success" } as const;
  for (const [before, expected] of [
    [{ state: "active", result: "installed", download: idle }, "4,2,1"],
    [{ state: "activating", result: "installed", download: idle }, "4,2,0"],
    [{ state: "uninstalling", result: "installed", download: idle }, "4,59,0"],
    [{ state: "installing", result: "verified", download: idle }, "4,2,0"],
    [{ state: "delivered", result: "verified", download: { state: "downloaded", result: "initial" } }, "3,3,0"],
    [
      { state: "downloadStarted", result: "downloading", download: { state: "downloaded", result: "initial" } },
      "3,3,0",
    ],
    [{ state: "installing", result: "verified", download: { state: "downloaded", result: "failed" } }, "3,58,0"],
    [{ state: "installing", result: "verified", download: { state: "updating", result: "initial" } }, "4,2,0"],
  ] as const) {
    saved = before;
    await start({ confirm: () => undefined });
    assert.equal(await standing(), expected, JSON.stringify(before));
    await agent.close();
  }
});

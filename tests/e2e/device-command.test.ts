/** `airlift device` as a process: installs by a restart, and survives the loss of its power. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, test } from "node:test";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { CoapNode } from "@airlift/runtime/coap-node";
import { generateSigningKey, imageCrypto, type KeyPairPem, loadSigningKey } from "@airlift/runtime/crypto";
import { openDtlsServer } from "@airlift/runtime/dtls";
import { BootstrapDoor } from "@airlift/server/links/bootstrap-door";
import pino from "pino";
import { openScriptedServer, type ScriptedServer, scriptServer } from "./scripted-server.ts";

const PROGRAM = join(import.meta.dirname, "../../packages/cli/src/main.ts");

let server: ScriptedServer;
let folder: string;
let key: KeyPairPem;
let device: ChildProcess | undefined;
let lines: { readonly kind: string; readonly [fact: string]: unknown }[];
let onLine: (() => void) | undefined;

beforeEach(async () => {
  server = await openScriptedServer();
  folder = await mkdtemp(join(tmpdir(), "airlift-device-"));
  key = generateSigningKey("ed25519");
  await writeFile(join(folder, "key.pub.pem"), key.publicPem);
  lines = [];
});

afterEach(async () => {
  await cutPower();
  await server.close();
  await rm(folder, { recursive: true });
});

function start(...more: string[]): ChildProcess {
  const options = ["--endpoint", "node-1", "--server", server.uri, "--slots", join(folder, "slots"), "--json"];
  const trust = ["--trust", join(folder, "key.pub.pem")];
  return run(...options, ...trust, ...more);
}

function run(...options: string[]): ChildProcess {
  device = spawn(process.execPath, [PROGRAM, "device", ...options], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  createInterface({ input: device.stdout as NodeJS.ReadableStream }).on("line", (line) => {
    lines.push(JSON.parse(line));
    onLine?.();
  });
  return device;
}

/** Waits for a line of the device; looks at those since the last one that was waited for. */
async function said(isIt: (line: (typeof lines)[number]) => boolean): Promise<(typeof lines)[number]> {
  for (;;) {
    while (lines.length > 0) {
      const line = lines.shift();
      if (line && isIt(line)) return line;
    }
    await new Promise<void>((resolve) => {
      onLine = resolve;
    });
  }
}

/** Kills the supervisor and its program in one blow. */
async function cutPower(): Promise<void> {
  const { pid, exitCode } = device ?? {};
  if (pid === undefined || exitCode !== null || device?.signalCode !== null) return;
  const gone = once(device, "exit");
  process.kill(-pid, "SIGKILL");
  await gone;
}

function image(version: { major: number; minor: number; revision: number; build: number }, by = key): Uint8Array {
  const signing = { crypto: imageCrypto, key: loadSigningKey(by.privatePem) };
  return makeMcubootImage(randomBytes(400_000), { version }, signing);
}

test("coaps with a key of the environment; a wrong key is one sentence", async () => {
  const psk = async () => Buffer.from("00112233445566778899aabbccddeeff", "hex");
  const dtls = await openDtlsServer({ udp: { host: "127.0.0.1" }, credentials: { psk } });
  await server.close();
  server = scriptServer(new CoapNode(dtls), `coaps://127.0.0.1:${dtls.address.port}`);
  process.env["AIRLIFT_PSK_KEY"] = "00112233445566778899AABBCCDDEEFF";
  start("--psk-identity", "node-1");
  delete process.env["AIRLIFT_PSK_KEY"];
  await said(({ kind }) => kind === "registered");
  assert.equal(await server.read("/3/0/2"), "node-1");
  await cutPower();
  start("--psk-identity", "node-1", "--psk-key", "00");
  const failed = await said(({ kind }) => kind === "registrationFailed");
  assert.match(String(failed["reason"]), /the server knows another key for this identity/);
});

test("--bootstrap: the factory's key brings the device's own, and a restart does without", async () => {
  const keys = new Map([["factory", Buffer.alloc(16, 7)]]);
  const psk = async (identity: string) => keys.get(identity);
  const open = () => openDtlsServer({ udp: { host: "127.0.0.1" }, credentials: { psk } });
  const [dtls, own] = [await open(), await open()];
  await server.close();
  server = scriptServer(new CoapNode(dtls), `coaps://127.0.0.1:${dtls.address.port}`);
  const node = new CoapNode(own);
  const door = new BootstrapDoor({
    credentials: {
      scopeOf: async () => "node-1",
      isInUse: async () => false,
      issueDeviceCredential: async () => {
        keys.set("node-1", Buffer.alloc(16, 8));
        return { identity: "node-1", key: Buffer.alloc(16, 8) };
      },
    },
    log: pino({ level: "silent" }),
    serverUri: async () => server.uri,
    onNews: () => undefined,
  });
  node.serve((request, peer) => {
    const identity = { kind: "psk", name: peer.identity.name } as const;
    return door.answer(request, { identity, address: "", request: (asked) => node.requestWhole(peer, asked) });
  });
  const named = ["--endpoint", "node-1", "--slots", join(folder, "slots"), "--json", "--allow-unsigned"];
  const where = ["--bootstrap", `coaps://127.0.0.1:${own.address.port}`, "--psk-identity", "factory"];
  run(...named, ...where, "--psk-key", "07".repeat(16));
  await said(({ kind }) => kind === "bootstrapped");
  assert.equal(await server.read("/3/0/2"), "node-1");
  await cutPower();
  await node.close();
  door.close();
  run(...named, ...where, "--psk-key", "07".repeat(16));
  await said(({ kind }) => kind === "registered");
});

const V2 = { major: 2, minor: 0, revision: 0, build: 0 };

test("a pull that loses its power twice, an update, the new version, and a goodbye", async () => {
  const bytes = image(V2);
  server.files.set("a", { bytes, etag: 1 });
  start();
  await server.registered();
  assert.equal(await server.read("/3/0/3"), "1.0.0");
  await server.write("/5/0/1", `${server.uri}/fw/a`);
  for (const storedBytes of [150_000, 300_000]) {
    await said((line) => line.kind === "progress" && Number(line["storedBytes"]) >= storedBytes);
    await cutPower();
    lines = [];
    start();
    await server.registered();
    const { storedBytes: resumedAt } = await said((line) => line.kind === "progress");
    assert.ok(Number(resumedAt) >= storedBytes - 65_536, `resumed at ${resumedAt}, not from the beginning`);
  }
  await said((line) => line.kind === "state" && line["state"] === "downloaded");
  assert.equal(await server.read("/5/0/7"), "2.0.0");
  assert.equal(await server.execute("/5/0/2"), "2.04");
  await server.registered();
  assert.equal(await server.read("/3/0/3"), "2.0.0");
  assert.equal(await server.read("/5/0/3"), "0");
  assert.equal(await server.read("/5/0/5"), "1");
  device?.kill("SIGTERM");
  if (device) assert.deepEqual(await once(device, "exit"), [0, null]);
  assert.equal(server.deregistrations.length, 1);
});

test("lesson 13: a new version that never reaches its server falls back, and that is a failure", async () => {
  start();
  await server.registered();
  assert.equal(await server.push(image(V2)), "2.04");
  server.isRefusing = true;
  assert.equal(await server.execute("/5/0/2"), "2.04");
  await said((line) => line.kind === "started" && line["outcome"] === "trial");
  await said((line) => line.kind === "registrationFailed");
  await cutPower();
  server.isRefusing = false;
  start();
  await server.registered();
  assert.equal(await server.read("/3/0/3"), "1.0.0");
  assert.equal(await server.read("/5/0/3"), "0");
  assert.equal(await server.read("/5/0/5"), "8");
});

test("an image signed by somebody else is refused with Result 5, and a reboot changes nothing", async () => {
  start();
  await server.registered();
  assert.equal(await server.push(image(V2, generateSigningKey("ed25519"))), "2.04");
  assert.equal(await server.read("/5/0/5"), "5");
  assert.equal(await server.execute("/3/0/4"), "2.04");
  await server.registered();
  assert.equal(await server.read("/3/0/3"), "1.0.0");
});

test("every wrong option is one line, and the exit code 2", async () => {
  const child = spawn(
    process.execPath,
    [
      PROGRAM,
      "device",
      "--server",
      "ftp://x",
      "--lwm2m",
      "2.0",
      "--block-size",
      "100",
      "--loss",
      "2",
      "--lifetime",
      "0",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let text = "";
  child.stderr.on("data", (bytes) => {
    text += bytes;
  });
  assert.deepEqual(await once(child, "close"), [2, null]);
  assert.deepEqual(
    text
      .trim()
      .split("\n")
      .map((line) => line.replace(/^airlift: /, "").split(/[ :]/)[0]),
    ["--endpoint", "--server", "--lifetime", "--lwm2m", "--trust", "--block-size", "--loss"],
  );
});

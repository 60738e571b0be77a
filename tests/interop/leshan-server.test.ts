/** The device's agent against a LwM2M server on Leshan's libraries, an implementation in Java that shares nothing with ours. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createUpdateAgent } from "@airlift/device/agent";
import { createMemoryDevice } from "../e2e/memory-handlers.ts";
import { openScriptedServer } from "../e2e/scripted-server.ts";
import { skipWithoutLeshan, startLeshanServer } from "./leshan-peers.ts";

const IMAGE = Uint8Array.from(randomBytes(50_000)).fill(0x11, 0, 1);
const IDENTITY = { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0.0" };

const skip = skipWithoutLeshan();

for (const format of ["cbor", "json"] as const) {
  test(`Leshan reads, writes and observes several places at once, SenML ${format}`, {
    skip,
    timeout: 120_000,
  }, async (context) => {
    const peer = await startLeshanServer();
    context.after(() => peer.stop());
    const { handlers, store } = createMemoryDevice();
    const identity = IDENTITY;
    const agent = createUpdateAgent({ endpoint: "leshan-2", server: peer.uri, handlers, store, identity });
    context.after(() => agent.close());
    await agent.start();
    await peer.told("registered");
    assert.equal(await peer.ask(`compose ${format} /3/0/0 /1/0/1`), "2.05 {/1/0/1=300, /3/0/0=Example}");
    assert.equal(await peer.ask(`settle ${format} /3/0/14=+01:00 /3/0/15=Asia/Tokyo`), "2.04");
    assert.equal(await peer.ask(`settle ${format} /3/0/14=+09:00 /3/0/0=Other`), "4.05");
    assert.match(await peer.ask(`attend ${format} /3/0/14 /1/0/1`), /^2\.05 /);
    assert.equal(await peer.ask("write /3/0/14 +02:00"), "2.04");
    assert.equal(await peer.told("notified"), "notified {/1/0/1=300, /3/0/14=+02:00}");
    assert.equal(await peer.ask("discover /3/0"), "2.05");
  });
}

for (const lwm2mVersion of ["1.0", "1.1"] as const) {
  test(`Leshan sees and drives the device, LwM2M ${lwm2mVersion}`, { skip, timeout: 120_000 }, async (context) => {
    const peer = await startLeshanServer();
    context.after(() => peer.stop());
    const files = await openScriptedServer();
    context.after(() => files.close());
    files.files.set("a", { bytes: IMAGE, etag: 1 });
    const folder = mkdtempSync(join(tmpdir(), "airlift-leshan-"));
    context.after(() => rmSync(folder, { recursive: true }));
    const device = createMemoryDevice();
    const agent = createUpdateAgent({
      endpoint: "leshan-1",
      server: peer.uri,
      handlers: device.handlers,
      store: device.store,
      identity: IDENTITY,
      lwm2mVersion,
      reportBySend: true,
      upgradeDelayMs: 10,
    });
    context.after(() => agent.close());
    await agent.start();
    assert.match(await peer.told("registered"), new RegExp(`^registered leshan-1 ${lwm2mVersion} `));

    assert.equal(await peer.ask("read /3/0/0"), "2.05 Example");
    assert.equal(await peer.ask("read /5/0/3"), "2.05 0");
    assert.equal(await peer.ask("read /5/0/8"), "2.05 [0, 1, 2, 3, 4, 5]");
    assert.match(await peer.ask("read /5/0"), /^2\.05 \{.*3=0, 5=0.*9=2/);
    assert.equal(await peer.ask("discover /5"), "2.05");
    assert.equal(await peer.ask("observe /5/0/3"), "2.05 0");
    assert.equal(await peer.ask("observe /5/0/5"), "2.05 0");
    assert.equal(await peer.ask("execute /5/0/2"), "4.05");

    assert.equal(await peer.ask("write /5/0/1 ftp://127.0.0.1/a"), "4.00");
    assert.equal(await peer.told("notified /5/0/5"), "notified /5/0/5 9");

    assert.equal(await peer.ask(`write /5/0/1 ${files.uri}/fw/a`), "2.04");
    assert.equal(await peer.told("notified /5/0/3 2"), "notified /5/0/3 2");
    assert.deepEqual(device.image(), IMAGE);
    if (lwm2mVersion !== "1.0") assert.match(await peer.told("sent {/5/0/3=2"), /\/5\/0\/5=0/);
    assert.equal(await peer.ask("read /5/0/7"), "2.05 2.0.0");

    assert.equal(await peer.ask("execute /5/0/2"), "2.04");
    assert.equal(await peer.told("notified /5/0/3 3"), "notified /5/0/3 3");
    agent.setResult("success");
    assert.equal(await peer.told("notified /5/0/5 1"), "notified /5/0/5 1");
    assert.equal(await peer.ask("read /5/0/5"), "2.05 1");

    writeFileSync(join(folder, "image"), IMAGE.subarray(0, 7_000));
    assert.equal(await peer.ask(`push /5/0/0 ${join(folder, "image")}`), "2.04");
    assert.deepEqual(device.image(), IMAGE.subarray(0, 7_000));
    assert.equal(await peer.ask("read /5/0/3"), "2.05 2");
    assert.equal(await peer.ask("write /5/0/1 "), "2.04");
    assert.equal(await peer.ask("read /5/0/3"), "2.05 0");

    await agent.close();
    assert.equal(await peer.told("unregistered"), "unregistered leshan-1");
  });
}

/** A new image that reaches its server but is not healthy: the device restarts into the old one and says so. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createUpdateAgent } from "@airlift/device/agent";
import { createSlots } from "@airlift/device/node/slots";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { imageCrypto } from "@airlift/runtime/crypto";
import { openScriptedServer } from "./scripted-server.ts";

const image = (major: number): Uint8Array =>
  makeMcubootImage(
    new Uint8Array(500).fill(major),
    { version: { major, minor: 0, revision: 0, build: 0 } },
    { crypto: imageCrypto },
  );

test("health check: one start on trial, then the old image, with Update Result 8", async () => {
  const directory = mkdtempSync(join(tmpdir(), "airlift-health-"));
  const server = await openScriptedServer();
  const checked: string[] = [];
  /** One start of the device, until it restarts. */
  const run = async (during: (version: string) => Promise<void>): Promise<void> => {
    const healthCheck = (): never => {
      checked.push(slots.version());
      throw new Error("no sensor answers");
    };
    const slots = createSlots({ directory, trust: "allow-unsigned", factoryVersion: "1.0.0", healthCheck });
    await slots.boot();
    const hasRestarted = Promise.withResolvers<void>();
    const agent = createUpdateAgent({
      endpoint: "node-1",
      server: server.uri,
      slots,
      identity: { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: slots.version() },
      upgradeDelayMs: 0,
      reboot: () => hasRestarted.resolve(),
    });
    try {
      await agent.start();
      await server.registered();
      await during(slots.version());
      if (slots.version() !== "1.0.0" || (await server.read("/5/0/3")) === "3") await hasRestarted.promise;
    } finally {
      await agent.close({ saysGoodbye: false });
    }
  };
  try {
    await run(async () => {
      assert.equal(await server.push(image(2)), "2.04");
      assert.equal(await server.execute("/5/0/2"), "2.04");
    });
    await run(async (version) => assert.equal(version, "2.0.0"));
    await run(async (version) => {
      assert.equal(version, "1.0.0");
      assert.deepEqual([await server.read("/5/0/3"), await server.read("/5/0/5")], ["0", "8"]);
    });
    assert.deepEqual(checked, ["2.0.0"]);
  } finally {
    await server.close();
    // A process that was killed may still be letting go of its files.
    rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  }
});

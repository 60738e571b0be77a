/** A listener that throws: the process hears of it, and the update goes on where the process does. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { ROOT } from "../../tools/guide-code.ts";
import { openScriptedServer } from "./scripted-server.ts";

const PROGRAM = `
import { createUpdateAgent } from "@airlift/device";
process.on("uncaughtException", () => undefined);
const agent = createUpdateAgent({
  endpoint: "node-1",
  server: process.env.SERVER,
  handlers: { openStream() {}, write() {}, finish() {}, reset() {}, performUpgrade: () => "pending" },
  identity: { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0.0" },
  onEvent: () => { throw new Error("a listener of the integrator"); },
});
await agent.start();
`;

test("a listener that throws at every event does not stop the update", { timeout: 20_000 }, async (t) => {
  const server = await openScriptedServer();
  const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], {
    cwd: ROOT,
    env: { ...process.env, SERVER: server.uri },
    stdio: ["ignore", "ignore", "inherit"],
  });
  t.after(async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
    await server.close();
  });
  await server.registered();
  assert.equal(await server.push(new Uint8Array(3_000).fill(1)), "2.04");
  assert.deepEqual([await server.read("/5/0/3"), await server.read("/5/0/5")], ["2", "0"]);
});

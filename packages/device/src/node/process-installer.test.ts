/** A program that updates itself, as real processes: the test's own process is the one that watches. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { generateSigningKey, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { type ContractSubject, testHandlers } from "../contract/handlers-contract.ts";
import { createProcessInstaller, type ProcessInstallerOptions, superviseProgram } from "./process-installer.ts";
import { signProgram } from "./program-signature.ts";

const pair = generateSigningKey();
const key = loadSigningKey(pair.privatePem);
const INSTALLER = new URL("./process-installer.ts", import.meta.url).href;
const CRYPTO = new URL("../../../runtime/src/crypto.ts", import.meta.url).href;
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "airlift-process-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A program that writes down its version and the update's result, and then does `rest`. */
function program(rest: string): string {
  return `
    import { appendFileSync, existsSync, readFileSync } from "node:fs";
    import { createProcessInstaller } from ${JSON.stringify(INSTALLER)};
    import { loadPublicKey } from ${JSON.stringify(CRYPTO)};
    const trust = [loadPublicKey(${JSON.stringify(pair.publicPem)})];
    const directory = ${JSON.stringify(join(root, "slots"))};
    const { slots, restart } = await createProcessInstaller({ directory, trust, factoryVersion: "1.0.0" });
    const { state, result } = await slots.store.load();
    appendFileSync(${JSON.stringify(join(root, "log"))}, slots.version() + " " + state + " " + result + "\\n");
    ${rest}`;
}

/** Installs what lies in \`next\`, once; afterwards it ends with 7. */
const OLD = (): string =>
  program(`
    if (state === "idle" && result === "initial") {
      await slots.handlers.openStream({});
      await slots.handlers.write(readFileSync(${JSON.stringify(join(root, "next"))}));
      await slots.handlers.finish();
      await slots.store.save({ state: "updating", result: "initial" });
      await slots.handlers.performUpgrade();
      restart();
    }
    process.exitCode = 7;`);

async function run(next: Uint8Array, options: Partial<ProcessInstallerOptions> = {}): Promise<number> {
  const factory = join(root, "factory.mjs");
  writeFileSync(factory, OLD());
  writeFileSync(join(root, "next"), next);
  return superviseProgram({
    directory: join(root, "slots"),
    trust: [loadPublicKey(pair.publicPem)],
    factoryVersion: "1.0.0",
    program: factory,
    // What a broken program says is not the test's.
    command: (file) => ["sh", "-c", 'exec "$0" "$@" 2>/dev/null', process.execPath, file],
    ...options,
  });
}

const signed = (rest: string, version = "2.0.0"): Uint8Array => signProgram(encodeUtf8(program(rest)), version, key);
const log = (): string[] => readFileSync(join(root, "log"), "utf8").trim().split("\n");

test("a new program runs, confirms itself, and is what runs from then on", async () => {
  const next = signed("await slots.confirm(); process.exitCode = 5;");
  assert.equal(await run(next), 5);
  assert.deepEqual(log(), ["1.0.0 idle initial", "2.0.0 updating initial"]);
  assert.equal(await run(next), 5);
  assert.deepEqual(log().slice(2), ["2.0.0 idle success"]);
});

test("a new program that does not even start is followed by the old one, which tells the failure", async () => {
  assert.equal(await run(signProgram(encodeUtf8("this is no program"), "2.0.0", key)), 7);
  assert.deepEqual(log(), ["1.0.0 idle initial", "1.0.0 idle failed"]);
});

test("a new program that the system cannot run is followed by the old one", async () => {
  const command: ProcessInstallerOptions["command"] = (file) =>
    file.endsWith("image")
      ? [join(root, "nowhere")]
      : ["sh", "-c", 'exec "$0" "$@" 2>/dev/null', process.execPath, file];
  assert.equal(await run(signed(""), { command }), 7);
  assert.deepEqual(log(), ["1.0.0 idle initial", "1.0.0 idle failed"]);
});

test("a new program that ends before it has confirmed itself, well or badly, is followed by the old one", async () => {
  assert.equal(await run(signed("process.exitCode = 0;")), 7);
  assert.deepEqual(log(), ["1.0.0 idle initial", "2.0.0 updating initial", "1.0.0 idle failed"]);
});

test("a new program that does not confirm itself in time is ended, and the old one follows", async () => {
  assert.equal(await run(signed("setInterval(() => {}, 1000);"), { trialTimeoutMs: 1_000 }), 7);
  assert.deepEqual(log().at(-1), "1.0.0 idle failed");
});

test("a new program that has confirmed itself is left alone when the time is over", async () => {
  const next = signed("await slots.confirm(); setTimeout(() => { process.exitCode = 3; }, 1500);");
  assert.equal(await run(next, { trialTimeoutMs: 1_000 }), 3);
});

test("a program that nobody we trust has signed is never started", async () => {
  const stranger = loadSigningKey(generateSigningKey().privatePem);
  assert.equal(await run(signProgram(encodeUtf8(program("")), "2.0.0", stranger)), 1);
  assert.deepEqual(log(), ["1.0.0 idle initial"]);
  assert.equal(existsSync(join(root, "slots", "b", "image")), false);
});

testHandlers("process installer", async (): Promise<ContractSubject> => {
  const directory = mkdtempSync(join(root, "contract-"));
  const open = async () => {
    process.env["AIRLIFT_SLOT"] = "a";
    try {
      return (
        await createProcessInstaller({ directory, trust: [loadPublicKey(pair.publicPem)], persistEveryBytes: 64 })
      ).slots;
    } finally {
      delete process.env["AIRLIFT_SLOT"];
    }
  };
  const goodImage = signed("");
  const badImage = Uint8Array.from(goodImage).fill(0x20, 10, 40);
  const { handlers, store } = await open();
  return { handlers, store, goodImage, badImage, restart: open };
});

/** A gateway that was just installed or changed: what compiling it took is not in the process that stays. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";

const LAUNCHER = join(import.meta.dirname, "../../packages/cli/bin/airlift.js");
/** Makes any Node.js say that it is an old one; the one that it hands over to is not told. */
const OLD = ["--import", "data:text/javascript,Object.defineProperty(process,'version',{value:'v20.20.2'})"];
/** Every process says which it is when it starts, and when it ends whether it had loaded what strips types. */
const WITNESS = `data:text/javascript,${encodeURIComponent(`
  process._rawDebug("start " + process.pid);
  process.on("exit", () => process._rawDebug("end " + process.pid + " " + process.moduleLoadList.some((one) => one.includes("amaro"))));
`)}`;

/** A modem that takes all and says nothing; the server is away. */
const modem = createServer((socket) => void socket.resume().on("error", () => {}));
const folder = mkdtempSync(join(tmpdir(), "airlift-fresh-"));
before(async () => {
  modem.listen(0, "127.0.0.1");
  await once(modem, "listening");
});
after(() => {
  modem.close();
  rmSync(folder, { recursive: true });
});

/** Runs a gateway until it is on air, and ends it by SIGTERM. */
async function runGateway(cache: string, flags: readonly string[] = []) {
  const { port } = modem.address() as AddressInfo;
  const link = ["--link", `kiss+tcp://127.0.0.1:${port}`, "--network-key", "4e".repeat(16), "--log-level", "silent"];
  const place = ["--server", "http://127.0.0.1:9", "--id", "mast", "--data", join(folder, "data")];
  const child = spawn(process.execPath, [...flags, LAUNCHER, "gateway", ...place, ...link], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_COMPILE_CACHE: cache, NODE_OPTIONS: `--import=${WITNESS}` },
  });
  const told = text(child.stderr);
  const ended = once(child, "close");
  await Promise.race([once(child.stdout, "data"), ended]);
  child.kill("SIGTERM");
  const [code, signal] = await ended;
  const lines = (await told).split("\n");
  const wordsOf = (kind: string) => lines.map((line) => line.split(" ")).filter(([first]) => first === kind);
  const starts = wordsOf("start").map(([, pid]) => pid);
  const [, last, hasStripper] = wordsOf("end").find(([, pid]) => pid === starts.at(-1)) ?? [];
  return { code, signal, pid: `${child.pid}`, starts, last, hasStripper, text: lines.join("\n") };
}

test("a start that compiles begins again from the cache, as the same process; the next one has nothing to compile", async () => {
  const cache = join(folder, "cache");
  const first = await runGateway(cache);
  assert.deepEqual([first.code, first.signal, first.hasStripper], [0, null, "false"], first.text);
  assert.deepEqual(first.starts, [first.pid, first.pid]);
  const second = await runGateway(cache);
  assert.deepEqual([second.code, second.starts, second.hasStripper], [0, [second.pid], "false"], second.text);
});

test("without a place for the cache it runs all the same, and starts once", async () => {
  const { code, starts, pid, text } = await runGateway("/dev/null/none");
  assert.deepEqual([code, starts], [0, [pid]], text);
});

test("under an older Node.js the launcher starts it again: it would lose its channel otherwise", async () => {
  const { code, starts, pid, hasStripper, last, text } = await runGateway(join(folder, "handed-over"), OLD);
  assert.deepEqual([code, hasStripper], [0, "false"], text);
  assert.deepEqual([starts.length, starts[0]], [3, pid]);
  assert.notEqual(last, pid);
});

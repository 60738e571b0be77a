/** The installed command under a Node.js that cannot run the program itself. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";

const LAUNCHER = join(import.meta.dirname, "../../packages/cli/bin/airlift.js");
/** Takes connections and never answers. */
const silent = createServer();
before(async () => {
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
});
after(() => void silent.close());

/** Makes any Node.js say that it is an old one; the one that it hands over to is not told. */
const OLD = "data:text/javascript,Object.defineProperty(process,'version',{value:'v20.20.2'})";

const start = (...args: string[]) =>
  spawn(process.execPath, ["--import", OLD, LAUNCHER, ...args], { stdio: ["ignore", "pipe", "pipe"] });

async function run(...args: string[]) {
  const child = start(...args);
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { out, err, code };
}

test("words and exit codes are the program's own", async () => {
  const version = await run("--version");
  assert.deepEqual([version.code, version.out], [0, "0.1.0\n"], version.err);
  const wrong = await run("image", "ad");
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /^airlift: unknown command 'ad'/);
});

test("a signal to the launcher is one to the program, and its end is the launcher's", async () => {
  const { launcher, connection } = await untilAsking();
  launcher.kill("SIGTERM");
  const [[code, signal]] = await Promise.all([once(launcher, "close"), once(connection, "close")]);
  assert.deepEqual([code, signal], [null, "SIGTERM"]);
});

test("who kills the launcher outright kills the program", async () => {
  const { launcher, connection } = await untilAsking();
  launcher.kill("SIGKILL");
  await Promise.all([once(launcher, "exit"), once(connection, "close")]);
});

/** A program that waits for an answer, and the connection that it waits on. */
async function untilAsking(): Promise<{ launcher: ChildProcess; connection: Socket }> {
  const asked = once(silent, "connection");
  const { port } = silent.address() as AddressInfo;
  const launcher = start("devices", "--url", `http://127.0.0.1:${port}`);
  const [connection] = (await asked) as [Socket];
  connection.resume();
  connection.on("error", () => {});
  return { launcher, connection };
}

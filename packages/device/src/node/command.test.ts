import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { watch } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { commandFailed, fillIn, KEPT_OUTPUT_CHARACTERS, runCommand } from "./command.ts";

const node = (script: string): readonly [string, ...string[]] => [process.execPath, "-e", script];

test("a command's exit code and the end of what it prints, of both streams", async () => {
  const outcome = await runCommand(node("console.log('begin'); console.error('went wrong'); process.exitCode = 3"));
  assert.equal(outcome.exitCode, 3);
  assert.equal(outcome.wasEnded, false);
  assert.deepEqual(outcome.output.split("\n").sort(), ["begin", "went wrong"]);
});

test("what is printed is kept up to a bound, and from the end", async () => {
  const { output } = await runCommand(node("process.stdout.write('x'.repeat(300000) + 'end')"));
  assert.ok(output.length <= KEPT_OUTPUT_CHARACTERS && output.endsWith("end"));
});

test("a program that takes too long is ended, and all that it started", async () => {
  const directory = mkdtempSync(join(tmpdir(), "airlift-command-"));
  try {
    const file = join(directory, "pid");
    const grandchild = `process.on("SIGTERM", () => {}); setInterval(() => {}, 1000);
      require("node:fs").writeFileSync(${JSON.stringify(file)}, String(process.pid))`;
    const parent = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(grandchild)}],
      { stdio: "inherit" }); setInterval(() => {}, 1000)`;
    const ending = new AbortController();
    const running = runCommand(node(parent), { signal: ending.signal });
    for await (const _change of watch(directory)) if (existsSync(file) && readFileSync(file, "utf8") !== "") break;
    ending.abort();
    const outcome = await running;
    assert.deepEqual([outcome.wasEnded, outcome.exitCode], [true, undefined]);
    const pid = readFileSync(file, "utf8");
    for (let looks = 0; looks < 100_000 && !isGone(pid); looks += 1) await nextTurn();
    assert.ok(isGone(pid), "what it started is ended too, though it does not heed SIGTERM");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("the time limit ends a program", async () => {
  const outcome = await runCommand(node("setInterval(() => {}, 1000)"), { timeoutMs: 1 });
  assert.equal(outcome.wasEnded, true);
});

test("a program that we may not end goes on to its own end, and the agent with it", async (context) => {
  const kill = context.mock.method(process, "kill", () => {
    throw Object.assign(new Error("not permitted"), { code: "EPERM" });
  });
  const outcome = await runCommand(node("setTimeout(() => { process.exitCode = 4; }, 200)"), { timeoutMs: 1 });
  assert.ok(kill.mock.callCount() > 0);
  assert.deepEqual([outcome.wasEnded, outcome.exitCode], [true, 4]);
});

/** Gone, or dead and waiting for its parent to take notice. */
function isGone(pid: string): boolean {
  try {
    process.kill(Number(pid), 0);
  } catch {
    return true;
  }
  return existsSync(`/proc/${pid}/stat`) && /\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

test("a program that is not there is told as such", async () => {
  await assert.rejects(runCommand(["/nowhere/rauc", "install"]), { code: "COMMAND_NOT_STARTED" });
});

test("names in braces are filled in, no shell reads the words, and what is unknown stays", async () => {
  const values = { file: "/tmp/a b; exit 1", version: "1.0" };
  assert.deepEqual(fillIn(["x", "{file}", "v{version}-{other}"], values), ["x", "/tmp/a b; exit 1", "v1.0-{other}"]);
  const outcome = await runCommand(fillIn([...node("console.log(process.argv[1])"), "{file}"], values));
  assert.deepEqual([outcome.exitCode, outcome.output], [0, values.file]);
});

test("the sentence of a failure ends with the last words", () => {
  const outcome = { exitCode: 1, wasEnded: false, output: "checking\nsignature does not match" };
  assert.equal(commandFailed(["rauc"], outcome).message, "rauc ended with 1: signature does not match");
  assert.equal(commandFailed(["rauc"], { ...outcome, wasEnded: true, output: "" }).message, "rauc took too long");
  assert.equal(
    commandFailed(["rauc"], { exitCode: undefined, wasEnded: false, output: "" }).message,
    "rauc was killed",
  );
});

#!/usr/bin/env node
/**
 * `airlift` for whatever Node.js is on the PATH: one that is too old to run the program hands over to the one that came with
 * the packages, passes signals on, and ends as that ends. Plain JavaScript, so that every Node.js can read it.
 */
import { spawn } from "node:child_process";
import module, { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";

/** As in `engines`. */
const OLDEST = [24, 7];
const PASSED_ON = ["SIGTERM", "SIGHUP", "SIGUSR2"];
/** How a program that has filled the compile cache asks to be started again, from there: as src/fresh-start.ts has it. */
const FRESH_START_VARIABLE = "AIRLIFT_FRESH_START";
const FRESH_START_CODE = 75;
/** A terminal sends these to all of its programs by itself. */
const FROM_THE_KEYBOARD = ["SIGINT", "SIGQUIT"];

if (isNewEnough(process.version)) {
  endWithLauncher();
  if (isForSmallMachine(process.argv)) keepHeapSmall();
  keepCompiled();
  await import("../src/main.ts");
} else {
  handOver(packagedNode());
}

function isNewEnough(version) {
  const [major, minor] = version.slice(1).split(".").map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

/** Whoever kills the launcher outright means the program. */
function endWithLauncher() {
  if (process.channel === undefined) return;
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.channel.unref();
}

/** Whether the command is one that runs for years beside a radio; taken for one by mistake, another has little loss. */
function isForSmallMachine(words) {
  return words.includes("gateway") || (words.includes("mesh") && words.includes("device"));
}

/** Left alone, the young part of the heap grows to 128 MB before it is looked through. It never shrinks: hence before anything is loaded. */
function keepHeapSmall() {
  setFlagsFromString("--semi-space-growth-factor=1");
}

/** Compiled once, the program starts in half the time, and without the memory that reading TypeScript takes. */
function keepCompiled() {
  const { NODE_COMPILE_CACHE: chosen, XDG_CACHE_HOME: caches } = process.env;
  try {
    module.enableCompileCache(chosen || join(caches || join(homedir(), ".cache"), "airlift"));
  } catch {
    // Nobody's home: it is compiled anew.
  }
}

/** The path of the Node.js in `node_modules`; ends the process when there is none. */
function packagedNode() {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve("node/package.json"));
    return join(folder, "bin", process.platform === "win32" ? "node.exe" : "node");
  } catch {
    return refuse();
  }
}

function refuse() {
  const wanted = OLDEST.join(".");
  process.stderr.write(
    `airlift: this is Node.js ${process.version}, and airlift needs ${wanted} or later: install that, or run npm ci\n`,
  );
  process.exit(1);
}

function handOver(node, freshStart = `${FRESH_START_CODE}`) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, [FRESH_START_VARIABLE]: freshStart },
  });
  const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  let told = null;
  const tell = (signal) => {
    told = signal;
    if (!hasTerminal || PASSED_ON.includes(signal)) child.kill(signal);
  };
  for (const signal of [...PASSED_ON, ...FROM_THE_KEYBOARD]) process.on(signal, tell);
  child.once("error", refuse);
  child.once("exit", (code, signal) => {
    for (const one of [...PASSED_ON, ...FROM_THE_KEYBOARD]) process.removeAllListeners(one);
    const isFreshStart = code === FRESH_START_CODE && freshStart !== "done";
    // One that was told to end while it was ending does not begin again.
    const last = signal ?? (isFreshStart ? told : null);
    if (last !== null) process.kill(process.pid, last);
    else if (isFreshStart) handOver(node, "done");
    else process.exit(code);
  });
}

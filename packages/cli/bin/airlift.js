#!/usr/bin/env node
/**
 * `airlift` for whatever Node.js is on the PATH: one that is too old to run the program hands over to the one that came with
 * the packages, passes signals on, and ends as that ends. Plain JavaScript, so that every Node.js can read it.
 */
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** As in `engines`. */
const OLDEST = [24, 7];
const PASSED_ON = ["SIGTERM", "SIGHUP", "SIGUSR2"];
/** A terminal sends these to all of its programs by itself. */
const FROM_THE_KEYBOARD = ["SIGINT", "SIGQUIT"];

if (isNewEnough(process.version)) {
  endWithLauncher();
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

function handOver(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  const hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;
  for (const signal of PASSED_ON) process.on(signal, () => child.kill(signal));
  for (const signal of FROM_THE_KEYBOARD) process.on(signal, () => hasTerminal || child.kill(signal));
  child.once("error", refuse);
  child.once("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    for (const one of [...PASSED_ON, ...FROM_THE_KEYBOARD]) process.removeAllListeners(one);
    process.kill(process.pid, signal);
  });
}

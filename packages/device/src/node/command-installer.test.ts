import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, afterEach, beforeEach, test } from "node:test";
import { type ContractSubject, testHandlers } from "../contract/handlers-contract.ts";
import { type CommandInstaller, type CommandInstallerOptions, createCommandInstaller } from "./command-installer.ts";
import { rauc, swupdate, sysupdate } from "./install-templates.ts";

/** What /5 calls the image is not looked at by these. */
const PACKAGE = Uint8Array.from({ length: 500 }, (_, i) => i % 251);

const root = mkdtempSync(join(tmpdir(), "airlift-installer-"));
const path = process.env["PATH"] ?? "";
let directory: string;
let systemVersion: string;
let bootId: string;
let count = 0;

beforeEach(() => {
  count += 1;
  directory = join(root, `${count}`);
  mkdirSync(join(directory, "bin"), { recursive: true });
  process.env["PATH"] = `${join(directory, "bin")}${delimiter}${path}`;
  systemVersion = "1.0";
  bootId = "first";
});
afterEach(() => {
  process.env["PATH"] = path;
});
after(() => rmSync(root, { recursive: true, force: true }));

/** A program in PATH that writes down how it was called, and then does what `script` says. */
function fake(name: string, script = "exit 0"): void {
  const file = join(directory, "bin", name);
  writeFileSync(file, `#!/bin/sh\necho "${name} $*" >> '${join(directory, "calls")}'\n${script}\n`);
  chmodSync(file, 0o755);
}

function calls(): string[] {
  const file = join(directory, "calls");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
}

const packageFile = (): string => join(directory, "state", "package");

function open(options: Partial<CommandInstallerOptions> = {}): CommandInstaller {
  return createCommandInstaller({
    ...rauc(),
    directory: join(directory, "state"),
    version: () => systemVersion,
    bootId: () => bootId,
    ...options,
  });
}

async function downloaded(installer: CommandInstaller): Promise<void> {
  await installer.handlers.openStream({});
  await installer.handlers.write(PACKAGE);
  await installer.handlers.finish();
}

async function installed(installer: CommandInstaller): Promise<void> {
  await downloaded(installer);
  await installer.store.save({ state: "updating", result: "initial" });
  assert.equal(await installer.handlers.performUpgrade(), "restarting");
}

/** State and result that a start loads. */
async function standing(installer: CommandInstaller): Promise<string> {
  const { state, result } = await installer.store.load();
  return `${state} ${result}`;
}

test("RAUC: verified when downloaded, installed when told, marked good when its server was reached", async () => {
  fake("rauc", `cmp -s "$2" '${join(directory, "expected")}' || [ "$1" = status ]`);
  writeFileSync(join(directory, "expected"), PACKAGE);
  await installed(open());
  bootId = "second";
  systemVersion = "2.0";
  const next = open();
  assert.equal(await standing(next), "updating initial");
  await next.handlers.confirm?.();
  await next.store.save({ state: "idle", result: "success" });
  await next.handlers.reset();
  assert.equal(existsSync(packageFile()), false);
  assert.equal(await standing(open()), "idle success");
  const file = packageFile();
  assert.deepEqual(calls(), [`rauc info ${file}`, `rauc install ${file}`, "rauc status mark-good"]);
});

test("a package that is refused when verified is integrityFailed, with the program's last words, and is not kept", async () => {
  fake("rauc", "echo 'signature verification failed' >&2; exit 1");
  const installer = open();
  const message = /rauc ended with 1: signature verification failed/;
  await assert.rejects(downloaded(installer), { result: "integrityFailed", message });
  assert.equal(existsSync(packageFile()), false);
  fake("rauc");
  await downloaded(installer);
});

test("exit codes mean what the integrator says, any other that it failed; the output is kept", async () => {
  for (const [code, expected] of [
    [3, { result: "noFlash" }],
    [1, { code: "COMMAND_FAILED" }],
  ] as const) {
    fake("rauc", `[ "$1" = info ] || { echo "no luck"; exit ${code}; }`);
    const installer = open({ results: { 3: "noFlash" } });
    await downloaded(installer);
    const error = await Promise.resolve(installer.handlers.performUpgrade()).catch((reason) => reason);
    for (const [name, value] of Object.entries(expected)) assert.equal(error[name], value);
    assert.match((error.cause ?? error).facts.output, /no luck/);
    assert.ok(existsSync(packageFile()), "it may be executed again");
  }
});

test("a program that hangs is ended, and the installation has failed", async () => {
  fake("rauc", '[ "$1" = info ] || sleep 600');
  const installer = open({ timeoutMs: 300 });
  await downloaded(installer);
  await assert.rejects(async () => installer.handlers.performUpgrade(), { message: /took too long/ });
});

test("a program that is missing fails the installation, not the agent", async () => {
  const installer = open({ install: ["rauc-is-not-here", "{file}"], verify: [process.execPath, "-e", ""] });
  await downloaded(installer);
  await assert.rejects(async () => installer.handlers.performUpgrade(), { code: "COMMAND_NOT_STARTED" });
});

test("SWUpdate: the key and the selection go along, and the boot loader is told", async () => {
  fake("swupdate");
  fake("fw_setenv");
  const confirm = ["fw_setenv", "ustate", "0"] as const;
  const commands = swupdate({ publicKey: "/etc/key.pem", select: "stable,copy-2", confirm });
  const installer = open(commands);
  await installed(installer);
  await installer.handlers.confirm?.();
  const file = packageFile();
  assert.deepEqual(calls(), [
    `swupdate -k /etc/key.pem -e stable,copy-2 -c -i ${file}`,
    `swupdate -k /etc/key.pem -e stable,copy-2 -i ${file}`,
    "fw_setenv ustate 0",
  ]);
});

test("systemd-sysupdate: the package lies where its transfer file looks for it, as long as it runs", async () => {
  const sourceDirectory = join(directory, "source");
  mkdirSync(sourceDirectory);
  const placed = join(sourceDirectory, "app_2.0.raw");
  fake("systemd-sysupdate", `cmp -s '${placed}' '${packageFile()}'`);
  const template = sysupdate({
    program: "systemd-sysupdate",
    sourceDirectory,
    matchPattern: "app_@v.raw",
    component: "app",
  });
  const installer = createCommandInstaller({
    ...template,
    directory: join(directory, "state"),
    version: () => systemVersion,
    describe: async () => ({ version: "2.0" }),
    bootId: () => bootId,
  });
  await installed(installer);
  assert.deepEqual(calls(), ["systemd-sysupdate --component=app update 2.0"]);
  assert.equal(existsSync(placed), false);
});

test("a place that is where the package lies already keeps it there", async () => {
  fake("rauc");
  const installer = open({ place: () => join(directory, "state", ".", "package") });
  await downloaded(installer);
  assert.equal(await installer.handlers.performUpgrade(), "restarting");
  assert.ok(existsSync(packageFile()));
});

test("a version that is no version never becomes a word of a command or part of a path", async () => {
  fake("rauc");
  for (const version of ["../../etc/passwd", "--reboot", "1 2", ""]) {
    await assert.rejects(downloaded(open({ describe: async () => ({ version }) })), { result: "unsupportedPackage" });
  }
  assert.deepEqual(calls(), []);
});

test("a start tells what became of an installation: the same version fell back, another is on trial", async () => {
  fake("rauc");
  await installed(open());
  assert.equal(await standing(open()), "downloaded failed", "only the process started again");
  bootId = "second";
  assert.equal(await standing(open()), "idle failed");
  systemVersion = "2.0";
  assert.equal(await standing(open()), "updating initial");
});

test("a status command knows better than the version", async () => {
  fake("rauc");
  fake("is-new", `exit "$(cat '${join(directory, "code")}')"`);
  const options = { status: ["is-new"] as const };
  await installed(open(options));
  bootId = "second";
  for (const [code, expected] of [
    ["0", "updating initial"],
    ["1", "idle failed"],
  ] as const) {
    writeFileSync(join(directory, "code"), code);
    assert.equal(await standing(open(options)), expected);
  }
});

test("power that goes during the installation leaves the package, which can be installed again", async () => {
  fake("rauc", `[ "$1" = info ] || exit 1`);
  const installer = open();
  await downloaded(installer);
  await installer.store.save({ state: "updating", result: "initial" });
  await assert.rejects(async () => installer.handlers.performUpgrade());
  bootId = "second";
  fake("rauc");
  const next = open();
  assert.equal(await standing(next), "downloaded failed");
  assert.equal(await next.handlers.performUpgrade(), "restarting");
});

test("an installation that needs no restart is done at once", async () => {
  fake("rauc");
  const installer = open({ needsRestart: false });
  await downloaded(installer);
  assert.equal(await installer.handlers.performUpgrade(), "installed");
});

test("a system that is not healthy is not marked good", async () => {
  fake("rauc");
  const healthCheck = (): never => {
    throw new Error("no modem");
  };
  await assert.rejects(async () => open({ healthCheck }).handlers.confirm?.(), { code: "UNHEALTHY" });
  assert.deepEqual(calls(), []);
});

testHandlers("command installer", async (): Promise<ContractSubject> => {
  count += 1;
  directory = join(root, `${count}`);
  mkdirSync(join(directory, "bin"), { recursive: true });
  const check = `process.exitCode = require("node:fs").readFileSync(process.argv[1])[0] === 255 ? 1 : 0`;
  const state = join(directory, "state");
  const create = (): CommandInstaller =>
    createCommandInstaller({
      directory: state,
      install: ["true"],
      verify: [process.execPath, "-e", check, "{file}"],
      version: () => "1.0",
      persistEveryBytes: 64,
    });
  const badImage = Uint8Array.from(PACKAGE).fill(255, 0, 1);
  return { ...create(), goodImage: PACKAGE, badImage, restart: async () => create() };
});

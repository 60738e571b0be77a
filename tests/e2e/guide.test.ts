/** The code of the guides: all of it compiles, its commands are there, and its programs do what their chapters say. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { blockOffset, findBlock } from "@airlift/protocol/coap/block-option";
import { OPTION } from "@airlift/protocol/coap/options";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { generateSigningKey, imageCrypto, loadSigningKey } from "@airlift/runtime/crypto";
import { signatureHeaders } from "@airlift/server/webhooks/signature";
import {
  compileGuideCode,
  fileOf,
  guideBlocks,
  mistakesOfCommands,
  ROOT,
  writeGuideCode,
} from "../../tools/guide-code.ts";
import { openScriptedServer, type ScriptedServer } from "./scripted-server.ts";

const CODE = join(ROOT, ".guide-code");
const GIVE_UP_MS = 20_000;
const programs = guideBlocks().filter(({ name }) => name !== undefined);

let server: ScriptedServer;
let directory: string;
let running: ChildProcess | undefined;

before(() => writeGuideCode(CODE));
after(() => rmSync(CODE, { recursive: true, force: true }));
beforeEach(async () => {
  server = await openScriptedServer();
  directory = mkdtempSync(join(tmpdir(), "airlift-guide-"));
});
afterEach(async () => {
  if (running && running.exitCode === null && running.signalCode === null) {
    running.kill("SIGKILL");
    await once(running, "exit");
  }
  running = undefined;
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

/** A program of the guide, as its own process, registered at the server. */
class Program {
  readonly #child: ChildProcess;
  readonly #events: Record<string, unknown>[] = [];
  #look: () => void = () => undefined;

  static async start(name: string): Promise<Program> {
    const block = programs.find((each) => each.name === name);
    assert.ok(block, `no program ${name} in the guides`);
    const program = new Program(join(CODE, fileOf(block)));
    await server.registered();
    return program;
  }

  private constructor(file: string) {
    const env = { ...process.env, SERVER: server.uri };
    this.#child = spawn(process.execPath, [file], { cwd: directory, env, stdio: ["ignore", "pipe", "inherit"] });
    running = this.#child;
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      this.#events.push(JSON.parse(line) as Record<string, unknown>);
      this.#look();
    });
  }

  /** Settles when the program has printed an event that `isIt`. */
  said(isIt: (event: Record<string, unknown>) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => this.#events.some(isIt) && resolve();
      this.#look();
    });
  }

  async exit(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exit();
  }
}

/** Reads until it is so; every read is answered by the device, so nothing is waited for but it. */
async function reads(path: string, wanted: string): Promise<void> {
  const giveUpAtMs = performance.now() + GIVE_UP_MS;
  while (performance.now() < giveUpAtMs) if ((await server.read(path)) === wanted) return;
  assert.equal(await server.read(path), wanted);
}

const image = (first: number, sizeBytes = 3_000): Uint8Array => new Uint8Array(sizeBytes).fill(0x33).fill(first, 0, 1);

async function pull(path: string, bytes: Uint8Array): Promise<void> {
  server.files.set("2", { bytes, etag: 2 });
  assert.equal(await server.write(path, `${server.uri}/fw/2`), "2.04");
}

/** What is done with each program. */
const SCENARIOS: Readonly<Record<string, () => Promise<void>>> = {
  "thirty-lines": async () => {
    const pair = generateSigningKey();
    writeFileSync(join(directory, "release.pub.pem"), pair.publicPem);
    const version = { major: 2, minor: 0, revision: 0, build: 0 };
    const signing = { crypto: imageCrypto, key: loadSigningKey(pair.privatePem) };
    const first = await Program.start("thirty-lines");
    assert.equal(await server.read("/3/0/3"), "1.0.0");
    await pull("/5/0/1", image(1));
    await reads("/5/0/5", "5");
    await pull("/5/0/1", makeMcubootImage(image(1), { version }, signing));
    await reads("/5/0/3", "2");
    assert.equal(await server.read("/5/0/7"), "2.0.0");
    assert.equal(await server.execute("/5/0/2"), "2.04");
    await first.exit();
    await Program.start("thirty-lines");
    assert.deepEqual([await server.read("/5/0/3"), await server.read("/5/0/5")], ["0", "1"]);
    assert.equal(await server.read("/3/0/3"), "2.0.0");
  },
  basic: async () => {
    const first = await Program.start("basic");
    await pull("/5/0/1", image(0));
    await reads("/5/0/5", "6");
    assert.equal(await server.push(image(0x7f)), "2.04");
    assert.equal(await server.read("/5/0/3"), "2");
    assert.equal(await server.execute("/5/0/2"), "2.04");
    await first.exit();
    await Program.start("basic");
    assert.deepEqual([await server.read("/5/0/3"), await server.read("/5/0/5")], ["0", "1"]);
    assert.equal(await server.read("/3/0/3"), "2.0.0");
    assert.deepEqual(new Uint8Array(readFileSync(join(directory, "firmware.bin"))), image(0x7f));
  },
  resumption: async () => {
    const bytes = image(7, 400_000);
    const first = await Program.start("resumption");
    await pull("/5/0/1", bytes);
    await first.said(({ kind, storedBytes }) => kind === "progress" && Number(storedBytes) > 20_000);
    await first.kill();
    const before = server.fetches.length;
    const second = await Program.start("resumption");
    await second.said(({ kind, state }) => kind === "state" && state === "downloaded");
    assert.deepEqual(new Uint8Array(readFileSync(join(directory, "firmware.bin"))), bytes);
    const resumed = server.fetches[before];
    const block = resumed && findBlock(resumed.options, OPTION.block2);
    assert.ok(block && blockOffset(block) >= 20_000, "it does not begin at its first octet again");
  },
  components: async () => {
    const program = await Program.start("components");
    await pull("/33629/0/1", image(1));
    await reads("/33629/1/3", "2");
    assert.equal(await server.read("/33629/2/3"), "0");
    assert.equal(await server.execute("/33629/0/2"), "2.04");
    await reads("/33629/1/5", "1");
    assert.equal(await server.read("/33629/0/5"), "1");
    await program.said(({ kind, along }) => kind === "install" && JSON.stringify(along) === "[1]");
  },
  delayed: async () => {
    await Program.start("delayed");
    assert.equal(await server.push(image(1)), "2.04");
    assert.equal(await server.execute("/5/0/2"), "2.04");
    assert.equal(await server.read("/5/0/3"), "3");
    await reads("/5/0/5", "1");
    assert.equal(await server.read("/3/0/3"), "2.0.0");
  },
  "verify-webhook": async () => {
    const { isOurs } = (await import(join(CODE, "verify-webhook.ts"))) as {
      isOurs(headers: Record<string, string | undefined>, body: string, secret: string): boolean;
    };
    const key = Buffer.alloc(32, 7);
    const secret = `whsec_${key.toString("base64")}`;
    const timestampS = Math.floor(Date.now() / 1000);
    const headers = signatureHeaders(key, { id: "w-1", timestampS, body: "{}" });
    assert.equal(isOurs(headers, "{}", secret), true);
    assert.equal(isOurs(headers, "{} ", secret), false);
    assert.equal(isOurs({ ...headers, "webhook-id": "w-2" }, "{}", secret), false);
    assert.equal(isOurs({}, "{}", secret), false);
    const old = signatureHeaders(key, { id: "w-1", timestampS: timestampS - 301, body: "{}" });
    assert.equal(isOurs(old, "{}", secret), false, "a delivery that was caught is good for five minutes");
  },
  contract: async () => {
    const { NODE_TEST_CONTEXT: _ours, ...env } = process.env;
    const { status, stdout } = spawnSync(process.execPath, ["--test", join(CODE, "contract.ts")], {
      encoding: "utf8",
      env,
    });
    assert.equal(status, 0, stdout);
    assert.match(stdout, /my handlers: /);
  },
};

test("all TypeScript of the guides compiles", () => {
  assert.equal(compileGuideCode(CODE), "");
  assert.ok(guideBlocks().filter(({ language }) => language === "ts").length > 10);
});

test("the commands of the guides are there, with their options", () => {
  const checked = guideBlocks().filter(({ isChecked }) => isChecked);
  assert.ok(checked.length > 0);
  assert.deepEqual(checked.flatMap(mistakesOfCommands), []);
  const wrong = { guide: "x.md", line: 1, language: "sh", name: undefined, isChecked: true };
  const commands = "npx airlift image add f --no-such-option\nnpx airlift no-such-command\nrm -r x\n";
  assert.equal(mistakesOfCommands({ ...wrong, text: commands }).length, 3, "and what is not there is told");
});

test("firmware update in 30 lines has about as many", () => {
  const lines =
    programs
      .find(({ name }) => name === "thirty-lines")
      ?.text.trimEnd()
      .split("\n") ?? [];
  assert.ok(lines.length <= 30, `${lines.length} lines`);
});

for (const { name = "", guide } of programs) {
  test(`${guide}: the program "${name}" does what its chapter says`, async () => {
    const scenario = SCENARIOS[name];
    assert.ok(scenario, "every program of the guides is run");
    await scenario();
  });
}

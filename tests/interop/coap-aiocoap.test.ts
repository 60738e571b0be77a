/** aiocoap (Python) as a device of ours: registration, Observe, Block1 and Block2 over UDP, and an image over TCP. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openUpdateStage, type UpdateStage } from "../e2e/update-stage.ts";

const SCRIPT = fileURLToPath(new URL("aiocoap_device.py", import.meta.url));

function skipWithoutAiocoap(): string | false {
  try {
    execFileSync("python3", ["-c", "import aiocoap"], { stdio: "ignore" });
    return false;
  } catch {
    return process.env["CI"] === "true" ? false : "aiocoap is not installed (pip install aiocoap)";
  }
}

describe("aiocoap", { skip: skipWithoutAiocoap() }, () => {
  let stage: UpdateStage;
  let sha256: string;
  const children: ChildProcess[] = [];
  before(async () => {
    stage = await openUpdateStage(() => ({ tcp: { host: "127.0.0.1" } }));
    sha256 = createHash("sha256").update(stage.image).digest("hex");
  });
  after(async () => {
    for (const child of children) child.kill();
    await stage.close();
  });

  /** A device that has registered, and how to wait for what it says. */
  async function open(endpoint: string) {
    const at = (scheme: string, port: number | undefined) => `${scheme}://127.0.0.1:${port}`;
    const { server } = stage;
    const args = [SCRIPT, at("coap", server.address.port), at("coap+tcp", server.addressOf("tcp")?.port), endpoint];
    const child = spawn("python3", args, { stdio: ["pipe", "pipe", "inherit"] });
    children.push(child);
    const said: Record<string, string>[] = [];
    const looks = new Set<() => void>();
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      said.push(...lines.map((line) => JSON.parse(line) as Record<string, string>));
      for (const look of looks) look();
    });
    const says = (what: string) =>
      new Promise<string>((resolve) => {
        const look = (): void => {
          const found = said.find((one) => what in one)?.[what];
          if (found !== undefined) resolve(found);
        };
        looks.add(look);
        look();
      });
    assert.match(await says("registered"), /^2\.01/);
    return { says, tell: (line: string) => child.stdin.write(`${line}\n`) };
  }

  for (const by of ["push", "pull"] as const)
    test(`is updated by ${by} (RFC 7959 ${by === "push" ? "Block1" : "Block2"}), and notifies its State (RFC 7641)`, async () => {
      const device = await open(`aiocoap-${by}`);
      const done = await stage.reaches(await stage.update(`aiocoap-${by}`, { by }));
      assert.equal(done.state, "succeeded", done.sentence);
      assert.equal(await device.says(by === "push" ? "pushed" : "pulled"), sha256);
      await stage.stores.exchanges.flush();
      const exchanges = await stage.stores.exchanges.list(done.id);
      assert.ok(exchanges.some(({ request, answer }) => request === "OBSERVE /5/0/3" && answer === "2.05"));
    });

  test("is read, written to and observed", async () => {
    await open("aiocoap-observed");
    const target = { endpoint: "aiocoap-observed", timeoutMs: 20_000 };
    const { operations } = stage.server;
    const { answer } = await operations.observe(target, ["/3/0/14"]);
    assert.deepEqual(
      answer.values.map(({ value }) => value),
      ["+00:00"],
    );
    const notified = new Promise<unknown>((resolve) => {
      stage.stores.events.subscribe(({ kind, endpoint, facts }) => {
        if (kind === "device.value" && endpoint === target.endpoint && facts["by"] === "notify") resolve(facts);
      });
    });
    const write = { given: { value: "+01:00" }, mode: "replace" } as const;
    assert.equal((await operations.write(target, "/3/0/14", write)).code, "2.04");
    assert.match(JSON.stringify(await notified), /\+01:00/);
  });

  test("fetches an image over TCP (RFC 8323)", async () => {
    const device = await open("aiocoap-tcp");
    device.tell(`/fw/${stage.imageId}`);
    assert.match(await device.says("code"), /^2\.05/);
    assert.equal(await device.says("tcp"), sha256);
  });
});

/**
 * The server against a device made of libcoap's programs: `coap-server` holds what the device is, `coap-client` speaks for it
 * from the same port. What a device does by itself, such as going from State 0 to 2, is written into it from outside.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openUpdateStage } from "../e2e/update-stage.ts";
import { COAP_CLIENT, COAP_SERVER, runClient, skipWithout, startServer } from "./libcoap.ts";

const folder = mkdtempSync(join(tmpdir(), "airlift-libcoap-"));
after(() => rmSync(folder, { recursive: true }));

const skip = skipWithout(COAP_CLIENT) || skipWithout(COAP_SERVER);
const PLAIN = ["-m", "put", "-t", "0", "-e"];

/** Values of a device that runs 1.0.0 and fetches images, by path. The Update resource is there to be executed. */
const IDLE = { "/3/0/0": "Example", "/3/0/3": "1.0.0", "/5/0/2": "-", "/5/0/3": "0", "/5/0/5": "0", "/5/0/9": "0" };

class LibcoapDevice {
  readonly #port: number;
  readonly #uri: string;
  readonly stop: () => void;

  private constructor({ port, stop }: { port: number; stop(): void }) {
    this.#port = port;
    this.#uri = `coap://127.0.0.1:${port}`;
    this.stop = stop;
  }

  static async start(): Promise<LibcoapDevice> {
    const device = new LibcoapDevice(await startServer(["-d", "100"]));
    for (const [path, value] of Object.entries(IDLE)) await device.set(path, value);
    return device;
  }

  async set(path: string, value: string): Promise<void> {
    await runClient([...PLAIN, value, `${this.#uri}${path}`]);
  }

  async get(path: string): Promise<Buffer> {
    const file = join(folder, "value");
    writeFileSync(file, "");
    await runClient(["-o", file, "-m", "get", `${this.#uri}${path}`]);
    return readFileSync(file);
  }

  /** A request to our server, from the port that the device is asked at. */
  async say(serverPort: number, path: string, ...parts: readonly string[]): Promise<void> {
    const from = ["-a", "127.0.0.1", "-p", String(this.#port)];
    await runClient([...from, ...parts, `coap://127.0.0.1:${serverPort}${path}`]);
  }
}

test("a libcoap device registers, is read and written, fetches an image and is updated", {
  skip,
  timeout: 120_000,
}, async (t) => {
  const stage = await openUpdateStage();
  t.after(() => stage.close());
  const device = await LibcoapDevice.start();
  t.after(() => device.stop());
  const { port } = stage.server.address;
  const links = join(folder, "links");
  writeFileSync(links, "</3/0>,</5/0>");
  const register = () => device.say(port, "/rd?ep=libcoap&lt=600&lwm2m=1.1&b=U", "-m", "post", "-t", "40", "-f", links);
  await register();
  assert.equal(stage.server.registrationOf("libcoap")?.transport, "udp");

  const target = { endpoint: "libcoap", timeoutMs: 60_000 };
  const { values } = await stage.server.operations.read(target, ["/3/0/0"], 0);
  assert.equal(values[0]?.value, "Example");
  const write = { given: { value: "+01:00" }, format: 0, mode: "replace" } as const;
  await stage.server.operations.write(target, "/3/0/14", write);
  assert.equal((await device.get("/3/0/14")).toString(), "+01:00");

  const update = await stage.update("libcoap", { by: "pull" });
  let uri = "";
  while (!uri.startsWith("coap://")) uri = (await device.get("/5/0/1")).toString();
  await device.set("/5/0/3", "1");
  const file = join(folder, "image");
  await device.say(port, new URL(uri).pathname, "-m", "get", "-o", file);
  assert.deepEqual(readFileSync(file), stage.image);
  await device.set("/5/0/3", "2");
  const applying = await stage.reaches(update, "applying");
  assert.equal(applying.state, "applying", applying.sentence);
  // Executed or not yet: libcoap keeps no word of a POST, so the new version waits until the server has asked.
  const asked = async () =>
    (await stage.stores.exchanges.list(update.id)).some(({ request }) => request.startsWith("POST /5/0/2"));
  while (!(await asked()));
  for (const [path, value] of [
    ["/3/0/3", "1.1.0"],
    ["/5/0/5", "1"],
    ["/5/0/3", "0"],
  ] as const)
    await device.set(path, value);
  await register();
  const done = await stage.reaches(update);
  assert.equal(done.state, "succeeded", done.sentence);
});

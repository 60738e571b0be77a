/** A server that is killed with requests on its hands: none is lost, none that must not be done twice is sent again, and others take more. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { QueuedRequest } from "@airlift/protocol/api/schemas";
import { CODE } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionTexts, uintOption, uriPath } from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { type CoapUdp, openCoapUdp } from "@airlift/runtime/coap-udp";
import { udpPeer } from "@airlift/runtime/udp";
import { type ScratchDatabase, startScratchDatabase } from "@airlift/server/store/scratch-database";

const CLI = fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url));
const HOST = "127.0.0.1";
const METHODS = ["?", "GET", "POST", "PUT"];

interface Server {
  readonly process: ChildProcess;
  readonly url: string;
}

let database: ScratchDatabase;
const servers = new Set<ChildProcess>();
const devices: CoapUdp[] = [];
before(async () => {
  database = await startScratchDatabase();
});
after(async () => {
  for (const device of devices) await device.close();
  for (const server of servers) await kill(server);
  await database.stop();
});

/** A port that is free now: a server has to come back to the one that its devices know. */
async function freePort(): Promise<number> {
  const coap = await openCoapUdp({ host: HOST });
  const { port } = coap.address;
  await coap.close();
  return port;
}

async function startServer(coapPort: number): Promise<Server> {
  const doors = ["--coap-tcp-port", "off", "--coaps-port", "off", "--coaps-tcp-port", "off", "--http-port", "0"];
  const store = ["--data", join(database.folder, "data"), "--database-url", database.url];
  const args = ["serve", "--no-auth", "--host", HOST, "--coap-port", `${coapPort}`, ...doors, ...store];
  const server = spawn(process.execPath, [CLI, ...args, "--awake-window", "1", "--json"]);
  servers.add(server);
  let said = "";
  server.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  let line = "";
  while (!line.includes("\n")) {
    const [chunk] = await Promise.race([once(server.stdout, "data"), once(server, "close")]);
    if (server.exitCode !== null) throw new Error(said);
    line += chunk;
  }
  return { process: server, url: (JSON.parse(line) as { httpUrl: string }).httpUrl };
}

async function kill(server: ChildProcess): Promise<void> {
  servers.delete(server);
  if (server.exitCode !== null || server.signalCode !== null) return;
  server.kill("SIGKILL");
  await once(server, "close");
}

async function ask<Answer>({ url }: Server, path: string, init: RequestInit = {}): Promise<Answer> {
  const headers = init.body === undefined ? {} : { "content-type": "application/json" };
  const answer = await fetch(`${url}/api/v1/devices/${path}`, { ...init, headers });
  const body = await answer.text();
  assert.ok(answer.ok, `${path}: ${body}`);
  return JSON.parse(body) as Answer;
}

/** Has a request wait for a device; its id. */
async function queue(server: Server, path: string, init: RequestInit = {}): Promise<string> {
  return (await ask<{ id: string }>(server, `${path}?queue=true`, init)).id;
}
const execution = { method: "POST", body: JSON.stringify({ path: "/3/0/4" }) };

const queued = async (server: Server, endpoint: string) =>
  (await ask<{ items: QueuedRequest[] }>(server, `${endpoint}/queue`)).items;

/** The requests of a device once `isDone` says so. */
async function queuedWhen(server: Server, endpoint: string, isDone: (items: readonly QueuedRequest[]) => boolean) {
  for (;;) {
    const items = await queued(server, endpoint);
    if (isDone(items)) return items;
  }
}
const areAnswered = (items: readonly QueuedRequest[]): boolean => items.every(({ outcome }) => outcome === "answered");

/** A device that answers all but what it is silent on. */
async function openDevice(endpoint: string, coapPort: number, silentOn: readonly string[] = []) {
  const coap = await openCoapUdp({ host: HOST });
  devices.push(coap);
  const heard: string[] = [];
  const silent = new Set(silentOn);
  const waiters = new Set<() => void>();
  coap.serve(({ code, options }) => {
    const asked = `${METHODS[code]} /${uriPath(options).join("/")}`;
    heard.push(asked);
    for (const look of waiters) look();
    if (silent.has(asked)) return new Promise(() => {});
    if (code !== 1) return createResponse(CODE.changed);
    return createResponse(CODE.content, encodeUtf8("1"), [uintOption(OPTION.contentFormat, 0)]);
  });
  const server = udpPeer(HOST, coapPort);
  const register = async (query: string): Promise<string> => {
    const payload = encodeUtf8("</3/0>");
    const options = [uintOption(OPTION.contentFormat, 40)];
    const request = createRequest("post", `/rd?ep=${endpoint}&lt=3600&lwm2m=1.1&b=U${query}`, { payload, options });
    const answer = await coap.request(server, request);
    assert.equal(answer.code, CODE.created);
    return `/${optionTexts(answer.options, OPTION.locationPath).join("/")}`;
  };
  return {
    heard,
    silent,
    register,
    /** Speaks up; after a long absence of its server another one may have taken the registration over. */
    comeBack: async (location: string, query = "") => {
      const { code } = await coap.request(server, createRequest("post", location));
      if (code === CODE.notFound) await register(query);
      else assert.equal(code, CODE.changed);
    },
    hears: (asked: string) =>
      new Promise<void>((resolve) => {
        const look = () => heard.includes(asked) && resolve();
        waiters.add(look);
        look();
      }),
    /** How often each of these came. */
    counts: (...asked: readonly string[]) => asked.map((one) => heard.filter((other) => other === one).length),
  };
}

test("killed with requests on its hands, a server comes back and does each once; an Execute that may be done is told as unknown", async () => {
  const coapPort = await freePort();
  const first = await startServer(coapPort);
  const other = await startServer(await freePort());
  const sleeper = await openDevice("sleeper", coapPort);
  const rebooting = await openDevice("rebooting", coapPort, ["POST /3/0/4"]);
  const slow = await openDevice("slow", coapPort, ["GET /3/0/13"]);
  const place = await sleeper.register("&Q");
  const places = [await rebooting.register(""), await slow.register("")] as const;
  while ((await ask<{ awake: string }>(first, "sleeper")).awake !== "asleep");
  const clock = { method: "PUT", body: JSON.stringify({ value: "+01:00" }) };
  const waiting = [
    await queue(first, "sleeper/resources/3/0/13"),
    await queue(first, "sleeper/resources/3/0/14", clock),
    await queue(first, "sleeper/execute", execution),
  ];
  await queue(first, "rebooting/execute", execution);
  await queue(first, "slow/resources/3/0/13");
  await Promise.all([rebooting.hears("POST /3/0/4"), slow.hears("GET /3/0/13")]);
  sleeper.heard.length = 0;

  await kill(first.process);
  // The device is still on record as the dead server's.
  waiting.push(await queue(other, "sleeper/resources/3/0/9"));
  slow.silent.clear();
  const second = await startServer(coapPort);

  const [lost] = await queuedWhen(second, "rebooting", ([one]) => one?.state === "finished");
  assert.equal(lost?.outcome, "unknown");
  const { items: told } = await ask<{ items: { sentence: string }[] }>(second, "rebooting/events");
  const sentence = /^execute \/3\/0\/4: it went out and no answer came; whether the device did it is not known/;
  assert.ok(told.some((one) => sentence.test(one.sentence)));
  assert.deepEqual(
    (await queued(second, "sleeper")).map(({ id, state }) => [id, state]),
    waiting.map((id) => [id, "waiting"]),
  );

  await sleeper.comeBack(place, "&Q");
  await rebooting.comeBack(places[0]);
  await slow.comeBack(places[1]);
  assert.equal((await queuedWhen(second, "sleeper", areAnswered)).length, waiting.length);
  await queuedWhen(second, "slow", areAnswered);
  assert.deepEqual(sleeper.heard, ["GET /3/0/13", "PUT /3/0/14", "POST /3/0/4", "GET /3/0/9"]);
  assert.deepEqual(slow.counts("GET /3/0/13"), [2]);
  // What is asked of it later comes after what might have been sent again.
  const last = await queue(second, "rebooting/resources/3/0/1");
  await queuedWhen(second, "rebooting", (items) =>
    items.some(({ id, outcome }) => id === last && outcome === "answered"),
  );
  assert.deepEqual(rebooting.counts("POST /3/0/4"), [1]);
});

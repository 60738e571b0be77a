/** Each real link passes the contract of links; those that can break heal. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { type LinkPair, testRadioLink } from "@airlift/gateway/contract/link-contract";
import { planLink } from "@airlift/gateway/links/open-link";
import type { RadioLink } from "@airlift/gateway/links/radio-link";
import { SimulatedAir } from "@airlift/gateway/links/simulated-air";

const RETRY = { firstMs: 20, longestMs: 50 };
const open = (uri: string): Promise<RadioLink> => planLink(uri).open(RETRY);
/** Ports of this process: runs that go on at the same time do not hear each other. */
let nextPort = 20_000 + (process.pid % 20_000);

testRadioLink("simulated air", async () => {
  const air = new SimulatedAir();
  return { a: air.join(), b: air.join(), close: async () => undefined };
});

for (const [group, interfaceName] of [
  ["239.195.7.9", "lo"],
  ["[ff15::a1]", interfaceWithSix()],
]) {
  if (interfaceName === undefined) test(`multicast ${group}`, { skip: "no interface has IPv6" });
  else
    testRadioLink(`multicast ${group}`, async () => {
      const uri = `udp://${group}:${nextPort++}?interface=${interfaceName}&hops=0`;
      return { a: await open(uri), b: await open(uri), close: async () => undefined };
    });
}

/** The loopback interface routes no IPv6 multicast; with no hops, nothing leaves this machine through another one either. */
function interfaceWithSix(): string | undefined {
  const isFit = (one: { family: string; internal: boolean }) => one.family === "IPv6" && !one.internal;
  return Object.entries(networkInterfaces()).find(([, addresses]) => addresses?.some(isFit))?.[0];
}

testRadioLink("KISS over TCP", tcpPair);

/** A modem that gives to each side what the other one sends. */
async function tcpPair(): Promise<LinkPair & { drop(): void }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("data", (bytes) => {
      for (const other of sockets) if (other !== socket && !other.destroyed) other.write(bytes);
    });
    socket.on("error", () => undefined);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const uri = `kiss+tcp://127.0.0.1:${port}`;
  const [a, b] = [await open(uri), await open(uri)];
  while (sockets.length < 2) await new Promise(setImmediate);
  const drop = () => {
    for (const socket of sockets.splice(0)) socket.destroy();
  };
  return {
    a,
    b,
    drop,
    close: async () => {
      drop();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("KISS over TCP: a modem that drops its connections is connected to again", { timeout: 30_000 }, async () => {
  const pair = await tcpPair();
  try {
    pair.drop();
    await healed(pair.a, 1);
    await healed(pair.b, 1);
    await exchangeAtLast(pair.a, pair.b);
  } finally {
    await Promise.all([pair.a.close(), pair.b.close()]);
    await pair.close();
  }
});

const hasPython = spawnSync("python3", ["-c", "import pty"]).status === 0;

if (hasPython) testRadioLink("KISS over a serial port", ptyPair);

test("KISS over a serial port that garbles: whole frames get through, damaged ones are refused or differ", {
  timeout: 60_000,
  skip: !hasPython && "needs python3",
}, async () => {
  const pair = await ptyPair();
  try {
    await pair.say("garble 0.002");
    const frame = Uint8Array.from({ length: 60 }, (_, i) => i * 4);
    let wholeCount = 0;
    let heardCount = 0;
    pair.b.listen((heard) => {
      heardCount += 1;
      if (Buffer.compare(heard, frame) === 0) wholeCount += 1;
    });
    for (let i = 0; i < 200; i += 1) {
      pair.a.send(frame);
      // More than a second of airtime at once would be lost.
      await until(() => pair.a.counts.sentCount > i - 20);
    }
    await until(() => heardCount > 100);
    assert.ok(wholeCount > 80, `${wholeCount} of 200 whole`);
    await pair.say("garble 0");
    await exchangeAtLast(pair.a, pair.b);
  } finally {
    await pair.end();
  }
});

test("KISS over a serial port that vanishes and comes back: the link heals", {
  timeout: 60_000,
  skip: !hasPython && "needs python3",
}, async () => {
  const pair = await ptyPair();
  try {
    await pair.say("hang up");
    await until(() => !pair.a.counts.isUp && !pair.b.counts.isUp);
    pair.a.send(new Uint8Array(20));
    await pair.say("open");
    await healed(pair.a, 1);
    await healed(pair.b, 1);
    await exchangeAtLast(pair.a, pair.b);
  } finally {
    await pair.end();
  }
});

async function ptyPair(): Promise<LinkPair & { say(line: string): Promise<void>; end(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "airlift-pty-"));
  const ports = ["a", "b"].map((name) => join(folder, name));
  const child: ChildProcess = spawn("python3", [join(import.meta.dirname, "pty-pair.py"), ...ports, "7"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  await lines.next();
  const [a, b] = [await open(`kiss:${ports[0]}`), await open(`kiss:${ports[1]}`)];
  const close = async () => {
    child.stdin?.end();
    await once(child, "exit");
    await rm(folder, { recursive: true });
  };
  return {
    a,
    b,
    close,
    say: async (line) => {
      child.stdin?.write(`${line}\n`);
      await lines.next();
    },
    end: async () => {
      await Promise.all([a.close(), b.close()]);
      await close();
    },
  };
}

const healed = (link: RadioLink, count: number): Promise<void> =>
  until(() => link.counts.isUp && link.counts.healedCount >= count);

/** What is sent while the other side is not back yet, or is still garbled, is lost as on air. */
async function exchangeAtLast(a: RadioLink, b: RadioLink): Promise<void> {
  const frame = Uint8Array.of(...Array(30).keys());
  let isHeard = false;
  b.listen((heard) => {
    isHeard ||= Buffer.compare(heard, frame) === 0;
  });
  const timer = setInterval(() => a.send(frame), 50);
  await until(() => isHeard).finally(() => clearInterval(timer));
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10));
}

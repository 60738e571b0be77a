import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { PullDesk } from "./pull-desk.ts";
import type { Puller, PullListener, PullStart } from "./puller.ts";

let log: string[];
let news: PullListener;
let desk: PullDesk;

/** A puller that does nothing but write down what it is told. */
function fakePuller(listener: PullListener): Puller {
  news = listener;
  const puller: Pick<Puller, "start" | "next" | "stop"> = {
    start: ({ uri }) => void log.push(`start ${uri}`),
    next: (pull, storedBytes) => void log.push(`next ${pull} ${storedBytes}`),
    stop: () => void log.push("stop"),
  };
  return puller as Puller;
}

const start = (uri: string): PullStart => ({ pull: 1, uri, offset: 0, etag: undefined });

/** A door whose news are written down under its name. */
function client(name: string, handlers = {}) {
  const told =
    (what: string) =>
    (...values: unknown[]): void => {
      log.push([name, what, ...values.filter((value) => value !== undefined)].join(" "));
    };
  const listener: PullListener = {
    onOrigin: told("origin"),
    onChunk: told("chunk"),
    onEnded: told("ended"),
    onChanged: told("changed"),
    onFailed: told("failed"),
    onPause: told("pause"),
  };
  return desk.client(listener, handlers);
}

beforeEach(() => {
  log = [];
  desk = new PullDesk(fakePuller);
});

const seen = async (): Promise<string[]> => {
  await Promise.resolve();
  return log.splice(0);
};

test("object 33629: one pull at a time; the next begins when its owner knows the end of the one before", async () => {
  const [a, b, c] = [client("a"), client("b"), client("c")];
  a.start(start("1"));
  b.start(start("2"));
  c.start(start("3"));
  assert.deepEqual(await seen(), ["start 1"]);
  news.onEnded(1);
  assert.deepEqual(await seen(), ["a ended 1", "start 2"]);
  news.onFailed(1, "connectionLost");
  assert.deepEqual(await seen(), ["b failed 1 connectionLost", "start 3"]);
  assert.ok(desk.isBusy);
  news.onEnded(1);
  await seen();
  assert.ok(!desk.isBusy);
});

test("news and stored octets are those of whoever pulls, though the numbers of pulls are the same", async () => {
  const [a, b] = [client("a"), client("b")];
  a.start(start("1"));
  b.start(start("2"));
  b.next(1, 10);
  a.next(1, 20);
  news.onOrigin(1, undefined);
  assert.deepEqual(await seen(), ["start 1", "next 1 20", "a origin 1"]);
});

test("who stops frees the puller, who waits leaves without a trace", async () => {
  const [a, b, c] = [client("a"), client("b"), client("c")];
  for (const [index, each] of [a, b, c].entries()) each.start(start(`${index}`));
  b.stop();
  a.stop();
  assert.deepEqual(await seen(), ["start 0", "stop", "start 2"]);
  a.stop();
  assert.deepEqual(await seen(), [], "a pull of somebody else goes on");
});

test("a client that starts again has one pull still", async () => {
  const [a, b] = [client("a"), client("b")];
  a.start(start("1"));
  a.start(start("2"));
  b.start(start("3"));
  b.start(start("4"));
  a.stop();
  assert.deepEqual(await seen(), ["start 1", "stop", "start 2", "stop", "start 4"]);
});

test("once it is closed nothing is fetched any more, whoever waits or stops or comes", async () => {
  const [a, b] = [client("a"), client("b")];
  a.start(start("1"));
  b.start(start("2"));
  desk.close();
  a.stop();
  b.start(start("3"));
  assert.deepEqual(await seen(), ["start 1", "stop"]);
});

test("the handlers are those of whoever pulls", async () => {
  const own = { tcpTimeoutFor: () => 5 };
  const [a, b] = [client("a"), client("b", own)];
  b.start(start("1"));
  a.start(start("2"));
  assert.equal(desk.handlers, own);
  b.stop();
  assert.notEqual(desk.handlers, own);
});

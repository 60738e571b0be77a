import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { HEARTBEAT_EVENT, LONGEST_RECONNECT_MS, RECONNECT_MS } from "@airlift/protocol/api/event-stream";
import { type EventLine, LiveFeed } from "./live-feed.ts";

const SILENCE_MS = 45_000;

/** A browser's connection, as a server and the network make it behave. */
class Connection implements EventLine {
  readonly #listeners = new Map<string, () => void>();
  readyState = 0;
  onopen: EventLine["onopen"] = null;
  onmessage: EventLine["onmessage"] = null;
  onerror: EventLine["onerror"] = null;
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  addEventListener(type: string, listener: unknown): void {
    this.#listeners.set(type, listener as () => void);
  }

  close(): void {
    this.readyState = 2;
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.call(this as never, {} as never);
  }

  beat(): void {
    this.#listeners.get(HEARTBEAT_EVENT)?.();
  }

  tell(id: number): void {
    const event = { data: JSON.stringify({ id }), lastEventId: `${id}` };
    this.onmessage?.call(this as never, event as never);
  }

  fail(): void {
    this.readyState = 2;
    this.onerror?.call(this as never, {} as never);
  }
}

/** A feed that was started, in a time that only the test moves. */
function openFeed(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const connections: Connection[] = [];
  const lines: string[] = [];
  const feed = new LiveFeed({
    silenceMs: SILENCE_MS,
    chance: () => 0,
    connect: (path) => {
      const connection = new Connection(path);
      connections.push(connection);
      return connection;
    },
  });
  feed.onLine(() => lines.push(feed.line.kind));
  feed.start();
  return { feed, connections, lines, newest: () => connections.at(-1) as Connection };
}

test("a quiet fleet's page stays live: heartbeats alone are word enough, and nobody is told of a change", (t) => {
  const { feed, connections, lines, newest } = openFeed(t);
  newest().open();
  for (let passedMs = 0; passedMs < 10 * SILENCE_MS; passedMs += 15_000) {
    t.mock.timers.tick(15_000);
    newest().beat();
  }
  assert.equal(feed.line.kind, "live");
  assert.deepEqual(lines, ["live"]);
  assert.equal(connections.length, 1);
});

test("a heartbeat is no event: no listener hears it", (t) => {
  const { feed, newest } = openFeed(t);
  const heard: number[] = [];
  feed.onEvent(({ id }) => heard.push(id));
  newest().open();
  newest().beat();
  newest().tell(7);
  assert.deepEqual(heard, [7]);
});

test("a line on which not even a heartbeat comes is lost, and made again from where it broke", (t) => {
  const { feed, connections, newest } = openFeed(t);
  newest().open();
  newest().tell(41);
  t.mock.timers.tick(SILENCE_MS);
  assert.deepEqual(feed.line, { kind: "lost", sinceMs: SILENCE_MS });
  t.mock.timers.tick(RECONNECT_MS);
  assert.deepEqual(
    connections.map(({ path, readyState }) => [path, readyState]),
    [
      ["/api/v1/events", 2],
      ["/api/v1/events?after=41", 0],
    ],
  );
  newest().open();
  assert.equal(feed.line.kind, "live");
});

test("a connection that opens and never says anything is lost, and so is one that never opens", (t) => {
  const { feed, connections, newest } = openFeed(t);
  t.mock.timers.tick(SILENCE_MS);
  assert.equal(feed.line.kind, "lost");
  t.mock.timers.tick(RECONNECT_MS);
  newest().open();
  assert.equal(feed.line.kind, "live");
  t.mock.timers.tick(SILENCE_MS);
  assert.equal(feed.line.kind, "lost");
  t.mock.timers.tick(2 * RECONNECT_MS);
  assert.equal(connections.length, 3);
});

test("a server that is away for a day is asked all the time, with pauses to a bound, and found when it is back", (t) => {
  const { feed, connections, newest } = openFeed(t);
  newest().open();
  newest().tell(41);
  const pausesMs: number[] = [];
  for (let awayMs = 0; awayMs < 86_400_000; awayMs += pausesMs.at(-1) ?? 0) {
    newest().fail();
    const count = connections.length;
    let pauseMs = 0;
    while (connections.length === count) {
      pauseMs += 1000;
      t.mock.timers.tick(1000);
    }
    pausesMs.push(pauseMs);
  }
  assert.deepEqual(pausesMs.slice(0, 6), [2000, 4000, 8000, 16_000, 30_000, 30_000]);
  assert.equal(Math.max(...pausesMs), LONGEST_RECONNECT_MS);
  assert.deepEqual(feed.line, { kind: "lost", sinceMs: 0 });
  newest().open();
  assert.equal(feed.line.kind, "live");
  assert.equal(newest().path, "/api/v1/events?after=41");
});

test("a server that opens a line and breaks it off without a word is asked ever less often, till it says one", (t) => {
  const { connections, newest } = openFeed(t);
  for (const pauseMs of [2000, 4000, 8000]) {
    newest().open();
    newest().fail();
    const count = connections.length;
    t.mock.timers.tick(pauseMs - 1);
    assert.equal(connections.length, count);
    t.mock.timers.tick(1);
    assert.equal(connections.length, count + 1);
  }
  newest().open();
  newest().beat();
  newest().fail();
  t.mock.timers.tick(RECONNECT_MS);
  assert.equal(connections.length, 5);
});

test("a feed that was stopped connects no more, also when it was about to", (t) => {
  const { feed, connections, newest } = openFeed(t);
  newest().fail();
  feed.stop();
  t.mock.timers.tick(10 * SILENCE_MS);
  assert.equal(connections.length, 1);
  assert.equal(feed.line.kind, "connecting");
});

test("each connection that fails is told: any of them may be for a session that has ended", (t) => {
  const { lines, newest } = openFeed(t);
  newest().open();
  newest().fail();
  t.mock.timers.tick(RECONNECT_MS);
  newest().fail();
  assert.deepEqual(lines, ["live", "lost", "lost"]);
});

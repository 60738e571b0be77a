import assert from "node:assert/strict";
import { test } from "node:test";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Client } from "./client.ts";
import { followEvents } from "./event-feed.ts";
import { RefusedError } from "./failure.ts";

const refused = (status: number, code: string) =>
  new RefusedError({ type: "about:blank", title: "no", status, detail: "the server said no", code });

const away = () => refused(503, "DATABASE_AWAY");
const unreachable = () => new EnvironmentError("UNREACHABLE", "nobody answers");

/** A server that answers with these, one after the other, and then with a line on which it sends a heartbeat and closes. */
function clientOf(answers: readonly Error[], onOpen: () => void = () => {}): Client {
  const left = [...answers];
  const openFeed = async () => {
    const next = left.shift();
    if (next !== undefined) throw next;
    onOpen();
    return (async function* () {
      yield new TextEncoder().encode("event: heartbeat\ndata: {}\n\n");
    })();
  };
  return { openFeed } as unknown as Client;
}

/** Follows in virtual time until the server has answered and closed again. */
async function follow(answers: readonly Error[]) {
  const end = new AbortController();
  const pausesMs: number[] = [];
  const told: string[] = [];
  const feed = followEvents(
    clientOf(answers, () => answers.length < pausesMs.length && end.abort()),
    {
      of: { campaignId: "c" },
      signal: end.signal,
      pause: async (pauseMs) => void pausesMs.push(pauseMs),
      onLost: () => told.push("lost"),
      onBack: () => told.push("back"),
    },
  );
  for await (const event of feed) assert.fail(event.sentence);
  return { pausesMs, told };
}

test("a server or a database that is away is asked again; who was told so is told once, and once when it is back", async () => {
  const { told } = await follow([away(), unreachable(), away()]);
  assert.deepEqual(told, ["lost", "back", "lost", "back"]);
});

test("a server that is away for a day is not given up: the pauses grow to half a minute and no further", async () => {
  const { pausesMs } = await follow(Array.from({ length: 3000 }, unreachable));
  const waitedMs = pausesMs.reduce((sum, pauseMs) => sum + pauseMs, 0);
  assert.ok(waitedMs > 18 * 3600_000, `${waitedMs} ms`);
  assert.ok(pausesMs[0] !== undefined && pausesMs[0] <= 2000);
  assert.ok(pausesMs.slice(0, 3000).every((pauseMs, index) => pauseMs <= 30_000 && (index < 5 || pauseMs >= 22_500)));
  // It was there for a moment: that a server restarts is what is hoped for.
  assert.ok(pausesMs[3000] !== undefined && pausesMs[3000] <= 2000);
});

test("a refusal is not asked for twice", async () => {
  const options = { of: { campaignId: "c" }, signal: new AbortController().signal };
  const feed = followEvents(clientOf([refused(403, "FORBIDDEN")]), options);
  await assert.rejects(feed.next(), { code: "FORBIDDEN" });
});

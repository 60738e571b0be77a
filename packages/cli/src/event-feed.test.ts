import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "./client.ts";
import { followEvents } from "./event-feed.ts";
import { RefusedError } from "./failure.ts";

const refused = (status: number, code: string) =>
  new RefusedError({ type: "about:blank", title: "no", status, detail: "the server said no", code });

/** A server that answers with these, one after the other, and then with an open line on which nothing comes. */
function clientOf(answers: readonly Error[], onOpen: () => void = () => {}): Client {
  const left = [...answers];
  const openFeed = async () => {
    const next = left.shift();
    if (next !== undefined) throw next;
    onOpen();
    return (async function* () {})();
  };
  return { openFeed } as unknown as Client;
}

test("a server whose database is away is asked again; who was told so is told once", async () => {
  const end = new AbortController();
  let lostCount = 0;
  const client = clientOf([refused(503, "DATABASE_AWAY"), refused(503, "DATABASE_AWAY")], () => end.abort());
  const options = { of: { campaignId: "c" }, signal: end.signal, retryMs: 0, onLost: () => (lostCount += 1) };
  for await (const event of followEvents(client, options)) assert.fail(event.sentence);
  assert.equal(lostCount, 1);
});

test("a refusal is not asked for twice", async () => {
  const options = { of: { campaignId: "c" }, signal: new AbortController().signal, retryMs: 0 };
  const feed = followEvents(clientOf([refused(403, "FORBIDDEN")]), options);
  await assert.rejects(feed.next(), { code: "FORBIDDEN" });
});

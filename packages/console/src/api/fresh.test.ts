import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Event } from "@airlift/protocol/api/schemas";
import { type InfiniteData, QueryClient, QueryObserver } from "@tanstack/react-query";
import { keepFresh } from "./fresh.ts";
import { type EventLine, LiveFeed } from "./live-feed.ts";
import type { Page } from "./queries.ts";
import { touchedBy } from "./touched-queries.ts";

const anEvent = (event: Partial<Event> & Pick<Event, "kind">): Event => ({
  id: 1,
  at: "2026-06-01T12:00:00.000Z",
  endpoint: null,
  updateId: null,
  campaignId: null,
  sentence: "something happened",
  facts: {},
  ...event,
});

/** A page that is kept fresh, in a time that only the test moves. Every question is answered with how often it was asked. */
function openPage(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  const client = new QueryClient({
    defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY, retry: false } },
  });
  const source = { addEventListener() {}, close() {}, readyState: 1 } as unknown as EventLine;
  const feed = new LiveFeed({ connect: () => source });
  const stop = keepFresh(client, feed);
  feed.start();
  const open = () => source.onopen?.call({} as never, {} as never);
  open();
  t.after(() => {
    stop();
    feed.stop();
    client.clear();
  });
  const asked = new Map<string, number>();
  const answers = new Map<string, PromiseWithResolvers<void>>();
  const settle = async () => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  };
  return {
    client,
    tell: (event: Event) =>
      source.onmessage?.call({} as never, { data: JSON.stringify(event), lastEventId: "" } as never),
    open,
    lose: () => source.onerror?.call({} as never, {} as never),
    /** Something on the page shows the answer to this; `isSlow`: the answers wait for `answer`. */
    show: async (queryKey: readonly unknown[], isSlow = false) => {
      const name = JSON.stringify(queryKey);
      const queryFn = async () => {
        const count = (asked.get(name) ?? 0) + 1;
        asked.set(name, count);
        if (isSlow) {
          answers.set(name, Promise.withResolvers());
          await answers.get(name)?.promise;
        }
        return count;
      };
      t.after(new QueryObserver(client, { queryKey: [...queryKey], queryFn }).subscribe(() => {}));
      await settle();
    },
    answer: async (queryKey: readonly unknown[]) => {
      answers.get(JSON.stringify(queryKey))?.resolve();
      await settle();
    },
    pass: async (ms: number) => {
      nowMs += ms;
      t.mock.timers.tick(ms);
      await settle();
    },
    askedFor: (queryKey: readonly unknown[]) => asked.get(JSON.stringify(queryKey)) ?? 0,
  };
}

test("an event has exactly that asked again which it changes", async (t) => {
  const page = openPage(t);
  const keys = {
    mine: ["campaigns", "one", "c1"],
    theirs: ["campaigns", "one", "c2"],
    list: ["campaignList", {}],
    dryRun: ["dryRun", {}],
    updates: ["updates", "list", {}],
    sessions: ["mesh", "sessions", {}],
    groups: ["mesh", "groups"],
    gateways: ["gateways", "list"],
    preview: ["devices", "preview", undefined],
  };
  for (const key of Object.values(keys)) await page.show(key);
  const askedBy = async (event: Partial<Event> & Pick<Event, "kind">) => {
    const before = Object.values(keys).map(page.askedFor);
    page.tell(anEvent(event));
    await page.pass(5000);
    return Object.keys(keys).filter((_, at) => page.askedFor(Object.values(keys)[at] ?? []) !== before[at]);
  };
  assert.deepEqual(await askedBy({ kind: "campaign.note", campaignId: "c1", endpoint: "pump" }), ["mine"]);
  assert.deepEqual(await askedBy({ kind: "mesh.session" }), ["sessions", "gateways"]);
  assert.deepEqual(await askedBy({ kind: "mesh.key" }), ["groups"]);
  assert.deepEqual(await askedBy({ kind: "gateway.warning" }), ["gateways"]);
  assert.deepEqual(await askedBy({ kind: "authority.added" }), []);
  assert.deepEqual(await askedBy({ kind: "update.transition", endpoint: "pump" }), ["updates", "preview"]);
});

test("a kind that this page does not know touches nothing", () => {
  assert.deepEqual(touchedBy(anEvent({ kind: "moon.rose" as Event["kind"] })), []);
});

test("an event that comes while its answer is on the way has it asked once more, after the answer", async (t) => {
  const page = openPage(t);
  const key = ["images", "i1"];
  await page.show(key, true);
  page.tell(anEvent({ kind: "image.added" }));
  await page.pass(60_000);
  assert.equal(page.askedFor(key), 1, "asked again before the answer");
  await page.answer(key);
  await page.pass(5000);
  assert.equal(page.askedFor(key), 2);
  await page.answer(key);
  await page.pass(60_000);
  assert.equal(page.askedFor(key), 2, "asked again without an event");
});

test("when the line is there again all is asked again, and a quiet line asks nothing", async (t) => {
  const page = openPage(t);
  const key = ["devices", "one", "pump"];
  await page.show(key);
  await page.pass(40_000);
  assert.equal(page.askedFor(key), 1);
  page.lose();
  page.open();
  await page.pass(40_000);
  assert.equal(page.askedFor(key), 2);
});

test("a timeline is as long as was asked for, and what comes on top is bounded, also after Earlier", async (t) => {
  const page = openPage(t);
  const key = ["events", "pump", {}];
  const pageOf = (newestId: number): Page<Event> => ({
    items: Array.from({ length: 200 }, (_, at) => anEvent({ id: newestId - at, kind: "device.reported" })),
    next: `${newestId - 199}`,
  });
  page.client.setQueryData(key, { pages: [pageOf(1000), pageOf(800)], pageParams: [undefined, "801"] });
  let askedCount = 0;
  const queryFn = async () => {
    askedCount += 1;
    return { pages: [pageOf(5000), pageOf(4800)], pageParams: [undefined, "4801"] };
  };
  t.after(new QueryObserver(page.client, { queryKey: key, queryFn }).subscribe(() => {}));
  const lineCount = () => {
    const data = page.client.getQueryData<InfiniteData<Page<Event>>>(key);
    return data?.pages.flatMap(({ items }) => items).length;
  };
  const tell = (id: number) => page.tell(anEvent({ id, kind: "device.reported", endpoint: "pump" }));
  for (let id = 1001; id <= 1300; id += 1) tell(id);
  await page.pass(5000);
  assert.deepEqual([lineCount(), askedCount], [700, 0]);
  for (let id = 1301; id <= 1400; id += 1) tell(id);
  await page.pass(5000);
  assert.deepEqual([lineCount(), askedCount], [400, 1]);
});

test("a line of a device in a campaign is put on top of both timelines", (t) => {
  const { client, tell } = openPage(t);
  const keys = [
    ["events", "pump", {}],
    ["campaignEvents", "c1", {}],
  ];
  for (const key of keys) client.setQueryData(key, { pages: [{ items: [], next: null }], pageParams: [undefined] });
  tell(anEvent({ id: 9, kind: "update.transition", endpoint: "pump", campaignId: "c1" }));
  tell(anEvent({ id: 10, kind: "update.transition", endpoint: "pump", campaignId: "c2" }));
  const idsOf = (key: readonly unknown[]) =>
    client.getQueryData<InfiniteData<Page<Event>>>(key)?.pages.flatMap(({ items }) => items.map(({ id }) => id));
  assert.deepEqual(keys.map(idsOf), [[10, 9], [9]]);
});

test("a line that comes while its timeline is on the way is not lost: the timeline is asked for again", async (t) => {
  const page = openPage(t);
  const key = ["events", "pump", {}];
  await page.show(key, true);
  page.tell(anEvent({ id: 7, kind: "device.reported", endpoint: "pump" }));
  await page.answer(key);
  await page.pass(5000);
  assert.equal(page.askedFor(key), 2);
});

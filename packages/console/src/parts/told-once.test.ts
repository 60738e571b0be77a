import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "@airlift/protocol/api/schemas";
import { toldOnce } from "./told-once.ts";

const anEvent = (id: number, kind: Event["kind"], event: Partial<Event> = {}): Event => ({
  id,
  at: new Date(Date.UTC(2026, 5, 1) + id * 1000).toISOString(),
  kind,
  endpoint: "pump",
  updateId: null,
  campaignId: "c1",
  sentence: "the device is installing the image",
  facts: {},
  ...event,
});
const kept = (...events: Event[]) => toldOnce(events).map(({ id }) => id);

test("a campaign's repetition of what its update told is left out, before or after it", () => {
  assert.deepEqual(kept(anEvent(2, "campaign.note"), anEvent(1, "update.transition")), [1]);
  assert.deepEqual(kept(anEvent(2, "update.transition"), anEvent(1, "campaign.note")), [2]);
});

test("what only the campaign tells stays, and so do other devices, other words, and the same words of another day", () => {
  const told = anEvent(1, "update.transition");
  assert.deepEqual(kept(anEvent(2, "campaign.note", { sentence: "not started: wave 2 waits" }), told), [2, 1]);
  assert.deepEqual(kept(anEvent(2, "campaign.note", { endpoint: "valve" }), told), [2, 1]);
  assert.deepEqual(kept(anEvent(86_400, "campaign.note"), told), [86_400, 1]);
  assert.deepEqual(kept(anEvent(2, "update.transition"), told), [2, 1]);
});

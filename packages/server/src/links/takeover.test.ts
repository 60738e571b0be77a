import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event } from "@airlift/protocol/api/schemas";
import { pino } from "pino";
import type { Registration } from "../fleet/registration.ts";
import { exampleRegistration } from "../store/scratch-stores.ts";
import { Takeover, type TakeoverOptions } from "./takeover.ts";

/** A server that has these devices. `leftAmong` says which of those it is asked about are elsewhere. */
function server(own: readonly Registration[], leftAmong: (asked: readonly Registration[]) => string[]) {
  const here = new Map(own.map((registration) => [registration.endpoint, registration]));
  const asked: string[][] = [];
  const listeners: ((event: Event) => void)[] = [];
  const living = ["here"];
  const left: string[] = [];
  const arriving = new Set<string>();
  /** What the server `node` says about a device that came to it at `atMs`. */
  const hear = (endpoint: string, node: string, atMs: number): void => {
    const event = { kind: "device.registered", endpoint, at: new Date(atMs).toISOString(), facts: { node } } as unknown;
    for (const listener of listeners) listener(event as Event);
  };
  const stores = {
    nodes: { id: "here", holdsLease: true, list: async () => living.map((id) => ({ id, isAlive: true })) },
    devices: {
      claim: async () => [],
      leftAmong: async (registrations: readonly Registration[]) => {
        asked.push(registrations.map(({ endpoint }) => endpoint));
        return leftAmong(registrations);
      },
    },
    events: { subscribe: (listener: (event: Event) => void) => void listeners.push(listener) },
    updates: { claimFree: async () => [], claimStray: async () => [] },
  };
  const takeover = new Takeover({
    stores: stores as unknown as TakeoverOptions["stores"],
    delivery: { takeOver: async () => {} },
    onRegistrations: () => {},
    onClaimed: () => {},
    registrations: () => here.values(),
    guests: () => [...here.values()].filter(({ home }) => home !== undefined),
    registrationOf: (endpoint) => here.get(endpoint),
    isArriving: (endpoint) => arriving.has(endpoint),
    onLeft: (endpoint) => {
      left.push(endpoint);
      here.delete(endpoint);
    },
    log: pino({ level: "silent" }),
  });
  return { takeover, here, asked, left, living, arriving, hear };
}

test("a device that is on record elsewhere is left to that server, though no event told of it", async () => {
  const { takeover, left, asked } = server([exampleRegistration("a"), exampleRegistration("b")], () => ["a"]);
  await takeover.look();
  await takeover.look();
  assert.deepEqual([left[0], asked], ["a", [["a", "b"], ["b"]]]);
});

test("one that came back while the record was read stays", async () => {
  const { takeover, here, left } = server([exampleRegistration("a")], () => {
    here.set("a", exampleRegistration("a", { id: "newer" }));
    return ["a"];
  });
  await takeover.look();
  assert.deepEqual(left, []);
});

test("what a guest's home has said of it before does not send it away, what another server says does", (t) => {
  const { takeover, hear, left } = server([exampleRegistration("a", { home: "there" })], () => []);
  takeover.start();
  t.after(() => takeover.close());
  hear("a", "there", Date.now());
  assert.deepEqual(left, []);
  hear("a", "elsewhere", Date.now());
  assert.deepEqual(left, ["a"]);
});

test("guests are asked for when their home lives again, all of them", async () => {
  const own = Array.from({ length: 12_000 }, (_, n) => exampleRegistration(`device-${n}`, { home: "there" }));
  const { takeover, asked, left, living } = server(own, (some) => some.map(({ endpoint }) => endpoint).slice(0, 4_000));
  await takeover.look();
  assert.deepEqual([asked.length, left.length], [1, 4_000]);
  living.push("there");
  await takeover.look();
  assert.deepEqual([asked.length, left.length, asked.at(-1)?.length], [3, 12_000, 4_000]);
});

test("a large fleet is gone through bit by bit, and then anew", async () => {
  const own = Array.from({ length: 7_000 }, (_, n) => exampleRegistration(`device-${n}`));
  const { takeover, asked } = server(own, () => []);
  for (let n = 0; n < 3; n += 1) await takeover.look();
  assert.deepEqual(
    asked.map(({ length }) => length),
    [5_000, 2_000, 5_000],
  );
});

test("a device has left when another server says so, but not by what that server saw before it came here", async (t) => {
  const device = exampleRegistration("a");
  const { takeover, left, arriving, hear } = server([device], () => []);
  takeover.start();
  t.after(() => takeover.close());
  hear("a", "here", device.registeredAtMs + 1);
  hear("a", "there", device.registeredAtMs - 1);
  arriving.add("a");
  hear("a", "there", device.registeredAtMs + 1);
  assert.deepEqual(left, []);
  arriving.clear();
  hear("a", "there", device.registeredAtMs + 1);
  assert.deepEqual(left, ["a"]);
});

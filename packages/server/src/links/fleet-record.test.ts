import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import type { NewEvent, Stores } from "../store/ports.ts";
import { exampleRegistration } from "../store/scratch-stores.ts";
import { FleetRecord } from "./fleet-record.ts";

test("a device is arriving until each of its registrations is among the events", () => {
  const waiting: [NewEvent, (() => void) | undefined][] = [];
  const remarks = { put: (event: NewEvent, onSettled?: () => void) => void waiting.push([event, onSettled]) };
  const stores = { remarks, nodes: { id: "here" } } as unknown as Stores;
  const record = new FleetRecord(stores, pino({ level: "silent" }));
  record.remark("device.registered", exampleRegistration("a"), "first");
  record.remark("device.deregistered", exampleRegistration("a"), "gone");
  record.remark("device.registered", exampleRegistration("a"), "again");
  assert.deepEqual([record.isArriving("a"), record.isArriving("b")], [true, false]);
  const [[first, onFirst], , [, onAgain]] = waiting as [[NewEvent, () => void], unknown, [NewEvent, () => void]];
  assert.deepEqual(first.facts, { address: "127.0.0.1:40000", transport: "udp", node: "here" });
  onFirst();
  assert.equal(record.isArriving("a"), true);
  onAgain();
  assert.equal(record.isArriving("a"), false);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { DEFAULT_MOST_TOLD, DeviceFaults, endpointIn, refusedRequest } from "./device-faults.ts";

const answer = { code: CODE.badRequest, payload: encodeUtf8("not a binding") };
const refusal = (endpoint: string | undefined, address = "192.0.2.7:5683") =>
  refusedRequest("registration", { address, endpoint }, answer);

test("a device that floods with refused registrations is counted each time and told of once a minute", () => {
  const faults = new DeviceFaults();
  const events = Array.from({ length: 1000 }, (_, i) => faults.note(refusal("pump"), i)).filter((one) => one);
  assert.equal(events.length, 1);
  assert.equal(events[0]?.sentence, "a registration from 192.0.2.7:5683 was refused with 4.00: not a binding");
  assert.equal(faults.countOf("registration", "4.00"), 1000);
  assert.ok(faults.note(refusal("pump"), 60_000));
  assert.ok(faults.note(refusal("other", "192.0.2.8:5683"), 60_000));
});

test("one kind of fault does not hide another", () => {
  const faults = new DeviceFaults();
  const from = { address: "192.0.2.7:5683", endpoint: "pump" };
  assert.equal(faults.note(refusal("pump"), 0)?.kind, "device.refused");
  const sent = refusedRequest("send", from, { code: CODE.tooManyRequests, payload: new Uint8Array() });
  assert.match(
    faults.note(sent, 1)?.sentence ?? "",
    /^a report \(Send\) from .* was refused with 4\.29: too many at once$/,
  );
  const flood = { ...from, kind: "flood", code: "4.29", sentence: "too fast", count: 700 } as const;
  assert.equal(faults.note(flood, 2)?.kind, "device.flood");
  assert.equal(faults.countOf("flood"), 700);
});

test("many names from one address make one event a minute, and of many addresses only the last are remembered", () => {
  const faults = new DeviceFaults(10_000);
  const told = Array.from({ length: 5000 }, (_, i) => faults.note(refusal(`d${i}`), 0)).filter((one) => one);
  assert.equal(told.length, 1);
  for (let i = 0; i < 5000; i += 1) assert.ok(faults.note(refusal(`e${i}`, `192.0.2.9:${i}`), 0));
  assert.ok(faults.note(refusal("e0", "192.0.2.9:0"), 1));
  assert.equal(faults.note(refusal("e4999", "192.0.2.9:4999"), 1), undefined);
});

test("many names from many ports make so many events a minute and no more, and all are counted", () => {
  const faults = new DeviceFaults();
  const flood = (nowMs: number) =>
    Array.from({ length: 1000 }, (_, i) => faults.note(refusal(`f${nowMs + i}`, `192.0.2.9:${nowMs + i}`), nowMs));
  assert.equal(flood(0).filter((one) => one).length, DEFAULT_MOST_TOLD);
  assert.equal(flood(59_999).filter((one) => one).length, 0);
  assert.equal(flood(60_000).filter((one) => one).length, DEFAULT_MOST_TOLD);
  assert.equal(faults.countOf("registration", "4.00"), 3000);
});

test("a name that no device may have is not put on a timeline", () => {
  assert.equal(endpointIn(["lt=60", "ep=pump"]), "pump");
  assert.equal(endpointIn(["ep="]), undefined);
  assert.equal(endpointIn([`ep=${"x".repeat(256)}`]), undefined);
});

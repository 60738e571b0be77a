import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { endpointIn, RegistrationRefusals } from "./registration-refusals.ts";

const refusal = (endpoint: string | undefined, address = "192.0.2.7:5683") => ({
  address,
  endpoint,
  code: CODE.badRequest,
  reason: encodeUtf8("not a binding"),
});

test("a device that floods with refused registrations is counted each time and told of once a minute", () => {
  const refusals = new RegistrationRefusals();
  const events = Array.from({ length: 1000 }, (_, i) => refusals.note(refusal("pump"), i)).filter((one) => one);
  assert.equal(events.length, 1);
  assert.equal(events[0]?.sentence, "a registration from 192.0.2.7:5683 was refused with 4.00: not a binding");
  assert.equal(refusals.counts.get("4.00"), 1000);
  assert.ok(refusals.note(refusal("pump"), 60_000));
  assert.ok(refusals.note(refusal("other"), 60_000));
});

test("of a flood of names only the last are remembered", () => {
  const refusals = new RegistrationRefusals();
  for (let i = 0; i < 5000; i += 1) assert.ok(refusals.note(refusal(`d${i}`), 0));
  assert.ok(refusals.note(refusal("d0"), 1));
  assert.equal(refusals.note(refusal("d4999"), 1), undefined);
});

test("a name that no device may have is not put on a timeline", () => {
  assert.equal(endpointIn(["lt=60", "ep=pump"]), "pump");
  assert.equal(endpointIn(["ep="]), undefined);
  assert.equal(endpointIn([`ep=${"x".repeat(256)}`]), undefined);
});

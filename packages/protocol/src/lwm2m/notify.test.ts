import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PeerError } from "../lib/errors.ts";
import {
  changeAttributes,
  formatAttributeChange,
  fromLinkAttributes,
  inheritAttributes,
  type NotificationAttributes,
  parseAttributeChange,
  toLinkAttributes,
} from "./attributes.ts";
import { equalValues, isNotable, Notifier } from "./notify.ts";
import type { ResourceValue } from "./value.ts";

const value = (of: ResourceValue) => ({ kind: "value", value: of }) as const;
const wake = { kind: "wake" } as const;
const sent = (outputs: readonly { value: ResourceValue }[]) => outputs.map(({ value: of }) => of);

test("§5.1.2 without attributes every change is notified at once, and no change never", () => {
  const notifier = new Notifier({}, 1, 0);
  assert.equal(notifier.wakeAtMs, undefined);
  assert.deepEqual(sent(notifier.step(value(1), 10)), []);
  assert.deepEqual(sent(notifier.step(value(2), 20)), [2]);
  assert.deepEqual(sent(notifier.step(value(2), 30)), []);
});
test("pmin: a change in the quiet time is sent at its end, with the newest value", () => {
  const notifier = new Notifier({ pmin: 10 }, 0, 0);
  assert.deepEqual(notifier.step(value(1), 1_000), []);
  assert.deepEqual(notifier.step(value(2), 2_000), []);
  assert.equal(notifier.wakeAtMs, 10_000);
  assert.deepEqual(notifier.step(wake, 9_999), [], "an early wake changes nothing");
  assert.deepEqual(sent(notifier.step(wake, 10_000)), [2]);
  assert.deepEqual(notifier.step(wake, 10_000), [], "a repeated wake changes nothing");
});
test("pmin: what became due stays due, though the value came back", () => {
  const notifier = new Notifier({ pmin: 10 }, 0, 0);
  notifier.step(value(1), 1_000);
  notifier.step(value(0), 2_000);
  assert.deepEqual(sent(notifier.step(wake, 10_000)), [0]);
});
test("pmax: the value is sent unchanged when the time is over, and the time starts anew", () => {
  const notifier = new Notifier({ pmin: 1, pmax: 60 }, 7, 0);
  assert.equal(notifier.wakeAtMs, 60_000);
  assert.deepEqual(sent(notifier.step(wake, 60_000)), [7]);
  assert.deepEqual(sent(notifier.step(value(8), 90_000)), [8]);
  assert.equal(notifier.wakeAtMs, 150_000);
});
test("pmax below pmin does not count", () => {
  assert.equal(new Notifier({ pmin: 60, pmax: 10 }, 0, 0).wakeAtMs, undefined);
});
test("new attributes apply at once to what is waiting", () => {
  const notifier = new Notifier({ pmin: 100 }, 0, 0);
  notifier.step(value(1), 1_000);
  assert.deepEqual(sent(notifier.step({ kind: "attributes", attributes: {} }, 2_000)), [1]);
});

const NOTABLE: [attributes: NotificationAttributes, last: ResourceValue, now: ResourceValue, expected: boolean][] = [
  [{ gt: 30 }, 29, 31, true],
  [{ gt: 30 }, 31, 29, true],
  [{ gt: 30 }, 31, 35, false],
  [{ gt: 30 }, 29, 30, false],
  [{ gt: 30 }, 30, 31, true],
  [{ lt: 10 }, 10, 9, true],
  [{ lt: 10 }, 11, 10, false],
  [{ lt: 10 }, 5, 3, false],
  [{ lt: 10 }, 9, 12, true],
  [{ st: 5 }, 10, 14, false],
  [{ st: 5 }, 10, 15, true],
  [{ st: 5 }, 10, 5, true],
  [{ st: 0 }, 10, 10, false],
  [{ gt: 30, st: 5 }, 10, 15, true],
  [{ gt: 30 }, 29n, 31n, true],
  [{ gt: 30 }, "a", "b", true],
  [{ edge: 1 }, false, true, true],
  [{ edge: 1 }, true, false, false],
  [{ edge: 0 }, true, false, true],
];
for (const [attributes, last, now, expected] of NOTABLE) {
  test(`§5.1.2 ${JSON.stringify(attributes)}: ${last} → ${now} is ${expected ? "" : "not "}notified`, () => {
    assert.equal(isNotable(attributes, last, now), expected);
  });
}
test("values are compared by content", () => {
  assert.ok(equalValues(Uint8Array.of(1), Uint8Array.of(1)) && !equalValues(Uint8Array.of(1), Uint8Array.of(2)));
  assert.ok(equalValues({ objectId: 1, instanceId: 2 }, { objectId: 1, instanceId: 2 }));
  assert.ok(!equalValues(1, "1") && equalValues(Number.NaN, Number.NaN));
});
test("pmin and pmax hold for any values at any times", () => {
  const steps = fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 20_000 })), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (list) => {
      const notifier = new Notifier({ pmin: 5, pmax: 30 }, 0, 0);
      let nowMs = 0;
      let lastMs = 0;
      const run = (outputs: readonly unknown[]) => {
        if (outputs.length === 0) return;
        assert.ok(nowMs - lastMs >= 5_000 && nowMs - lastMs <= 30_000);
        lastMs = nowMs;
      };
      for (const [now, afterMs] of list) {
        const untilMs = nowMs + afterMs;
        for (let atMs = notifier.wakeAtMs ?? untilMs; atMs < untilMs; atMs = notifier.wakeAtMs ?? untilMs) {
          nowMs = atMs;
          run(notifier.step(wake, nowMs));
        }
        nowMs = untilMs;
        run(notifier.step(value(now), nowMs));
      }
    }),
  );
});

test("§6.3.4: an attribute without a value is removed, the others stay", () => {
  const change = parseAttributeChange(["pmin=10", "gt=-1.5", "pmax"]);
  assert.deepEqual(change, { pmin: 10, gt: -1.5, pmax: null });
  assert.deepEqual(changeAttributes({ pmax: 60, st: 1 }, change), { st: 1, pmin: 10, gt: -1.5 });
  assert.deepEqual(parseAttributeChange(formatAttributeChange(change)), change);
});
for (const query of ["pmin=-1", "pmin=1.5", "con=2", "st=-1", "gt=high", "gt=1e999", "x=1", "pmin=0x1"]) {
  test(`§5.1.2 refused: ${query}`, () => {
    assert.throws(() => parseAttributeChange([query]), PeerError);
  });
}
test("§5.1.2: thresholds and step must leave room: lt + 2·st < gt", () => {
  assert.throws(() => changeAttributes({ gt: 20 }, { lt: 10, st: 5 }), PeerError);
  assert.deepEqual(changeAttributes({ gt: 20 }, { lt: 10, st: 4 }), { gt: 20, lt: 10, st: 4 });
});
test("what is nearer to the resource wins", () => {
  assert.deepEqual(inheritAttributes([{ pmin: 1, pmax: 100 }, {}, { pmin: 5 }]), { pmin: 5, pmax: 100 });
});
test("Discover shows them and they are read back", () => {
  const attributes = { pmin: 1, st: 0.5 };
  const link = {
    target: "/5/0/3",
    attributes: [...toLinkAttributes(attributes), { name: "dim", value: "8", quoted: false }],
  };
  assert.deepEqual(fromLinkAttributes(link), attributes);
});

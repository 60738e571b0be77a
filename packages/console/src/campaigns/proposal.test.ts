import assert from "node:assert/strict";
import { test } from "node:test";
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import fc from "fast-check";
import { specOf } from "./draft.ts";
import { emptyDraft, ownChange, suited } from "./proposal.ts";

const filled = { ...emptyDraft("Europe/Oslo"), name: "Pump 2", image: "0123456789abcdef", query: "model==pump" };
const specFor = (deviceCount: number | undefined) => CampaignSpec.parse(specOf(suited(filled, deviceCount)));

test("a large fleet, or one whose size is not known, gets a few, a tenth and the rest, judged from twenty on", () => {
  for (const deviceCount of [undefined, 0, 50, 100_000]) {
    const { waves, criteria } = specFor(deviceCount);
    assert.deepEqual(
      waves.map(({ name, devices }) => [name, devices]),
      [
        ["canaries", { count: 5 }],
        ["tenth", { percent: 10 }],
        ["rest", "remaining"],
      ],
    );
    assert.equal(criteria[0]?.minimumExecuted, deviceCount === 50 ? 13 : 20);
  }
});

test("whatever the fleet's size, the server takes it, each wave has devices, and the criterion can be met before all have ended", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 200_000 }), (deviceCount) => {
      const { waves, criteria } = specFor(deviceCount);
      const [canaries] = waves;
      assert.ok(canaries && typeof canaries.devices === "object" && "count" in canaries.devices);
      assert.ok(canaries.devices.count >= 1 && canaries.devices.count < deviceCount);
      assert.ok(waves.length === 2 || deviceCount >= 50);
      const least = criteria[0]?.minimumExecuted ?? 0;
      assert.ok(least >= 1 && least < deviceCount);
    }),
  );
});

test("what somebody wrote themselves stays, and the rest goes on to follow the fleet", () => {
  const before = suited(filled, 8);
  const draft = { ...before, ...ownChange(before, { waves: before.waves.slice(1) }) };
  const after = suited(draft, 100);
  assert.deepEqual(
    after.waves.map(({ name }) => name),
    ["rest"],
  );
  assert.equal(after.criteria[0]?.minimumExecuted, "20");
  assert.deepEqual(ownChange(draft, { name: "Pump 3" }), { name: "Pump 3" });
});

test("a proposal made anew has the keys that it had: who is in one of its fields stays there", () => {
  const keys = (deviceCount: number) => suited(filled, deviceCount).waves.map(({ key }) => key);
  assert.deepEqual(keys(60), keys(600));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import { newWave, specOf } from "./draft.ts";
import { emptyDraft } from "./proposal.ts";

const filled = { ...emptyDraft("Europe/Oslo"), name: "Pump 2", image: "0123456789abcdef", query: "model==pump" };

test("what the wizard begins with is a campaign that the server takes, once it has a name, an image and a query", () => {
  const spec = CampaignSpec.parse(specOf(filled));
  assert.deepEqual(
    spec.waves.map(({ name, devices }) => [name, devices]),
    [
      ["canaries", { count: 5 }],
      ["tenth", { percent: 10 }],
      ["rest", "remaining"],
    ],
  );
  assert.deepEqual([spec.approval, spec.downgrade, spec.rollback, spec.windows.apply], ["none", false, undefined, []]);
});

test("windows, approval and rollback are as they were filled in", () => {
  const draft = { ...filled, applyCron: "0 2 * * *", needsApproval: true, rollbackImage: "00112233445566aa" };
  const spec = CampaignSpec.parse(specOf(draft));
  assert.deepEqual(spec.windows.apply, [{ cron: "0 2 * * *", for: "2h" }]);
  assert.deepEqual([spec.approval, spec.rollback?.image], ["required", "00112233445566aa"]);
});

test("waves that leave devices out are refused by the schema, not by a guess of the page", () => {
  const waves = [newWave({ size: "10" })];
  const { success, error } = CampaignSpec.safeParse(specOf({ ...filled, waves }));
  assert.equal(success, false);
  assert.match(error?.message ?? "", /in no wave/);
});

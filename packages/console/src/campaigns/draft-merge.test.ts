import assert from "node:assert/strict";
import { test } from "node:test";
import { CampaignSpec } from "@airlift/protocol/api/campaign";
import { specOf } from "./draft.ts";
import { changedMembers, contested, editOf, mergeDrafts, newsOf } from "./draft-merge.ts";
import { emptyDraft } from "./proposal.ts";
import { draftOf } from "./read-draft.ts";

const spec = CampaignSpec.parse({
  name: "Pump 2",
  image: "0123456789abcdef",
  targets: { query: "model==pump", continuous: true },
  waves: [
    {
      name: "canaries",
      devices: { count: 3 },
      criteria: [{ outcomes: ["failed"], threshold: { count: 1 }, window: "1h", do: "pauseCampaign" }],
    },
    { name: "hill", devices: { query: "tags==hill" }, successPercent: 97.5, soak: "2h" },
    { name: "rest", devices: "remaining" },
  ],
  criteria: [{ outcomes: ["fellBack"], threshold: { percent: 2.5 }, window: "6h", do: "pauseCampaign" }],
  caps: {
    inFlight: 20,
    bytesPerSecond: 1000,
    startsPerMinute: { base: 1, factor: 2, max: 9, per: { succeeded: 5 } },
  },
  windows: {
    download: [
      { cron: "0 22 * * *", for: "8h" },
      { cron: "0 12 * * *", for: "1h" },
    ],
    blackout: [{ from: "2026-12-24", to: "2026-12-26" }],
  },
  rollback: { image: "00112233445566aa", inFlight: 7 },
});

test("a campaign that a file has written goes through the wizard unchanged", () => {
  const { name, image, targets, waves, criteria, caps, windows, rollback, timeZone, approval, downgrade } = spec;
  const written = { name, image, targets, waves, criteria, caps, windows, rollback, timeZone, approval, downgrade };
  const read = CampaignSpec.parse(specOf(draftOf(spec)));
  for (const [member, value] of Object.entries(written)) assert.deepEqual(read[member as keyof typeof written], value);
  assert.deepEqual(editOf(draftOf(spec), draftOf(spec)), {});
});

test("an edit has what was changed and nothing else; what was taken away is null", () => {
  const base = draftOf(spec);
  const edit = editOf(base, { ...base, inFlight: "40", rollbackImage: "" });
  assert.deepEqual(Object.keys(edit), ["caps", "rollback"]);
  assert.deepEqual(edit["caps"], { ...spec.caps, inFlight: 40 });
  assert.equal(edit["rollback"], null);
});

test("what only one has changed is put together; what both have changed is asked for", () => {
  const base = { ...emptyDraft("UTC"), name: "a", image: "0123456789abcdef", query: "model==pump" };
  const mine = { ...base, name: "mine", inFlight: "5", needsApproval: true };
  const theirs = { ...base, name: "theirs", query: "model==valve", needsApproval: true };
  const versions = { base, mine, theirs };
  assert.deepEqual(contested(versions), ["name"]);
  const [withTheirs, withMine] = [mergeDrafts(versions, []), mergeDrafts(versions, ["name"])];
  assert.deepEqual([withTheirs.name, withTheirs.query, withTheirs.inFlight], ["theirs", "model==valve", "5"]);
  assert.deepEqual([withMine.name, withMine.query, withMine.inFlight], ["mine", "model==valve", "5"]);
  assert.deepEqual(changedMembers(theirs, withMine), ["name", "caps"]);
});

test("whoever keeps their windows keeps all of them, those without fields too", () => {
  const base = draftOf(spec);
  const mine = { ...base, downloadCron: "0 20 * * *" };
  const theirs = draftOf({ ...spec, windows: { ...spec.windows, download: [] } });
  const kept = specOf(mergeDrafts({ base, mine, theirs }, ["windows"]));
  assert.equal(kept.windows?.download?.length, 2);
  assert.deepEqual(specOf(mergeDrafts({ base, mine, theirs }, [])).windows?.download, []);
});

test("there is no news where they have saved what I have written too, or nothing at all", () => {
  const base = draftOf(spec);
  const mine = { ...base, name: "Pump 3", inFlight: "40" };
  assert.deepEqual(newsOf({ base, mine, theirs: base }), []);
  assert.deepEqual(newsOf({ base, mine, theirs: { ...base, name: "Pump 3" } }), []);
  assert.deepEqual(newsOf({ base, mine, theirs: { ...base, name: "Pump 4", query: "tags==hill" } }), [
    "name",
    "targets",
  ]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { approvalOf, approvalReason, changedBy, isDowngrade, MOST_EDITORS, requireApprover } from "./approval.ts";
import type { Authorship } from "./campaign.ts";
import type { CampaignPolicy } from "./policy.ts";

const plain = { isRequired: false, allowsDowngrade: false, version: "1.10.0", rollbackVersion: null };

test("a campaign needs approval for what sends devices back: lower versions, and a rollback to one", () => {
  assert.equal(approvalReason(plain), null);
  assert.equal(approvalReason({ ...plain, isRequired: true }), "its file asks for it");
  assert.equal(
    approvalReason({ ...plain, allowsDowngrade: true, rollbackVersion: "1.9.0" }),
    "allows lower versions, prepares a rollback to 1.9.0, a downgrade",
  );
  for (const rollbackVersion of ["1.10.0", "1.11.0", "2.0.0"])
    assert.equal(approvalReason({ ...plain, rollbackVersion }), null);
  assert.ok(isDowngrade("1.9.0", "1.10.0") && !isDowngrade("1.10.0", "1.9.0"));
});

test("a draft of an older program needs approval when it prepares a rollback, whatever that goes back to", () => {
  const old = (needsApproval: boolean, hasRollback: boolean) =>
    approvalOf({ needsApproval, hasRollback } as CampaignPolicy);
  assert.deepEqual(
    [old(false, false), old(true, false), old(false, true)],
    [null, "its file asks for it", "prepares a rollback"],
  );
});

test("nobody approves what they have written something of, however many have changed it since", () => {
  const ann: Authorship = { id: "c", createdBy: "ann", creatorId: "token a" };
  const changed = changedBy(changedBy(changedBy(ann, { name: "ben" }), { name: "cleo" }), { name: "ben" });
  assert.deepEqual(changed.editors, [{ name: "cleo" }, { name: "ben" }]);
  for (const name of ["ann", "ben", "cleo"])
    assert.throws(() => requireApprover(changed, { name }), {
      code: "SAME_PERSON",
      message: /neither created nor changed the campaign must approve it: not ann, cleo and ben$/,
    });
  assert.doesNotThrow(() => requireApprover(changed, { name: "dan" }));
});

test("whoever is another by account counts beside one of that name, and there is an end to it", () => {
  const kim = (sub: number) => ({ name: "kim", id: `account https://login.example ${sub}` }) as const;
  let draft: Authorship = changedBy({ id: "c", createdBy: "ann" }, kim(0));
  for (let sub = 1; sub < MOST_EDITORS; sub += 1) draft = changedBy(draft, kim(sub));
  for (const sub of [0, MOST_EDITORS - 1])
    assert.throws(() => requireApprover(draft, kim(sub)), { code: "SAME_PERSON" });
  assert.doesNotThrow(() => requireApprover(draft, kim(MOST_EDITORS)));
  assert.throws(() => changedBy(draft, kim(MOST_EDITORS)), { code: "DRAFT_EDITORS" });
  assert.equal(changedBy(draft, kim(7)).editors?.length, MOST_EDITORS);
});

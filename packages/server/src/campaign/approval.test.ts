import assert from "node:assert/strict";
import { test } from "node:test";
import { approvalOf, approvalReason, isDowngrade } from "./approval.ts";
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

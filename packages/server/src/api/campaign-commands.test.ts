import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CampaignStage, codeOf, placesOf } from "./campaign-stage.ts";

let stage: CampaignStage;
before(async () => {
  stage = await CampaignStage.open();
});
after(() => stage.close());

describe("approval", () => {
  test("only an approver who has neither created nor changed it may approve it, whoever changed it last", async () => {
    const { id } = await stage.create({ approval: "required" }, "anna");
    const submitted = await stage.post(`/${id}/submit`, undefined, "otto");
    assert.equal(submitted.body.state, "awaitingApproval");
    const sentence = "waits for somebody else than anna to approve it: its file asks for it";
    assert.equal(submitted.body.sentence, sentence);
    assert.equal(codeOf(await stage.post(`/${id}/start`, undefined, "otto")), "409 CAMPAIGN_STATE");
    assert.equal(codeOf(await stage.post(`/${id}/approve`, undefined, "otto")), "403 ROLE_REFUSED");
    assert.equal(codeOf(await stage.post(`/${id}/approve`, undefined, "anna")), "403 SAME_PERSON");
    // Who edits it stands for it: an approver cannot slip something in and approve it.
    await stage.post(`/${id}/reject`, undefined, "otto");
    const edit = { method: "PATCH", url: `/api/v1/campaigns/${id}`, payload: { priority: 7 } } as const;
    const edited = await stage.ask(edit, "ben");
    assert.deepEqual([edited.body.createdBy, edited.body.changedBy], ["anna", ["ben"]]);
    const again = await stage.post(`/${id}/submit`, undefined, "otto");
    assert.equal(again.body.sentence, sentence.replace("anna", "anna and ben"));
    for (const author of ["anna", "ben"] as const)
      assert.equal(codeOf(await stage.post(`/${id}/approve`, undefined, author)), "403 SAME_PERSON", author);
    const approved = await stage.post(`/${id}/approve`, undefined, "cleo");
    assert.deepEqual([approved.body.state, approved.body.approvedBy], ["ready", "cleo"]);
  });

  test("what was looked at is what is approved: If-Match refuses a campaign that was changed in between", async () => {
    const { id } = await stage.create({ approval: "required" }, "otto");
    await stage.post(`/${id}/submit`, undefined, "otto");
    const { headers } = await stage.get(`/${id}`, "anna");
    await stage.post(`/${id}/reject`, undefined, "otto");
    await stage.ask({ method: "PATCH", url: `/api/v1/campaigns/${id}`, payload: { priority: 9 } }, "otto");
    await stage.post(`/${id}/submit`, undefined, "otto");
    const late = await stage.post(`/${id}/approve`, undefined, "anna", { "if-match": headers["etag"] });
    assert.equal(codeOf(late), "412 ETAG_MISMATCH");
  });

  test("a downgrade waits for approval without being asked to", async () => {
    const { id } = await stage.create({ downgrade: true }, "otto");
    assert.equal((await stage.post(`/${id}/submit`, undefined, "otto")).body.state, "awaitingApproval");
  });

  test("where nobody signs in there is nobody else, and the approval says so", async () => {
    const { id } = await stage.create({ approval: "required" });
    await stage.post(`/${id}/submit`);
    assert.equal((await stage.post(`/${id}/approve`)).body.approvedBy, "local (without sign-in)");
  });

  test("viewers read and plan, and change nothing", async () => {
    const { id } = await stage.create({}, "otto");
    for (const path of ["", `/${id}`, `/${id}/plan`, `/${id}/targets`, `/${id}/events`])
      assert.equal((await stage.get(path, "vera")).status, 200, path);
    assert.equal((await stage.post("/plan", stage.specOf(), "vera")).status, 200);
    assert.equal((await stage.post("/preview", { query: "model==Pump" }, "vera")).body.count, 20);
    for (const path of ["", `/${id}/submit`, `/${id}/stop`, `/${id}/retry`])
      assert.equal(codeOf(await stage.post(path, stage.specOf(), "vera")), "403 ROLE_REFUSED", path);
  });
});

describe("rollback", () => {
  test("it is prepared with the campaign, started through it, and takes no word of its own before that", async () => {
    const { id, rollbackId } = await stage.create({ rollback: { image: stage.images["1.0.0"] ?? "" } });
    const prepared = await stage.get(`/${rollbackId}`);
    assert.deepEqual([prepared.body.state, prepared.body.rollbackOf], ["ready", id]);
    for (const command of ["start", "reject", "stop", "approve"])
      assert.equal(codeOf(await stage.post(`/${rollbackId}/${command}`)), "409 ROLLBACK_PREPARED", command);
    const submitted = await stage.post(`/${id}/submit`);
    assert.deepEqual(
      [submitted.body.state, submitted.body.needsApproval, submitted.body.approvalReason],
      ["awaitingApproval", true, "prepares a rollback to 1.0.0, a downgrade"],
    );
    assert.equal(codeOf(await stage.post(`/${id}/start`)), "409 CAMPAIGN_STATE");
    assert.equal((await stage.post(`/${id}/approve`, undefined, "anna")).body.state, "ready");
    await stage.post(`/${id}/start`);
    assert.equal((await stage.post(`/${id}/rollback`)).body.state, "aborted");
    const { body } = await stage.get(`/${rollbackId}`);
    assert.deepEqual([body.state, body.sentence], ["finished", "finished: no device matched"]);
  });

  test("without one there is none, and one that cannot undo is refused where it is written", async () => {
    const { id } = await stage.create();
    await stage.post(`/${id}/submit`);
    await stage.post(`/${id}/start`);
    assert.equal(codeOf(await stage.post(`/${id}/rollback`)), "409 NO_ROLLBACK");
    for (const image of [stage.images["2.0.0"], stage.images["other"]]) {
      const answer = await stage.post("", stage.specOf({ rollback: { image: image ?? "" } }));
      assert.deepEqual([answer.status, placesOf(answer)], [422, ["rollback.image"]]);
    }
    await stage.stop(id);
  });
});

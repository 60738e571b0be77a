/** Two operators change the same thing; neither's work is lost without a word. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { postOf } from "@airlift/cli/client";
import { Campaign, CampaignSummary, type NewCampaign } from "@airlift/protocol/api/campaign";
import { pageOf } from "@airlift/protocol/api/schemas";
import type { Page } from "playwright-core";
import { barriers } from "./barriers.ts";
import { Stage } from "./stage.ts";

/** As somebody may call a campaign: text, wherever it is shown. */
const MARKUP = "Spring <img src=x onerror=alert(1)>";

let stage: Stage;

before(async () => {
  stage = await Stage.open();
  stage.startFleet(1);
  await stage.untilRegistered(1);
});
after(() => stage.close());

async function edit(page: Page, tag: string, note: string): Promise<void> {
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("combobox", { name: "Tags" }).fill(tag);
  await page.getByRole("combobox", { name: "Tags" }).press("Enter");
  await page.getByLabel("Note").fill(note);
}

test("the later one is shown what the earlier one saved, and settles it", async () => {
  const one = await stage.view("/devices/sim-1");
  const other = await stage.view("/devices/sim-1");
  await edit(one, "roof", "antenna replaced");
  await edit(other, "pilot", "ask before updates");
  await one.getByRole("button", { name: "Save" }).click();
  await one.getByText("antenna replaced").waitFor();
  // The other one is told while they write, not only when it is too late.
  const conflict = other.getByRole("alert").filter({ hasText: "Someone else has changed this meanwhile" });
  await conflict.getByText("antenna replaced").waitFor();
  await stage.picture(other, "conflict");
  assert.deepEqual(await barriers(other), []);
  await conflict.getByRole("button", { name: "Put both together" }).click();
  await other.getByRole("button", { name: "Save" }).click();
  await other.getByRole("button", { name: "Edit" }).waitFor();
  // The first one's page hears of it by itself.
  await one.getByText("ask before updates").waitFor();
  const device = await stage.client.device("sim-1");
  assert.deepEqual(device.tags, ["pilot", "roof"]);
  assert.equal(device.note, "antenna replaced\nask before updates");
  await one.close();
  await other.close();
});

test("who saves tags and a note that were changed a moment ago is refused, and shown both", async () => {
  const page = await stage.view("/devices/sim-1");
  // The line to this page is dead, so nothing tells it what the other one does.
  await page.route("**/api/v1/events*", (route) => route.abort());
  await page.reload();
  await edit(page, "cellar", "mine");
  await stage.client.editDevice("sim-1", { note: "theirs" });
  await page.getByRole("button", { name: "Save" }).click();
  const conflict = page.getByRole("alert").filter({ hasText: "Someone else has changed this meanwhile" });
  await conflict.getByText("theirs", { exact: true }).waitFor();
  await conflict.getByRole("button", { name: "Keep mine" }).click();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Edit" }).waitFor();
  assert.equal((await stage.client.device("sim-1")).note, "mine");
  await page.close();
});

test("two edit one draft: what only one has changed is kept of both, what both have changed is asked for", async () => {
  const image = await stage.addFirmware("2.0.0");
  const { id } = await stage.client.call(
    "campaigns",
    Campaign,
    postOf({
      name: "Autumn",
      image: image.id,
      targets: { query: "endpoint==sim-*" },
      caps: { inFlight: 10, bytesPerSecond: 5000 },
    } satisfies NewCampaign),
  );
  const [one, other] = [await stage.view(`/campaigns/${id}`), await stage.view(`/campaigns/${id}`)];
  await one.getByRole("link", { name: "Edit" }).click();
  await other.getByRole("link", { name: "Edit" }).click();
  await one.getByLabel("Name").fill("Autumn, north");
  await one.getByRole("textbox", { name: "Devices" }).fill("endpoint==sim-1");
  await other.getByLabel("Name").fill("Autumn, slowly");
  await toLimits(other);
  await other.getByLabel("Devices worked on at once").fill("3");
  await toPlan(one);
  await one.getByRole("button", { name: "Save the draft" }).click();
  await one.getByRole("heading", { name: "Autumn, north" }).waitFor();
  // The other one is told while they write, not only when it is too late.
  const conflict = other.getByRole("alert").filter({ hasText: "Someone else has changed this draft meanwhile" });
  await conflict.getByText("Devices: endpoint==sim-1").waitFor();
  await conflict.getByRole("radio", { name: /you: Autumn, slowly/ }).check();
  await stage.picture(other, "draft-conflict");
  assert.deepEqual(await barriers(other), []);
  await conflict.getByRole("button", { name: "Put both together" }).click();
  await conflict.waitFor({ state: "detached" });
  await other.getByRole("button", { name: "Next" }).click();
  await other.getByRole("button", { name: "Save the draft" }).click();
  await other.getByRole("heading", { name: "Autumn, slowly" }).waitFor();
  const { spec } = await stage.client.call(`campaigns/${id}`, Campaign);
  assert.deepEqual([spec.name, spec.targets.query], ["Autumn, slowly", "endpoint==sim-1"]);
  assert.deepEqual(spec.caps, { inFlight: 3, bytesPerSecond: 5000 });
  await one.close();
  await other.close();
});

test("who saves what was changed a moment ago is refused, shown it, and can give in", async () => {
  const { items } = await stage.client.call("campaigns", pageOf(CampaignSummary));
  const id = items[0]?.id ?? "";
  const page = await stage.view(`/campaigns/${id}/edit`);
  // The line to this page is dead, so nothing tells it what the other one does.
  await page.route("**/api/v1/events*", (route) => route.abort());
  await page.reload();
  await page.getByLabel("Name").fill("Winter");
  await toPlan(page);
  const change = { method: "PATCH", body: JSON.stringify({ name: MARKUP }) } as const;
  await stage.client.call(`campaigns/${id}`, Campaign, { ...change, headers: { "content-type": "application/json" } });
  await page.getByRole("button", { name: "Save the draft" }).click();
  const conflict = page.getByRole("alert").filter({ hasText: "Someone else has changed this draft meanwhile" });
  await conflict.getByText("you: Winter").waitFor();
  await conflict.getByText(MARKUP).waitFor();
  await conflict.getByRole("button", { name: "Take all of theirs" }).click();
  await page.getByText("Nothing is changed yet.").waitFor();
  assert.equal((await stage.client.call(`campaigns/${id}`, Campaign)).name, MARKUP);
  await page.close();
});

test("a draft that somebody submits while one edits it takes no change, and loses none", async () => {
  const image = await stage.addFirmware("3.0.0");
  const order = {
    name: "Frost",
    image: image.id,
    targets: { query: "endpoint==sim-*" },
    approval: "required",
  } as const;
  const { id } = await stage.client.call("campaigns", Campaign, postOf(order satisfies NewCampaign));
  const page = await stage.view(`/campaigns/${id}/edit`);
  await page.getByLabel("Name").fill("Frost, slowly");
  await stage.client.call(`campaigns/${id}/submit`, Campaign, { method: "POST" });
  const closed = page.getByRole("alert").filter({ hasText: "This is not a draft any more" });
  await closed.getByText("Name: Frost, slowly").waitFor();
  await stage.picture(page, "draft-submitted");
  assert.deepEqual(await barriers(page), []);
  // Sent back, it is a draft again: nothing of it has changed, so there is nothing to settle.
  await stage.client.call(`campaigns/${id}/reject`, Campaign, { method: "POST" });
  await closed.waitFor({ state: "detached" });
  assert.equal(await page.getByRole("alert").count(), 0);
  assert.equal(await page.getByLabel("Name").inputValue(), "Frost, slowly");
  await stage.client.tell(`campaigns/${id}`, { method: "DELETE" });
  const deleted = page.getByRole("alert").filter({ hasText: "Somebody has deleted this draft" });
  await deleted.getByRole("button", { name: "Make a new draft with my changes" }).click();
  await page.getByRole("heading", { name: "Frost, slowly", level: 2 }).waitFor();
  await page.getByRole("status").getByText("nothing happens before it is submitted").waitFor();
  await page.close();
});

test("no page has thrown, logged an error, or run into the policy", () => {
  // What the browser says of the line that was cut and of the saving that was refused is what was wanted.
  assert.deepEqual(
    stage.complaints.filter((line) => !/status of (404|412)|ERR_FAILED/.test(line)),
    [],
  );
});

async function toLimits(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("button", { name: "Next" }).click();
}

async function toPlan(page: Page): Promise<void> {
  await toLimits(page);
  await page.getByRole("button", { name: "Next" }).click();
}

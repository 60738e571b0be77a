/** Two operators change the same device; neither's work is lost without a word. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { barriers } from "./barriers.ts";
import { Stage } from "./stage.ts";

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
  await other.getByRole("button", { name: "Save" }).click();
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

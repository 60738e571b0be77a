/** An operator rolls out in the console: plans, starts, sees it pause by itself, goes on, and finds out why devices failed. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { barriers } from "./barriers.ts";
import { Stage } from "./stage.ts";

const DEVICES = 30;
let stage: Stage;
let page: Page;

before(async () => {
  stage = await Stage.open();
  stage.startFleet(DEVICES, "--seed", "7", "--fail-share", "0.5");
  await stage.untilRegistered(DEVICES);
  await stage.addImage("2.0.0", 40_000);
  page = await stage.view("/campaigns");
});
after(() => stage.close());

test("the wizard ends in the plan, and the draft that it makes has everybody in a wave", async () => {
  await page.getByRole("link", { name: "New campaign" }).click();
  await page.getByLabel("Name").fill("Pump 2 <b>for all</b>");
  await page.getByLabel("Image").selectOption({ label: "Airlift virtual 2.0.0" });
  await page.getByRole("button", { name: "Who is that?" }).click();
  await page.getByText(`${DEVICES} devices: sim-`).waitFor();
  await stage.picture(page, "campaign-targets");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByLabel("Then soak for").first().fill("1s");
  await page.getByLabel("Then soak for").nth(1).fill("1s");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByLabel("but not before").fill("3");
  await stage.picture(page, "campaign-limits");
  assert.deepEqual(await barriers(page), []);
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText(`${DEVICES} devices match, ${DEVICES} would be updated`).waitFor();
  await stage.picture(page, "campaign-plan");
  await page.getByRole("button", { name: "Create the draft" }).click();
  await page.getByRole("heading", { name: "Pump 2 <b>for all</b>" }).waitFor();
  assert.deepEqual(await barriers(page), []);
});

test("submitted and started, it pauses by its criterion, and says by which", async () => {
  await say("Submit");
  await say("Start");
  await page.getByText("paused", { exact: true }).first().waitFor({ timeout: 60_000 });
  await page.getByRole("status").getByText(/fail/).waitFor();
  await stage.picture(page, "campaign-paused");
  assert.deepEqual(await barriers(page), []);
});

test("each device that failed says why, and its page has the exchanges", async () => {
  await page.getByRole("link", { name: "Devices", exact: true }).nth(1).click();
  await page.getByLabel("State").selectOption("failed");
  await page
    .getByText(/^failed: /)
    .first()
    .waitFor();
  await stage.picture(page, "campaign-devices");
  await page.getByRole("link", { name: /^sim-/ }).first().click();
  await page
    .getByText(/failed: /)
    .first()
    .waitFor();
  await page.goBack();
});

test("told to stop, it stops, and the report can be saved", async () => {
  await page.getByRole("link", { name: "Waves", exact: true }).click();
  await say("Stop");
  await page.getByText("stopped", { exact: true }).first().waitFor();
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Save as JSON" }).click(),
  ]);
  assert.match(file.suggestedFilename(), /^campaign-[0-9a-f]+\.json$/);
});

test("on a phone the board needs no scrolling sideways", async () => {
  await page.setViewportSize({ width: 390, height: 800 });
  const [content, width] = (await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")) as number[];
  assert.ok((content ?? 0) <= (width ?? 0), `${content} px wide on a screen of ${width} px`);
  await stage.picture(page, "campaign-phone");
});

test("no page has thrown, logged an error, or run into the policy", () => {
  assert.deepEqual(stage.complaints, []);
});

/** Gives a command and confirms it in its dialog. */
async function say(command: string): Promise<void> {
  await page.getByRole("button", { name: new RegExp(`^${command} `) }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: new RegExp(`^${command} `) }).click();
  await dialog.waitFor({ state: "detached" });
}

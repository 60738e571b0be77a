/** A rollout by three people in the console: brought in, planned, approved, paused by its criterion, gone on with, finished, and undone. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client } from "@airlift/cli/client";
import { CampaignSummary } from "@airlift/protocol/api/campaign";
import { ROUTES } from "@airlift/protocol/api/routes";
import type { Locator, Page } from "playwright-core";
import { barriers, fitsItsWindow } from "./barriers.ts";
import { Stage, until } from "./stage.ts";

const GOOD = 8;
const BAD = 2;
const ALL = GOOD + BAD;
let stage: Stage;
/** One who makes campaigns, and one who has the say. */
let operator: Page;
let approver: Page;

before(async () => {
  stage = await Stage.open([]);
  stage.startFleet(GOOD, "--endpoint", "pump", "--seed", "7");
  stage.startFleet(BAD, "--endpoint", "worn", "--seed", "8", "--fall-back-share", "0.99");
  await stage.untilRegistered(ALL);
  await stage.addFirmware("1.0.0");
  const [operators, approvers] = [
    await stage.createToken("operator", "fleet desk"),
    await stage.createToken("approver", "release board"),
  ];
  operator = await stage.viewAs(operators, "/images");
  approver = await stage.viewAs(approvers, "/");
  // Before somebody is signed in the server says 401, and the browser writes that down.
  stage.complaints.length = 0;
});
after(() => stage.close());

test("the image is brought in, and the page says what was read from it", async () => {
  await operator.getByRole("button", { name: "Add an image …" }).click();
  await operator.locator('input[type="file"]').setInputFiles(stage.file("pump-2.bin", stage.firmware("2.0.0")));
  await operator.getByLabel("Manufacturer").fill("Airlift");
  await operator.getByLabel("Model").fill("virtual");
  await operator.getByLabel("Version").fill("2.0.0");
  await operator.getByRole("button", { name: "Upload", exact: true }).click();
  const added = operator.getByRole("dialog", { name: "The image is in the store" });
  await added.getByText("MCUboot", { exact: true }).waitFor();
  await stage.picture(operator, "image-added");
  await added.getByRole("button", { name: "Done" }).click();
  await operator.getByRole("link", { name: "Airlift virtual" }).nth(1).waitFor();
  await stage.picture(operator, "images");
});

test("the wizard, by keyboard alone, ends in the plan and in a draft that has everybody in a wave", async () => {
  await operator.getByRole("link", { name: "Campaigns", exact: true }).click();
  await operator.getByRole("link", { name: "New campaign" }).press("Enter");
  await operator.getByLabel("Name").pressSequentially("Pump 2.0.0, all of them");
  await operator.keyboard.press("Tab");
  await operator.getByLabel("Image").selectOption({ label: "Airlift virtual 2.0.0" });
  await operator.getByRole("button", { name: "Who is that?" }).press("Enter");
  await operator.getByText(`${ALL} devices: pump-1`).waitFor();
  await stage.picture(operator, "campaign-targets");
  await operator.getByRole("button", { name: "Next" }).press("Enter");
  assert.equal(await operator.evaluate("document.activeElement.ariaLabel"), "Step 2 of 4");
  const wave = operator.getByRole("group", { name: "Wave 1" });
  await wave.getByLabel("Devices").selectOption("query");
  await wave.getByLabel("Query").fill("endpoint==worn-*,endpoint==pump-1");
  await wave.getByLabel("Success, percent").fill("");
  await wave.getByLabel("Then soak for").fill("1s");
  await operator.getByRole("button", { name: "Add a wave before the last" }).press("Enter");
  await operator.getByRole("button", { name: "Remove wave 2" }).press("Enter");
  await stage.picture(operator, "campaign-waves");
  assert.deepEqual(await barriers(operator), []);
  await operator.getByRole("button", { name: "Next" }).press("Enter");
  assert.equal(await operator.getByLabel("but not before").inputValue(), "3", "a quarter of so few");
  await operator.getByLabel("Somebody else has to approve it").press("Space");
  await operator.getByLabel(/^Rollback/).selectOption({ label: "Airlift virtual 1.0.0" });
  await stage.picture(operator, "campaign-limits");
  assert.deepEqual(await barriers(operator), []);
  await operator.getByRole("button", { name: "Next" }).press("Enter");
  await operator.getByText(`${ALL} devices match, ${ALL} would be updated`).waitFor();
  const warnings = operator.getByRole("alert").getByRole("listitem");
  const told = (await warnings.allTextContents()).join("\n");
  assert.doesNotMatch(told, /never be met|has no device/, "what the wizard proposes suits the fleet");
  await stage.picture(operator, "campaign-plan");
  await operator.getByRole("button", { name: "Create the draft" }).press("Enter");
  await operator.getByRole("heading", { name: "Pump 2.0.0, all of them" }).waitFor();
  assert.deepEqual(await barriers(operator), []);
});

test("somebody else changes the draft, and its page says who", async () => {
  const night = new Client({ url: stage.url, token: await stage.createToken("operator", "night desk") });
  const [, id = ""] = /campaigns\/(\w+)/.exec(operator.url()) ?? [];
  await night.ask(ROUTES.editCampaign, { params: { id }, body: { priority: 1 } });
  await operator.getByText(/created by fleet desk, .* · changed by night desk/).waitFor();
});

test("its maker submits it and may not approve it; who may is shown it, and does", async () => {
  await say(operator, "Submit");
  await operator.getByText("awaiting approval", { exact: true }).waitFor();
  await untilFocused(operator, "Pump 2.0.0, all of them");
  assert.equal(await operator.getByRole("button", { name: /^Approve/ }).count(), 0);
  const waits = approver.getByRole("region", { name: "Waits for you" });
  await waits.getByText("awaiting approval").waitFor();
  await stage.picture(approver, "overview-approval");
  assert.deepEqual(await barriers(approver), []);
  await waits.getByRole("link", { name: "Pump 2.0.0" }).click();
  await approver.getByRole("link", { name: "Plan", exact: true }).click();
  await approver.getByText(`${ALL} would be updated`).waitFor();
  await approver.getByRole("button", { name: /^Approve / }).press("Enter");
  await approver.getByText(`may go to ${ALL} devices as fleet desk, night desk wrote it`).waitFor();
  await approver
    .getByRole("dialog")
    .getByRole("button", { name: /^Approve / })
    .press("Enter");
  await untilFocused(approver, "Start");
  await operator.getByText("ready", { exact: true }).waitFor();
});

test("started, it pauses by its criterion, and says by which", async () => {
  await say(operator, "Start");
  await operator.getByText("paused", { exact: true }).first().waitFor();
  await operator
    .getByRole("status")
    .getByText(/^paused by itself: 2 of \d devices that ended/)
    .waitFor();
  await untilFocused(operator, "Resume");
  await stage.picture(operator, "campaign-paused");
  assert.deepEqual(await barriers(operator), []);
});

test("each device that failed says why, and its page has the exchanges", async () => {
  await operator.getByRole("navigation", { name: "Parts of the campaign" }).getByText("Devices").click();
  await operator.getByLabel("State").selectOption("failed");
  await operator
    .getByRole("gridcell", { name: /^failed: / })
    .first()
    .waitFor();
  await stage.picture(operator, "campaign-devices");
  await operator.getByRole("link", { name: "worn-1" }).click();
  await operator.getByRole("link", { name: "Updates", exact: true }).click();
  await operator.getByRole("button", { name: "Exchanges" }).first().click();
  await operator
    .getByRole("cell", { name: /\/5\/0\// })
    .first()
    .waitFor();
  await operator.goBack();
  await operator.goBack();
});

test("the page of a device that waits says which campaign it waits for, and why", async () => {
  await operator.getByLabel("State").selectOption("");
  await operator.getByLabel("Wave").selectOption("1");
  await operator.getByRole("link", { name: "pump-2", exact: true }).click();
  const campaigns = operator.getByRole("region", { name: "Campaigns of the device" });
  await campaigns.getByText(/^wave .*: not started: the campaign is paused \(paused by itself/).waitFor();
  assert.deepEqual(await barriers(operator), []);
  await campaigns.getByRole("link", { name: "Pump 2.0.0, all of them" }).click();
});

test("told to go on, it finishes with the rest", async () => {
  await operator.getByRole("link", { name: "Waves", exact: true }).click();
  await say(operator, "Resume");
  await operator.getByText("finished", { exact: true }).first().waitFor();
  await operator.getByText(`${GOOD} succeeded`).first().waitFor();
  const [file] = await Promise.all([
    operator.waitForEvent("download"),
    operator.getByRole("button", { name: "Save as JSON" }).click(),
  ]);
  assert.match(file.suggestedFilename(), /^campaign-[0-9a-f]+\.json$/);
  await stage.picture(operator, "campaign-finished");
});

test("its report names who went without and why, and is light on paper though the page is dark", async () => {
  await operator.getByRole("link", { name: "Report", exact: true }).click();
  const without = operator.getByRole("region", { name: "Devices without it" });
  for (const name of ["worn-1", "worn-2"])
    await without.getByRole("row", { name: new RegExp(`^${name} canaries failed 1 failed: `) }).waitFor();
  await operator.emulateMedia({ colorScheme: "dark" });
  await operator.locator('html[data-mantine-color-scheme="dark"]').waitFor();
  const schemes = (await operator.evaluate(`
    const scheme = () => document.documentElement.dataset["mantineColorScheme"];
    globalThis.schemes = [scheme()];
    for (const name of ["beforeprint", "afterprint"]) addEventListener(name, () => globalThis.schemes.push(scheme()));
    globalThis.schemes`)) as string[];
  assert.deepEqual(schemes, ["dark"]);
  await operator.pdf({ format: "A4" });
  assert.deepEqual(await operator.evaluate("globalThis.schemes"), ["dark", "light", "dark"]);
  assert.deepEqual(await barriers(operator), []);
  await stage.picture(operator, "campaign-report");
  await operator.emulateMedia({ colorScheme: "light" });
  await operator.getByRole("link", { name: "Waves", exact: true }).click();
});

test("rolled back, all that it has updated run again what they ran", async () => {
  await say(operator, "Roll back");
  await operator.getByRole("link", { name: "its rollback" }).click();
  await operator.getByRole("link", { name: "the campaign that it undoes" }).waitFor();
  await operator.getByText("finished", { exact: true }).first().waitFor();
  await operator.getByText(`${GOOD} succeeded`).first().waitFor();
  await stage.picture(operator, "campaign-rolled-back");
  const versions = (await stage.client.devices()).map(({ version }) => version);
  assert.deepEqual(versions, Array(ALL).fill("1.0.0"));
});

test("on a phone neither the board nor why a device stands where it stands needs scrolling sideways", async () => {
  await operator.setViewportSize({ width: 390, height: 800 });
  await fitsItsWindow(operator);
  await stage.picture(operator, "campaign-phone");
  await operator.getByRole("navigation", { name: "Parts of the campaign" }).getByText("Devices").click();
  await onThePhone(operator.getByRole("gridcell", { name: /^succeeded: / }));
  assert.deepEqual(await barriers(operator), []);
});

test("nor do the report and the plan: what is a table elsewhere is a list of cards", async () => {
  const id = (await stage.client.all("campaigns", CampaignSummary)).find(({ rollbackId }) => rollbackId !== null)?.id;
  await operator.goto(`${stage.url}/campaigns/${id}?part=report`);
  const without = operator.getByRole("list", { name: "Devices without it" }).getByRole("listitem");
  await onThePhone(without.filter({ hasText: "worn-1" }).getByText(/^failed: /));
  await onThePhone(without.first().getByText("Attempts"));
  await without.last().scrollIntoViewIfNeeded();
  assert.deepEqual(await barriers(operator), []);
  await stage.picture(operator, "campaign-report-phone");
  await operator.getByRole("link", { name: "Plan", exact: true }).click();
  const waves = operator.getByRole("list", { name: "Waves of the plan" });
  await onThePhone(waves.getByText("Expected end, with its soak time"));
  assert.deepEqual(await barriers(operator), []);
});

test("no page has thrown, logged an error, or run into the policy", () => {
  assert.deepEqual(stage.complaints, []);
});

/** The first of what was looked for is there, and is not beside the screen. */
async function onThePhone(found: Locator): Promise<void> {
  await found.first().waitFor();
  const box = await found.first().boundingBox();
  assert.ok(box !== null && box.x >= 0 && box.x + box.width <= 390, JSON.stringify(box));
}

/** Gives a command by keyboard and confirms it in its dialog. */
async function say(page: Page, command: string): Promise<void> {
  await page.getByRole("button", { name: new RegExp(`^${command} `) }).press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: new RegExp(`^${command} `) }).press("Enter");
  await dialog.waitFor({ state: "detached" });
}

/** The command that was given is not offered any more: whoever gave it by keyboard is at what follows. */
const untilFocused = (page: Page, text: string): Promise<void> =>
  until(`the focus is on ${text}`, async () => (await page.evaluate("document.activeElement.textContent")) === text);

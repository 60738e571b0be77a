/** Long lists of campaigns and their devices while they change: an event asks again for what it changed, and a dialog stays with its device. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { postOf } from "@airlift/cli/client";
import { Campaign, CampaignTarget, type NewCampaign } from "@airlift/protocol/api/campaign";
import { type Image, pageOf } from "@airlift/protocol/api/schemas";
import type { Page, Request } from "playwright-core";
import { Stage, until } from "./stage.ts";

const WORN = 2;
const DRAFTS = 5;
let stage: Stage;
let image: Image;

before(async () => {
  stage = await Stage.open();
  stage.startFleet(WORN, "--endpoint", "worn", "--seed", "8", "--fall-back-share", "0.99");
  await stage.untilRegistered(WORN);
  image = await stage.addFirmware("2.0.0", 4000);
});
after(() => stage.close());

const create = (spec: Pick<NewCampaign, "name"> & Partial<NewCampaign>): Promise<Campaign> =>
  stage.client.call(
    "campaigns",
    Campaign,
    postOf({ image: image.id, targets: { query: "endpoint==worn-*" }, ...spec }),
  );

const Anything = { safeParse: (data: unknown) => ({ success: true as const, data }) };

const rename = (id: string, name: string): Promise<Campaign> =>
  stage.client.call(`campaigns/${id}`, Campaign, { ...postOf({ name }), method: "PATCH" });

/** What the page asks of the API from now on, "POST campaigns/plan". */
function questionsOf(page: Page): string[] {
  const questions: string[] = [];
  page.on("request", (request: Request) => {
    const [, path] = request.url().split("/api/v1/");
    if (path?.startsWith("campaigns")) questions.push(`${request.method()} ${path}`);
  });
  return questions;
}

test("a dialog about one device stays with it, though the rows above it go", async () => {
  const criteria = [
    { outcomes: ["failed" as const, "fellBack" as const], threshold: { count: WORN }, do: "pauseCampaign" as const },
  ];
  const { id } = await create({ name: "Worn out", criteria });
  for (const command of ["submit", "start"])
    await stage.client.call(`campaigns/${id}/${command}`, Campaign, { method: "POST" });
  await until("both ended badly", async () => {
    const { state, counts } = await stage.client.call(`campaigns/${id}`, Campaign);
    return state === "paused" && counts.pending + counts.active + counts.held === 0;
  });
  const page = await stage.view(`/campaigns/${id}?part=devices`);
  const targets = await stage.client.call(`campaigns/${id}/targets`, pageOf(CampaignTarget));
  await page.getByLabel("State").selectOption(targets.items[0]?.state ?? "");
  await page.getByRole("button", { name: "Retry worn-2" }).click();
  const dialog = page.getByRole("dialog", { name: "Retry worn-2?" });
  await dialog.waitFor();
  await stage.client.call(`campaigns/${id}/retry`, Anything, postOf({ endpoint: "worn-1" }));
  await page.getByRole("link", { name: "worn-1" }).waitFor({ state: "detached" });
  const asked = page.waitForRequest((request) => request.url().endsWith("/retry"));
  await dialog.getByRole("button", { name: "Retry worn-2" }).click();
  assert.deepEqual((await asked).postDataJSON(), { endpoint: "worn-2" });
  await page.getByText("No device of the campaign is there.").waitFor();
  await page.close();
});

test("of many pages of campaigns only the one that something happened to is asked for again", async () => {
  const drafts: Campaign[] = [];
  for (let number = 1; number <= DRAFTS; number += 1) drafts.push(await create({ name: `Draft ${number}` }));
  const [oldest] = drafts;
  assert.ok(oldest);
  const page = await stage.view("/");
  await page.route("**/api/v1/campaigns?*", (route) =>
    route.continue({
      url: route
        .request()
        .url()
        .replace(/limit=\d+/, "limit=2"),
    }),
  );
  await page.getByRole("link", { name: "Campaigns", exact: true }).click();
  for (let number = DRAFTS; number >= 1; number -= 1) {
    const card = page.getByRole("link", { name: `Draft ${number}` });
    while ((await card.count()) === 0) {
      const older = page.getByRole("button", { name: "Older campaigns" });
      if ((await older.count()) > 0) await older.click();
      await page.waitForTimeout(50);
    }
  }
  const questions = questionsOf(page);
  await rename(oldest.id, "Draft 1, renamed");
  await page.getByRole("link", { name: "Draft 1, renamed" }).waitFor();
  const created = await create({ name: "The newest" });
  await page.getByRole("heading", { level: 3 }).first().getByText("The newest").waitFor();
  assert.deepEqual([...new Set(questions)], [`GET campaigns/${oldest.id}`, `GET campaigns/${created.id}`]);
  await page.close();
});

test("who comes back to the list is shown what happened while they were on a page of one campaign", async () => {
  await create({ name: "To be sent in" });
  const page = await stage.view("/campaigns");
  const list = page.getByRole("link", { name: "Campaigns", exact: true });
  await page.getByRole("link", { name: "To be sent in" }).click();
  await page.getByRole("button", { name: "Submit" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Submit" }).click();
  await page.getByText("ready", { exact: true }).waitFor();
  await list.click();
  await page.getByRole("link", { name: "To be sent in" }).waitFor();
  const card = page.locator(".mantine-Paper-root").filter({ hasText: "To be sent in" });
  await card.getByText("ready", { exact: true }).waitFor();
  await page.close();
});

test("a plan in the wizard is worked out once, whatever other campaigns do meanwhile", async () => {
  const other = await create({ name: "Another" });
  const [page, board] = [await stage.view("/campaigns/new"), await stage.view("/campaigns")];
  const questions = questionsOf(page);
  await page.getByLabel("Name").fill("Mine");
  await page.getByLabel("Image").selectOption({ label: "Airlift virtual 2.0.0" });
  for (let step = 1; step < 4; step += 1) await page.getByRole("button", { name: "Next" }).click();
  await page.getByText(/would be updated/).waitFor();
  await rename(other.id, "Another, renamed");
  await board.getByRole("link", { name: "Another, renamed" }).waitFor();
  // Whatever the page would have asked it has asked by the time it was shown something newer.
  await rename(other.id, "Another, once more");
  await board.getByRole("link", { name: "Another, once more" }).waitFor();
  await page.getByRole("button", { name: "Create the draft" }).click();
  await page.getByRole("heading", { name: "Mine" }).waitFor();
  assert.deepEqual(
    questions.filter((question) => question.startsWith("POST")),
    ["POST campaigns/preview", "POST campaigns/plan", "POST campaigns"],
  );
  await Promise.all([page.close(), board.close()]);
});

test("no page has thrown, logged an error, or run into the policy", () => {
  assert.deepEqual(stage.complaints, []);
});

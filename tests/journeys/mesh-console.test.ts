/** One campaign for devices on the Internet and devices behind a radio gateway, as the console shows it. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { barriers, fitsItsWindow } from "./barriers.ts";
import { addGateway, airOf, manifestKeyFile, NETWORK_KEY, takeIn } from "./mesh-edge.ts";
import { Stage } from "./stage.ts";

const WIRED = 2;
const RADIO = 3;
const LINK = airOf("239.195.9.1");

let stage: Stage;
let page: Page;

before(async () => {
  stage = await Stage.open();
  stage.startFleet(WIRED, "--endpoint", "wired");
  await stage.untilRegistered(WIRED);
  const trust = await manifestKeyFile(stage);
  for (let number = 1; number <= RADIO; number += 1) await startReceiver(number, trust);
  const args = ["--band", "868.0-868.6"];
  const gateway = await addGateway(stage, { id: "north-1", cells: ["north"] }, { links: [LINK], args });
  gateway.start();
  await gateway.isThere();
  page = await stage.view("/mesh");
});
after(() => stage.close());

/** A receiver, and its label at the server. */
async function startReceiver(number: number, trust: string): Promise<void> {
  const [id, key, iv] = [`fe2e3d4c5b6${number}`, randomBytes(16).toString("hex"), randomBytes(9).toString("hex")];
  await takeIn(stage, `ZMESH:1:${id}:${key}:${iv}:${id}`);
  stage.programs.start(`receiver-${number}`, [
    ...["mesh", "device", "--link", LINK, "--device-id", id, "--key", key, "--iv", iv],
    ...["--network-key", NETWORK_KEY, "--slots", `${stage.folder}/receiver-${number}`, "--trust", trust],
    ...["--news-spread", "500", "--loss", "0.02"],
  ]);
}

test("the mesh's page has the gateway, its cells and what it may send", async () => {
  const gateway = page.getByRole("region", { name: "Gateway north-1" });
  await gateway.getByText("online").waitFor();
  await gateway.getByText(/cell north/).waitFor();
  await page.getByRole("cell", { name: "3", exact: true }).first().waitFor();
  assert.deepEqual(await barriers(page), []);
});

test("a campaign for both is planned, with its airtime, and started as any other", async () => {
  await stage.addFirmware("2.0.0", 4000);
  await page.getByRole("link", { name: "Campaigns", exact: true }).click();
  await page.getByRole("link", { name: "New campaign" }).click();
  await page.getByLabel("Name").fill("Both ways");
  await page.getByLabel("Image").selectOption({ label: "Airlift virtual 2.0.0" });
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("button", { name: "Remove wave 1" }).click();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText(new RegExp(`${WIRED + RADIO} would be updated; .* on the air`)).waitFor();
  await page.getByRole("button", { name: "Create the draft" }).click();
  await page.getByRole("heading", { name: "Both ways" }).waitFor();
  await say("Submit");
  await say("Start");
});

test("the board shows the broadcast with its airtime and who still misses how much, until all have ended", async () => {
  const broadcast = page.getByRole("region", { name: "Broadcast" });
  await broadcast.getByText(/planned airtime used/).waitFor();
  await broadcast.getByRole("list", { name: "Devices by packets they still miss" }).waitFor();
  await stage.picture(page, "campaign-broadcast");
  assert.deepEqual(await barriers(page), []);
  await page.getByText("finished", { exact: true }).first().waitFor();
  await page
    .getByText(`${WIRED + RADIO} succeeded`)
    .first()
    .waitFor();
  const versions = (await stage.client.devices()).map(({ version }) => version);
  assert.deepEqual(versions, Array(WIRED + RADIO).fill("2.0.0"));
});

test("the mesh's page has the broadcast, and the airtime that it took", async () => {
  await page.getByRole("link", { name: "Mesh", exact: true }).click();
  await page.getByRole("region", { name: "Broadcasts" }).getByText("finished").first().waitFor();
  await page
    .getByText(/868\.0-868\.6 MHz: .* used in the last/)
    .first()
    .waitFor();
  await stage.picture(page, "mesh");
  assert.deepEqual(await barriers(page), []);
  await page.emulateMedia({ colorScheme: "dark" });
  assert.deepEqual(await barriers(page), []);
  await stage.picture(page, "mesh-dark");
  await page.setViewportSize({ width: 390, height: 800 });
  await fitsItsWindow(page);
  await stage.picture(page, "mesh-phone");
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

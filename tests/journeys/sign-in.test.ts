/** People sign in by role: each sees what is theirs, and who is shut out is shut out at once. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { barriers } from "./barriers.ts";
import { Stage } from "./stage.ts";

let stage: Stage;
let adminToken: string;

before(async () => {
  stage = await Stage.open([]);
  adminToken = stage.adminToken ?? "";
  stage.startFleet(2);
  await stage.untilRegistered(2);
});
after(() => stage.close());

async function signIn(page: Page, token: string): Promise<void> {
  await page.getByRole("textbox", { name: "Token" }).fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}

test("a token that is not good is refused in words; a good one leads to the page that was asked for", async () => {
  const page = await stage.view("/devices/sim-1");
  await page.getByRole("button", { name: "Sign in" }).waitFor();
  assert.deepEqual(await barriers(page), []);
  await stage.picture(page, "sign-in");
  await signIn(page, "airlift_wrong");
  await page.getByText("This token is not known here").waitFor();
  await page.getByText(/this token is not good/).waitFor();
  await stage.picture(page, "sign-in-refused");
  await signIn(page, adminToken);
  await page.getByRole("heading", { name: "sim-1", level: 2 }).waitFor();
  await page.getByRole("button", { name: "Update …" }).waitFor();
  await page.getByRole("link", { name: "Tokens" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("textbox", { name: "Token" }).waitFor();
  await page.reload();
  await page.getByRole("textbox", { name: "Token" }).waitFor();
  await page.close();
});

test("an administrator makes a viewer's token, which is shown once; the viewer sees and cannot change", async () => {
  const page = await stage.view("/tokens");
  await signIn(page, adminToken);
  await page.getByRole("button", { name: "Make a token …" }).click();
  await page.getByLabel("For whom, or for what").fill("night shift");
  await page.getByRole("button", { name: "Make it" }).click();
  const secret = page.getByRole("dialog", { name: "The new token" });
  const token = (await secret.locator("code").textContent()) ?? "";
  assert.match(token, /^airlift_/);
  await secret.getByRole("button", { name: "I have kept it" }).click();
  await page.reload();
  await page.getByText("night shift").waitFor();
  assert.ok(!(await page.content()).includes(token), "the token is shown again");
  await stage.picture(page, "tokens");

  const theirs = await stage.view("/devices/sim-1");
  await signIn(theirs, token);
  await theirs.getByRole("heading", { name: "sim-1", level: 2 }).waitFor();
  assert.equal(await theirs.getByRole("button", { name: "Update …" }).count(), 0);
  assert.equal(await theirs.getByRole("button", { name: "Edit" }).count(), 0);
  assert.equal(await theirs.getByRole("link", { name: "Tokens" }).count(), 0);

  const paper = page.locator(".mantine-Paper-root", { hasText: "night shift" });
  await paper.getByRole("button", { name: "Revoke" }).click();
  await page
    .getByRole("dialog")
    .getByText(/is refused from now on/)
    .waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await theirs.getByRole("textbox", { name: "Token" }).waitFor();
  await theirs.close();
  await page.close();
});

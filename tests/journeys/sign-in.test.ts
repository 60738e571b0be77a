/** People sign in by role: each sees what is theirs, and who is shut out is shut out at once. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { postOf } from "@airlift/cli/client";
import { CreatedToken, type Role } from "@airlift/protocol/api/credentials";
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

/** Somebody's token, and how it ends. */
async function personOf(name: string, role: Role) {
  const { id, token } = await stage.client.call("tokens", CreatedToken, postOf({ role, name }));
  return { token, revoke: () => stage.client.tell(`tokens/${id}`, { method: "DELETE" }) };
}

test("whose session ends goes on where they were, with what they have written; the next one finds nothing of it", async () => {
  const first = await personOf("ann", "operator");
  const page = await stage.view("/devices/sim-1");
  await signIn(page, first.token);
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Note").fill("half written");
  await first.revoke();
  await page.getByText("Your session has ended").waitFor();
  assert.equal(await page.getByText("half written").isVisible(), false);
  assert.equal(await page.getByRole("heading", { name: "sim-1" }).count(), 0);
  assert.deepEqual(await barriers(page), []);
  await stage.picture(page, "session-ended");
  const second = await personOf("ann", "operator");
  await signIn(page, second.token);
  assert.equal(await page.getByLabel("Note").inputValue(), "half written");
  await page.getByText("live", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("half written").waitFor();

  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Note").fill("for Ann alone");
  await second.revoke();
  await page.getByText("Your session has ended").waitFor();
  await signIn(page, (await personOf("bob", "operator")).token);
  await page.getByRole("button", { name: "Edit" }).click();
  assert.equal(await page.getByLabel("Note").inputValue(), "half written");
  assert.doesNotMatch(await page.content(), /for Ann alone/);
  await page.close();
});

test("a dialog that is open when the session ends makes room for the sign-in, and is there again after", async () => {
  const first = await personOf("cy", "operator");
  const page = await stage.view("/devices/sim-1");
  await signIn(page, first.token);
  await page.getByRole("button", { name: "Update …" }).click();
  await page.getByRole("dialog").waitFor();
  await first.revoke();
  await page.getByText("Your session has ended").waitFor();
  assert.equal(await page.locator("dialog[open]").count(), 0);
  await signIn(page, (await personOf("cy", "operator")).token);
  await page.getByRole("dialog").waitFor();
  await page.close();
});

test("a campaign that somebody has begun to write is theirs alone", async () => {
  const page = await stage.view("/campaigns/new");
  await signIn(page, (await personOf("dee", "operator")).token);
  await page.getByLabel("Name").fill("Dee's campaign");
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(page, (await personOf("eve", "operator")).token);
  assert.equal(await page.getByLabel("Name").inputValue(), "");
  await page.getByRole("button", { name: "Sign out" }).click();
  await signIn(page, (await personOf("dee", "operator")).token);
  assert.equal(await page.getByLabel("Name").inputValue(), "Dee's campaign");
  await page.close();
});

test("a long list that is refused for want of a session leads to the sign-in as well", async () => {
  const person = await personOf("fay", "viewer");
  const page = await stage.view("/");
  // Nothing else tells this page that the session has ended.
  await page.route("**/api/v1/events*", () => {});
  await page.goto("/devices");
  await signIn(page, person.token);
  await page.getByRole("link", { name: "sim-1", exact: true }).waitFor();
  await person.revoke();
  await page.getByRole("button", { name: "Endpoint" }).click();
  await page.getByText("Your session has ended").waitFor();
  await page.close();
});

test("who signs out with something unsaved is asked first", async () => {
  const page = await stage.view("/devices/sim-1");
  await signIn(page, (await personOf("gil", "operator")).token);
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Note").fill("unsaved");
  const asked: string[] = [];
  page.once("dialog", (dialog) => {
    asked.push(dialog.message());
    void dialog.dismiss();
  });
  await page.getByRole("button", { name: "Sign out" }).click();
  assert.deepEqual(asked, ["Leave the page, and what you have changed?"]);
  assert.equal(await page.getByLabel("Note").inputValue(), "unsaved");
  page.once("dialog", (dialog) => void dialog.accept());
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("textbox", { name: "Token" }).waitFor();
  await page.close();
});

/** People sign in with their organisation: they come back to where they were going, with the role that they have there. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { barriers } from "./barriers.ts";
import { SignInProvider } from "./sign-in-provider.ts";
import { Stage } from "./stage.ts";

const CLIENT = { id: "airlift", secret: "known to two: and to nobody else" };
const folder = mkdtempSync(join(tmpdir(), "journey-client-"));
const provider = new SignInProvider(CLIENT, [
  { name: "night shift", roles: ["airlift-viewer"] },
  { name: "fleet desk", roles: ["staff", "airlift-operator"] },
  { name: "canteen", roles: ["staff"] },
]);
let stage: Stage;

before(async () => {
  await provider.listen();
  const secretFile = join(folder, "secret");
  writeFileSync(secretFile, CLIENT.secret);
  const about = ["--oidc-issuer", provider.issuer, "--oidc-client-id", CLIENT.id];
  stage = await Stage.open([...about, "--oidc-client-secret-file", secretFile]);
  stage.startFleet(1);
  await stage.untilRegistered(1);
});
after(async () => {
  provider.close();
  await stage.close();
  rmSync(folder, { recursive: true });
});

test("an operator comes back to the page that was asked for, and may do what operators do", async () => {
  const page = await stage.view("/devices/sim-1");
  await page.getByRole("link", { name: "Sign in with your organisation" }).waitFor();
  assert.deepEqual(await barriers(page), []);
  await stage.picture(page, "sign-in-elsewhere");
  await page.getByRole("link", { name: "Sign in with your organisation" }).click();
  await page.getByRole("link", { name: "fleet desk" }).click();
  await page.getByRole("heading", { name: "sim-1", level: 2 }).waitFor();
  await page.getByText("fleet desk (operator)").waitFor();
  await page.getByRole("button", { name: "Update …" }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Tokens" }).count(), 0);
  await page.reload();
  await page.getByText("fleet desk (operator)").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("textbox", { name: "Token" }).waitFor();
  await page.close();
});

test("whose session ends signs in again in another tab, and goes on in this one with what they have written", async () => {
  const page = await stage.view("/devices/sim-1");
  await page.getByRole("link", { name: "Sign in with your organisation" }).click();
  await page.getByRole("link", { name: "fleet desk" }).click();
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Note").fill("half written");
  await page.request.delete("/api/v1/session", { headers: { origin: stage.url } });
  // Nothing has to be asked for: what the page listens to ends with the session.
  await page.getByText("Your session has ended").waitFor();
  const opening = page.waitForEvent("popup");
  await page.getByRole("link", { name: "Sign in with your organisation" }).click();
  const other = await opening;
  await other.getByRole("link", { name: "fleet desk" }).click();
  await other.getByText("fleet desk (operator)").waitFor();
  await other.close();
  // As the browser says it when a tab is looked at again.
  await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Edit" }).waitFor();
  await page.getByText("half written").waitFor();
  await page.close();
});

test("a viewer sees and cannot change", async () => {
  const page = await stage.view("/devices/sim-1");
  await page.getByRole("link", { name: "Sign in with your organisation" }).click();
  await page.getByRole("link", { name: "night shift" }).click();
  await page.getByText("night shift (viewer)").waitFor();
  assert.equal(await page.getByRole("button", { name: "Update …" }).count(), 0);
  await page.close();
});

test("who has no role here is told so, in words, and may try as somebody else", async () => {
  const page = await stage.view("/");
  await page.getByRole("link", { name: "Sign in with your organisation" }).click();
  await page.getByRole("link", { name: "canteen" }).click();
  await page.getByText(/gives you no role here/).waitFor();
  await stage.picture(page, "sign-in-no-role");
  assert.deepEqual(await barriers(page), []);
  await page.getByRole("link", { name: "Sign in with your organisation" }).click();
  await page.getByRole("link", { name: "night shift" }).click();
  await page.getByText("night shift (viewer)").waitFor();
  await page.close();
});

/** Somebody goes by address to pages that their role does not open. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { barriers } from "./barriers.ts";
import { Stage } from "./stage.ts";

let stage: Stage;
before(async () => {
  stage = await Stage.open([]);
});
after(() => stage.close());

const CLOSED = {
  viewer: ["/tokens", "/webhooks", "/audit", "/campaigns/new", "/campaigns/0123456789abcdef/edit"],
  operator: ["/tokens", "/webhooks", "/audit"],
} as const;

for (const role of ["viewer", "operator"] as const)
  test(`the pages that a ${role} may not use say in words for whom they are, and ask the server nothing`, async () => {
    const page = await stage.viewAs(await stage.createToken(role, `a ${role}`), "/");
    const questions: string[] = [];
    page.on("request", (request) => questions.push(new URL(request.url()).pathname));
    for (const path of CLOSED[role]) {
      await page.goto(path);
      const who = path.startsWith("/campaigns") ? "operators and whoever may do more" : "administrators";
      await page.getByRole("heading", { name: `This page is for ${who}` }).waitFor();
      await page.getByText(`signed in as a ${role}, with the role ${role}`).waitFor();
      assert.equal(await page.getByRole("main").getByRole("button").count(), 0);
      assert.equal(await page.getByRole("main").getByRole("textbox").count(), 0);
    }
    assert.deepEqual(await barriers(page), []);
    await stage.picture(page, "closed");
    const refusable = questions.filter((path) => /^\/api\/v1\/(tokens|webhooks|audit|campaigns\/)/.test(path));
    assert.deepEqual(refusable, []);
    await page.getByRole("main").getByRole("link", { name: "To the overview" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.close();
  });

test("what a role opens is open to it, and the navigation leads to nothing else", async () => {
  const page = await stage.viewAs(await stage.createToken("operator", "an operator"), "/campaigns/new");
  await page.getByRole("heading", { name: "New campaign" }).waitFor();
  const names = await page.getByRole("navigation", { name: "Pages" }).getByRole("link").allTextContents();
  assert.deepEqual(names, ["Overview", "Devices", "Images", "Campaigns", "Mesh", "Settings"]);
  await page.close();
});

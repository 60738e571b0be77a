/** An operator opens the console and looks. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { Stage } from "./stage.ts";

let stage: Stage;

before(async () => {
  stage = await Stage.open();
  stage.startFleet(20, "--seed", "1");
  await stage.untilRegistered(20);
});
after(() => stage.close());

/** What axe holds against a page, the serious only. */
async function barriers(page: Page): Promise<string[]> {
  // Through the debugger, which the page's policy does not bind.
  await page.evaluate(await readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8"));
  const { violations } = (await page.evaluate("axe.run()")) as {
    violations: { id: string; impact: string; nodes: { html: string }[] }[];
  };
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" · ")}`);
}

test("the devices are there, one opens by keyboard, and its timeline says what happened", async () => {
  const page = await stage.view("/devices");
  await page.getByRole("link", { name: "sim-1", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "sim-1", level: 2 }).waitFor();
  await page.getByText("the device registered").first().waitFor();
  await stage.picture(page, "device");
  await page.close();
});

for (const path of ["/", "/devices", "/devices/sim-1", "/images"])
  for (const scheme of ["light", "dark"] as const)
    test(`${path} in ${scheme} colours puts no serious barrier before anybody`, async () => {
      const page = await stage.view(path, { scheme });
      await page.getByRole("heading", { level: 2 }).first().waitFor();
      assert.deepEqual(await barriers(page), []);
      await page.close();
    });

test("a phone shows the whole page without scrolling sideways", async () => {
  const page = await stage.view("/devices/sim-1", { width: 390, height: 800 });
  await page.getByRole("heading", { name: "sim-1" }).waitFor();
  const [content, window] = (await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")) as number[];
  assert.ok((content ?? 0) <= (window ?? 0), `${content} px wide on a screen of ${window} px`);
  await page.close();
});

test("when the server is gone the page says since when, and is right again when it is back", async () => {
  const page = await stage.view("/devices");
  await page.getByRole("status").getByText("live").waitFor();
  await stage.killServer();
  await page.getByText(/no connection since/).waitFor();
  await stage.picture(page, "line-lost");
  await stage.startServer();
  await page.getByRole("status").getByText("live", { exact: true }).waitFor({ timeout: 60_000 });
  await page.close();
  // What the browser says of the refused connections is what was wanted.
  stage.complaints.length = 0;
});

test("no page has thrown, logged an error, or run into the policy", () => {
  assert.deepEqual(stage.complaints, []);
});

/** What keeps people from using a page, as axe finds it. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { until } from "./stage.ts";

/** What axe holds against a page, the serious only. */
export async function barriers(page: Page): Promise<string[]> {
  // Through the debugger, which the page's policy does not bind.
  await page.evaluate(await readFile(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8"));
  const { violations } = (await page.evaluate("axe.run()")) as {
    violations: { id: string; impact: string; nodes: { html: string }[] }[];
  };
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" · ")}`);
}

/** Resolves when nothing on the page needs scrolling sideways: what is drawn to measure follows its window a moment later. */
export async function fitsItsWindow(page: Page): Promise<void> {
  await until(
    "the page is as wide as its window",
    async () => await page.evaluate<boolean>("document.documentElement.scrollWidth <= innerWidth"),
  );
}

/** An operator uploads an image; the line breaks, and the page is closed, and nothing is sent twice. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import type { Page } from "playwright-core";
import { barriers } from "./barriers.ts";
import { Stage } from "./stage.ts";

let stage: Stage;

before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

const PIECE_BYTES = 512 * 1024;

async function fill(page: Page, file: string, version: string): Promise<void> {
  await page.getByRole("button", { name: "Add an image …" }).click();
  await page.locator('input[type="file"]').setInputFiles(file);
  await page.getByLabel("Manufacturer").fill("Airlift");
  await page.getByLabel("Model").fill("virtual");
  await page.getByLabel("Version").fill(version);
}

/** Where the pieces began that the page sent. */
function piecesOf(page: Page): number[] {
  const offsets: number[] = [];
  page.on("request", (request) => {
    const offset = request.headers()["upload-offset"];
    if (offset !== undefined) offsets.push(Number(offset));
  });
  return offsets;
}

test("the server dies in the middle; the upload waits, says so, and goes on by itself", async () => {
  const file = stage.file("one.bin", randomBytes(10 * PIECE_BYTES));
  const page = await stage.view("/images");
  await fill(page, file, "3.0.0");
  let pieceCount = 0;
  await page.route("**/api/v1/uploads/*", async (route) => {
    if (route.request().method() === "PATCH" && ++pieceCount === 5) await stage.killServer();
    await route.continue();
  });
  const offsets = piecesOf(page);
  await page.getByRole("button", { name: "Upload", exact: true }).click();
  await page.getByText(/goes on by itself when the server answers/).waitFor();
  await stage.picture(page, "upload-waits");
  const before = offsets.length;
  await stage.startServer();
  await page.getByText("The image is in the store").waitFor();
  assert.ok(Math.min(...offsets.slice(before)) >= 4 * PIECE_BYTES, "what had arrived was sent again");
  const [image] = await stage.client.images();
  assert.equal(image?.version, "3.0.0");
  assert.equal(image?.sizeBytes, 10 * PIECE_BYTES);
  await page.close();
});

test("the page is closed in the middle; the same file, chosen again, goes on where it ended", async () => {
  const file = stage.file("two.bin", randomBytes(10 * PIECE_BYTES));
  const page = await stage.view("/images");
  await fill(page, file, "3.1.0");
  let pieceCount = 0;
  let hold: (() => void) | undefined;
  const held = new Promise<void>((resolve) => {
    hold = resolve;
  });
  let isClosed = false;
  await page.route("**/api/v1/uploads/*", async (route) => {
    if (isClosed || route.request().method() !== "PATCH" || ++pieceCount <= 6) return await route.continue();
    hold?.();
  });
  await page.getByRole("button", { name: "Upload", exact: true }).click();
  await held;
  // Whoever takes the route away before lets the page go on with what was held.
  await page.reload();
  isClosed = true;
  const offsets = piecesOf(page);
  await page.getByRole("button", { name: "Add an image …" }).click();
  await page.locator('input[type="file"]').setInputFiles(file);
  await page.getByText(/It goes on where it ended/).waitFor();
  assert.deepEqual(await barriers(page), []);
  assert.equal(await page.getByLabel("Version").inputValue(), "3.1.0");
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByText("The image is in the store").waitFor();
  // Of the piece that was cut off, too, what had arrived is kept.
  assert.ok((offsets[0] ?? 0) >= 6 * PIECE_BYTES, `it began again at ${offsets[0]}`);
  assert.ok(offsets.length <= 4);
  await page.close();
});

test("a version that exists with other bytes is refused with the reason", async () => {
  const page = await stage.view("/images");
  await fill(page, stage.file("three.bin", randomBytes(1000)), "3.0.0");
  await page.getByRole("button", { name: "Upload", exact: true }).click();
  await page.getByText("This was refused").waitFor();
  await page.getByText("IMAGE_CONFLICT").waitFor();
  await page.close();
});

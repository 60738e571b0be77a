/** An operator uploads a delta, reads what was read from it, and finds it on the page of the image that it makes. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { uploadImage } from "@airlift/cli/upload";
import { encodeZstdDelta } from "@airlift/runtime/zstd-delta";
import { barriers } from "./barriers.ts";
import { Stage } from "./stage.ts";

let stage: Stage;

before(async () => {
  stage = await Stage.open();
});
after(() => stage.close());

test("a delta is uploaded under the name of the image that it makes, and stands on that image's page", async () => {
  const old = new Uint8Array(randomBytes(100_000));
  const wanted = Uint8Array.from(old).fill(2, 0, 16);
  const add = async (version: string, bytes: Uint8Array<ArrayBuffer>) => {
    const name = { manufacturer: "Airlift", model: "virtual", version, hardware: [] };
    return await uploadImage(stage.client, new Blob([bytes]), { name });
  };
  await add("1.0.0", old);
  const image = await add("2.0.0", wanted);
  const page = await stage.view(`/images/${image.id}`);
  await page.getByText("There is none: devices get the whole image").waitFor();

  await page.goto(page.url().replace(`/images/${image.id}`, "/images"));
  await page.getByRole("button", { name: "Add an image …" }).click();
  await page.locator('input[type="file"]').setInputFiles(stage.file("12.delta", encodeZstdDelta(old, wanted)));
  await page.getByLabel("Manufacturer").fill("Airlift");
  await page.getByLabel("Model").fill("virtual");
  await page.getByLabel("Version").fill("2.0.0");
  await page.getByRole("button", { name: "Upload", exact: true }).click();
  await page.getByText("The delta is in the store").waitFor();
  await page.getByText("Delta from 1.0.0 to 2.0.0").waitFor();
  assert.deepEqual(await barriers(page), []);
  await page.getByRole("button", { name: "Done" }).click();

  await page.goto(page.url().replace(/\/images.*$/, `/images/${image.id}`));
  const row = page.getByRole("region", { name: "Deltas" }).getByRole("row").nth(1);
  await row.waitFor();
  assert.match((await row.textContent()) ?? "", /^1\.0\.0[\d,]+ B0\.\d %[0-9a-f]{16}/);
  assert.deepEqual(await barriers(page), []);
  await page.close();
});

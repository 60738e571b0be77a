/** An operator reads a device's resources, writes one, and watches one change. */
import { after, before, test } from "node:test";
import { Stage } from "./stage.ts";

let stage: Stage;

before(async () => {
  stage = await Stage.open();
  stage.startFleet(2, "--seed", "3");
  await stage.untilRegistered(2);
});
after(() => stage.close());

test("resources come with the names of their model, and a written value is what the device has", async () => {
  const page = await stage.view("/devices/sim-1?part=resources");
  await page.getByRole("button", { name: "Open object 1", exact: true }).click();
  await page.getByRole("button", { name: "Read all of it" }).click();
  const lifetime = page.locator('tr[data-path="/1/0/1"]');
  await lifetime.getByText("Lifetime").waitFor();
  await lifetime.getByRole("button", { name: "Write Lifetime" }).click();
  const dialog = page.getByRole("dialog", { name: "Write Lifetime" });
  await dialog.getByLabel("Value of /1/0/1").fill("many");
  await dialog.getByRole("button", { name: "Write it to the device" }).click();
  await dialog.getByText("This was refused").waitFor();
  await dialog.getByLabel("Value of /1/0/1").fill("600");
  await dialog.getByRole("button", { name: "Write it to the device" }).click();
  await lifetime.getByText("600").waitFor();
  stage.complaints.length = 0;
  await page.close();
});

test("an observed resource changes on the page when it changes in the device", async () => {
  const image = await stage.addImage("2.0.0");
  const page = await stage.view("/devices/sim-2?part=resources");
  await page.getByRole("button", { name: "Open object 5", exact: true }).click();
  await page.getByRole("button", { name: "Read all of it" }).click();
  const state = page.locator('tr[data-path="/5/0/3"]');
  await state.getByRole("button", { name: /^Observe/ }).click();
  await state.getByText("live").waitFor();
  await state.locator(".value").getByText("0", { exact: true }).waitFor();
  await stage.picture(page, "resources");
  await stage.client.startUpdate({ endpoint: "sim-2", imageId: image.id, apply: false });
  await state.locator(".value").getByText("2", { exact: true }).waitFor();
  await page.close();
});

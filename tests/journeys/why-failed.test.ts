/** An operator sees that an update went wrong and finds out why. */
import { after, before, test } from "node:test";
import { Stage, until } from "./stage.ts";

let stage: Stage;

before(async () => {
  stage = await Stage.open();
  stage.startFleet(3, "--seed", "7");
  await stage.untilRegistered(3);
});
after(() => stage.close());

test("from the overview to the exchange that shows it", async () => {
  // The file is no firmware that knows its version: what runs afterwards is not what was announced.
  const image = await stage.addImage("2.0.0");
  const update = await stage.client.startUpdate({ endpoint: "sim-2", imageId: image.id });
  await until("it has failed", async () => (await stage.client.update(update.id)).state === "failed");
  const page = await stage.view("/");
  const wrong = page.getByRole("region", { name: "Went wrong today" });
  await wrong.getByText(/instead of 2\.0\.0/).waitFor();
  await stage.picture(page, "overview");
  await wrong.getByRole("link", { name: "sim-2" }).click();
  const article = page.getByRole("article").first();
  await article.getByText("wrongVersion").waitFor();
  await article.getByText(/the device reports success but runs/).waitFor();
  await article.getByRole("button", { name: "Exchanges" }).click();
  await article
    .getByRole("cell", { name: /PUT \/5\/0\/|POST \/5\/0\/2/ })
    .first()
    .waitFor();
  await stage.picture(page, "why-failed");
  await page.close();
});

test("trying again says what follows, and does it", async () => {
  const page = await stage.view("/devices/sim-2?part=updates");
  await page.getByRole("button", { name: "Try again" }).click();
  const dialog = page.getByRole("dialog", { name: "Try again?" });
  await dialog.getByText(/Attempt 2 begins/).waitFor();
  await stage.picture(page, "retry");
  await dialog.getByRole("button", { name: "Try again" }).click();
  await page.getByText("attempt 2", { exact: true }).waitFor();
  await page.close();
});

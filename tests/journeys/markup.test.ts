/** Whatever devices and people call things, the page shows it as text. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { after, before, test } from "node:test";
import { barriers } from "./barriers.ts";
import { Stage } from "./stage.ts";

const NAME = "<img src=x onerror=alert(1)>";

let stage: Stage;

before(async () => {
  stage = await Stage.open();
  const server = `coap://127.0.0.1:${stage.coapPort}`;
  stage.programs.start("device", [
    ...["device", "--endpoint", NAME, "--server", server, "--slots", `${stage.folder}/slots`, "--allow-unsigned"],
    ...["--manufacturer", "<script>alert(2)</script>", "--model", '"><svg onload=alert(3)>'],
  ]);
  await stage.untilRegistered(1);
});
after(() => stage.close());

test("a device whose name is markup is listed, opened and labelled, and nothing runs", async () => {
  const page = await stage.view("/devices");
  let alertCount = 0;
  page.on("dialog", (dialog) => {
    alertCount += 1;
    void dialog.dismiss();
  });
  await page.getByRole("link", { name: NAME }).click();
  await page.getByRole("heading", { name: NAME, level: 2 }).waitFor();
  await page.getByText("<script>alert(2)</script>").first().waitFor();
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByRole("combobox", { name: "Tags" }).fill("<b>tag</b>");
  await page.getByRole("combobox", { name: "Tags" }).press("Enter");
  await page.getByLabel("Note").fill(`<iframe srcdoc="<script>parent.alert(4)</script>">${"x".repeat(10_000)}`);
  assert.equal((await page.getByLabel("Note").inputValue()).length, 4096);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("<b>tag</b>").first().waitFor();
  assert.equal(await page.locator("iframe, main img, main script").count(), 0);
  assert.equal(alertCount, 0);
  assert.deepEqual(await barriers(page), []);
  const [width, window] = (await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")) as number[];
  assert.ok((width ?? 0) <= (window ?? 0), "a long note makes the page wider than the window");
  await page.close();
  assert.deepEqual(stage.complaints, []);
});

test("a note of ten million characters is refused before it is read", async () => {
  const sending = request(`${stage.url}/api/v1/devices/${encodeURIComponent(NAME)}`, {
    method: "PATCH",
    headers: { "content-type": "application/json", "content-length": "10000012" },
  });
  sending.flushHeaders();
  const [answer] = (await once(sending, "response")) as [IncomingMessage];
  assert.equal(answer.statusCode, 413);
  sending.destroy();
});

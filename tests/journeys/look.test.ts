/** An operator opens the console and looks. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { postOf } from "@airlift/cli/client";
import { CreatedWebhook } from "@airlift/protocol/api/webhooks";
import { barriers } from "./barriers.ts";
import { Stage, until } from "./stage.ts";

let stage: Stage;

before(async () => {
  stage = await Stage.open(["--no-auth", "--allow-private-webhooks"]);
  stage.startFleet(20, "--seed", "1");
  await stage.untilRegistered(20);
  await stage.addFirmware("2.0.0");
  await stage.createToken("viewer", "night shift");
  await stage.client.call(
    "webhooks",
    CreatedWebhook,
    postOf({ url: "https://127.0.0.1:9/airlift", note: "the pager" }),
  );
});
after(() => stage.close());

test("the devices are there, one opens by keyboard, and its timeline says what happened", async () => {
  const page = await stage.view("/devices");
  await page.getByRole("link", { name: "sim-1", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "sim-1", level: 2 }).waitFor();
  await page.getByText("the device registered").first().waitFor();
  await stage.picture(page, "device");
  await page.close();
});

const PAGES = [
  "/",
  "/devices",
  "/devices/sim-1",
  "/devices/sim-1?part=updates",
  "/devices/sim-1?part=resources",
  "/devices/sim-1?part=requests",
  "/devices/sim-1?part=credentials",
  "/images",
  "/campaigns",
  "/campaigns/new",
  "/mesh",
  "/audit",
  "/tokens",
  "/webhooks",
  "/settings",
];

for (const path of PAGES)
  for (const scheme of ["light", "dark"] as const)
    test(`${path} in ${scheme} colours puts no serious barrier before anybody`, async () => {
      const page = await stage.view(path, { scheme });
      await page.getByRole("heading", { level: 2 }).first().waitFor();
      assert.deepEqual(await barriers(page), []);
      await page.close();
    });

for (const path of PAGES)
  test(`a phone shows the whole of ${path} without scrolling sideways`, async () => {
    const page = await stage.view(path, { width: 390, height: 800 });
    await page.getByRole("heading", { level: 2 }).first().waitFor();
    const [content, window] = (await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")) as number[];
    assert.ok((content ?? 0) <= (window ?? 0), `${content} px wide on a screen of ${window} px`);
    await page.close();
  });

test("a phone shows an opened object within the page, and where one is among the pages", async () => {
  const page = await stage.view("/devices/sim-1?part=resources", { width: 390, height: 800 });
  await page.getByRole("button", { name: "Open object 3" }).click();
  await page.getByRole("button", { name: "Read all of it" }).click();
  await page.getByText("Manufacturer").waitFor();
  assert.ok(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"));
  await page.goto("/settings");
  const link = page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Settings" });
  await until("the link of this page is in sight", async () => {
    const box = await link.boundingBox();
    return box !== null && box.x >= 0 && box.x + box.width <= 390;
  });
  await page.close();
});

test("a phone tells each change of the audit log in words, with who, what and when", async () => {
  const page = await stage.view("/audit", { width: 390, height: 800 });
  const line = page.getByRole("grid", { name: "Changes" }).getByRole("row").filter({ hasText: "POST webhooks" });
  await line.getByText("201 done").waitFor();
  const box = await line.boundingBox();
  assert.ok(box !== null && box.x + box.width <= 390);
  assert.deepEqual(await barriers(page), []);
  await page.close();
});

test("by keyboard alone: skip to the page, go by letters, walk the rows, open one, ask for help", async () => {
  const page = await stage.view("/");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate("document.activeElement?.id"), "main");
  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await page.getByRole("link", { name: "sim-1", exact: true }).waitFor();
  await page.keyboard.press("/");
  assert.equal(await page.evaluate("document.activeElement?.hasAttribute('data-search')"), true);
  await page.getByRole("grid", { name: "Devices" }).focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "sim-10", level: 2 }).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  assert.deepEqual(await barriers(page), []);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "Keys" }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Update …" }).press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await page.evaluate("document.activeElement?.textContent"), "Update …", "where one was before");
  await page.close();
});

test("a query narrows the devices, is kept, and its devices come as a file", async () => {
  const page = await stage.view("/devices");
  await page.getByLabel("Query").fill("endpoint==sim-1*");
  await page.keyboard.press("Enter");
  await page.getByText("11 found").waitFor();
  await page.getByRole("button", { name: "Keep …" }).click();
  await page.getByLabel("Name").fill("The first");
  await page.getByRole("button", { name: "Keep it in this browser" }).click();
  await page.reload();
  await page.getByRole("link", { name: "The first" }).waitFor();
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: "CSV" }).click();
  const text = await readFile(await (await coming).path(), "utf8");
  assert.ok(text.startsWith("\uFEFF"), "a spreadsheet is told that it is UTF-8");
  const lines = text.trim().split("\r\n");
  assert.equal(lines.length, 12);
  assert.match(lines[0] ?? "", /^endpoint,presence,version/);
  assert.match(lines[1] ?? "", /^sim-1,registered,1\.0\.0/);
  await page.close();
});

test("a server that answers 500, or not what was asked, is told of in words, and asked again by a click", async () => {
  const page = await stage.view("/tokens");
  await page.getByRole("heading", { name: "Tokens" }).waitFor();
  await page.route("**/api/v1/device-preview*", (route) => route.fulfill({ status: 500, body: "<html>" }));
  await page.route("**/api/v1/devices?*", (route) => route.fulfill({ status: 500, body: "<html>" }));
  await page.getByRole("link", { name: "Devices", exact: true }).click();
  await page.getByText("The server could not do this").first().waitFor();
  await page.unrouteAll();
  await page.getByRole("button", { name: "Try again" }).first().click();
  await page.getByRole("link", { name: "sim-1", exact: true }).waitFor();
  await page.close();
  stage.complaints.length = 0;
});

test("the overview says that nothing waits only when it knows: not while it asks, nor when it is refused", async () => {
  const page = await stage.view("/settings");
  await page.getByRole("heading", { name: "Settings" }).waitFor();
  const held = Promise.withResolvers<void>();
  await page.route("**/api/v1/updates?*", async (route) => {
    await held.promise;
    await route.fulfill({ status: 400, json: { code: "AWAY", detail: "not now" } });
  });
  await page.getByRole("link", { name: "Overview" }).click();
  const waits = page.getByRole("region", { name: "Waits for you" });
  await waits.locator(".mantine-Skeleton-root").waitFor();
  assert.equal(await page.getByText(/^Nothing|^No update/).count(), 0);
  held.resolve();
  await waits.getByText("not now").waitFor();
  assert.equal(await page.getByText(/^Nothing|^No update/).count(), 0);
  await page.unrouteAll();
  await waits.getByRole("button", { name: "Try again" }).click();
  await waits.getByText("Nothing waits for a decision.").waitFor();
  await page.close();
  stage.complaints.length = 0;
});

test("what was begun for one device is not shown with the next", async () => {
  const page = await stage.view("/devices/sim-1");
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Note").waitFor();
  await page.evaluate("history.pushState({}, '', '/devices/sim-2')");
  await page.getByRole("heading", { name: "sim-2", level: 2 }).waitFor();
  await page.getByRole("button", { name: "Edit" }).waitFor();
  assert.equal(await page.getByLabel("Note").count(), 0);
  await page.close();
});

test("who goes elsewhere with something unsaved is asked first", async () => {
  const page = await stage.view("/devices/sim-1");
  await page.getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Note").fill("unsaved");
  let askedCount = 0;
  page.on("dialog", (dialog) => {
    askedCount += 1;
    void (askedCount < 3 ? dialog.dismiss() : dialog.accept());
  });
  await page.getByRole("link", { name: "Updates" }).click();
  await page.getByRole("link", { name: "Images" }).click();
  assert.equal(await page.getByLabel("Note").inputValue(), "unsaved");
  await page.getByRole("link", { name: "Images" }).click();
  await page.getByRole("heading", { name: "Images" }).waitFor();
  assert.equal(askedCount, 3);
  await page.close();
});

test("a browser hears the heartbeat, by which a quiet page knows that its line is there", async () => {
  const page = await stage.view("/settings");
  const data = await page.evaluate(
    `new Promise((resolve) => new EventSource("/api/v1/events").addEventListener("heartbeat", ({ data }) => resolve(data)))`,
  );
  assert.equal(data, "{}");
  await page.close();
});

test("a clock that is years apart is shown as it is", async () => {
  const page = await stage.view("/");
  await page.clock.setFixedTime(new Date("2031-06-01T12:00:00Z"));
  await page.goto("/devices/sim-1");
  await page
    .getByText(/years ago/)
    .first()
    .waitFor();
  await page.close();
});

for (const [path, words] of [
  ["/devices/nobody", "No device is called nobody"],
  ["/images/0123456789abcdef", "There is no such image"],
  ["/campaigns/0123456789abcdef", "There is no such campaign"],
  ["/nowhere", "Nothing is here"],
] as const)
  test(`at ${path} there is nothing, and the page says so and leads on`, async () => {
    const page = await stage.view(path);
    await page.getByRole("heading", { name: words }).waitFor();
    await page.getByRole("main").getByRole("link").waitFor();
    assert.deepEqual(await barriers(page), []);
    await page.close();
    // A browser writes down every answer that is 404.
    stage.complaints.splice(0, Infinity, ...stage.complaints.filter((line) => !/status of 404/.test(line)));
  });

test("when the server is gone the page says since when, and is right again when it is back", async () => {
  const page = await stage.view("/devices");
  await page.getByRole("status").getByText("live").waitFor();
  await stage.killServer();
  await page.getByText(/no connection since/).waitFor();
  await stage.picture(page, "line-lost");
  await stage.startServer();
  // Of this the page was not told: its line was not there.
  await stage.client.editDevice("sim-1", { tags: ["north"] });
  await page.getByRole("status").getByText("live", { exact: true }).waitFor();
  await page.getByRole("gridcell", { name: "north" }).waitFor();
  await page.close();
  // What the browser says of the refused connections is what was wanted.
  stage.complaints.length = 0;
});

test("a page that is opened for the first time while the server is gone comes when it is back", async () => {
  const page = await stage.view("/devices");
  await page.getByRole("status").getByText("live").waitFor();
  await stage.killServer();
  await page.getByText(/no connection since/).waitFor();
  await page.getByRole("link", { name: "Webhooks" }).click();
  await page.getByRole("heading", { name: "The page is on its way" }).waitFor();
  await page.getByText(/no connection since/).waitFor();
  assert.deepEqual(await barriers(page), []);
  await stage.startServer();
  await page.getByText("the pager").waitFor();
  await page.getByRole("status").getByText("live", { exact: true }).waitFor();
  await page.close();
  // What the browser says of the refused connections is what was wanted.
  stage.complaints.length = 0;
});

test("no page has thrown, logged an error, or run into the policy", () => {
  assert.deepEqual(stage.complaints, []);
});

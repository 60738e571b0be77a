import assert from "node:assert/strict";
import { test } from "node:test";
import { Flash, PowerCut } from "./flash.ts";
import { seeded } from "./world.ts";

const write = async (flash: Flash, name: string, text: string, steps: "write" | "sync" | "folder") => {
  const file = await flash.open(name, "create");
  await file?.write(0, Buffer.from(text));
  if (steps !== "write") await file?.sync();
  if (steps === "folder") await flash.syncFolderOf(name);
};
const text = (flash: Flash, name: string) => {
  const bytes = flash.peek(name);
  return bytes && Buffer.from(bytes).toString();
};

test("what was synced survives, what was not is lost or kept as asked", async () => {
  for (const [loss, expected] of [
    ["lost", "old"],
    ["kept", "new"],
  ] as const) {
    const flash = new Flash();
    await write(flash, "a/image", "old", "folder");
    await write(flash, "a/image", "new", "write");
    assert.equal(text(flash, "a/image"), "new");
    flash.restart(loss);
    assert.equal(text(flash, "a/image"), expected);
  }
});

test("a name is not safe before its folder is synced, whatever the file's own sync says", async () => {
  const flash = new Flash();
  await write(flash, "state", "x", "sync");
  flash.restart("lost");
  assert.equal(text(flash, "state"), undefined);
});

test("a renamed file that was not synced may be torn", async () => {
  const seen = new Set<string | undefined>();
  for (let seed = 0; seed < 100; seed += 1) {
    const flash = new Flash();
    await write(flash, "state", "old", "folder");
    await write(flash, "new", "0123456789", "write");
    await flash.rename("new", "state");
    await flash.syncFolderOf("state");
    flash.restart(seeded(seed));
    seen.add(text(flash, "state"));
  }
  assert.ok(seen.has("") && seen.has("0123456789") && seen.size > 5, [...seen].join());
});

test("from the cut on nothing works, until the restart", async () => {
  const flash = new Flash();
  flash.cutAt = 2;
  await assert.rejects(write(flash, "a", "1", "folder"), PowerCut);
  await assert.rejects(flash.open("a", "read"), PowerCut);
  flash.restart("kept");
  assert.equal(text(flash, "a"), "1");
});

test("a full flash says so and keeps what it has", async () => {
  const flash = new Flash(5);
  await write(flash, "a", "12345", "folder");
  await assert.rejects(write(flash, "b", "6", "write"), { name: "EnvironmentError", code: "NO_SPACE" });
  assert.equal(text(flash, "a"), "12345");
});

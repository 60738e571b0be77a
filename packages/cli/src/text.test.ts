import assert from "node:assert/strict";
import { test } from "node:test";
import { agoText, clockText, fitted, pairs, printable, shareText, sizeText, table } from "./text.ts";

test("what does not fit into its columns ends in an ellipsis", () => {
  assert.equal(fitted("twelve failed", 13), "twelve failed");
  assert.equal(fitted("twelve failed", 8), "twelve …");
  assert.equal(fitted("\u{1f600}\u{1f600}\u{1f600}", 2), "\u{1f600}…");
  assert.equal(fitted("x", 0), "…");
});

test("columns line up and lines end with their last cell", () => {
  assert.equal(
    table(
      ["ID", "NAME"],
      [
        ["1", "a"],
        ["1234", ""],
      ],
    ),
    "ID    NAME\n1     a\n1234\n",
  );
  assert.equal(
    pairs([
      ["a", "1"],
      ["name", "2"],
    ]),
    "a     1\nname  2\n",
  );
});

test("what a device sends cannot steer the terminal", () => {
  assert.equal(printable("a\u001b[2Jb\r\n\u202e"), "a�[2Jb���");
});

test("sizes and times are short", () => {
  assert.deepEqual([0, 1023, 1024, 100_000, 2 ** 30, 2 ** 45].map(sizeText), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "97.7 KiB",
    "1.0 GiB",
    "32768.0 GiB",
  ]);
  const nowMs = Date.parse("2026-03-01T12:00:00.000Z");
  const ago = (ms: number) => agoText(new Date(nowMs - ms).toISOString(), nowMs);
  assert.deepEqual([-5, 4000, 150_000, 7_300_000, 90_000_000].map(ago), [
    "0 s ago",
    "4 s ago",
    "2 min ago",
    "2 h ago",
    "2026-02-28",
  ]);
  const local = new Date(2026, 2, 1, 9, 5, 7);
  assert.equal(clockText(local.toISOString(), local.getTime()), "09:05:07");
  assert.equal(clockText(local.toISOString(), local.getTime() + 2 * 86_400_000), "2026-03-01 09:05:07");
});

test("a share is told in tenths of a percent, and one that is less is not told as nothing", () => {
  assert.deepEqual([1, 0.0423, 0.001, 0.000_3].map(shareText), ["100.0 %", "4.2 %", "0.1 %", "under 0.1 %"]);
});

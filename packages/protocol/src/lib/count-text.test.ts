import assert from "node:assert/strict";
import { test } from "node:test";
import { countText } from "./count-text.ts";

test("one of something reads as one, none and several as several", () => {
  assert.deepEqual(
    [0, 1, 2].map((count) => countText(count, "message")),
    ["0 messages", "1 message", "2 messages"],
  );
  assert.deepEqual(
    [countText(1, "device is", "devices are"), countText(3, "device is", "devices are")],
    ["1 device is", "3 devices are"],
  );
});

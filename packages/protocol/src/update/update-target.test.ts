import assert from "node:assert/strict";
import { test } from "node:test";
import { parseUpdateTarget } from "./update-target.ts";

test("a target is the firmware, a component or a package of software", () => {
  assert.deepEqual(parseUpdateTarget("firmware"), { kind: "firmware" });
  assert.deepEqual(parseUpdateTarget("component:0"), { kind: "component", instance: 0 });
  assert.deepEqual(parseUpdateTarget("software:65534"), { kind: "software", instance: 65_534 });
});

for (const text of ["", "component", "component:", "software:-1", "software:65535", "firmware:0", "component:01"])
  test(`"${text}" is no target`, () => assert.throws(() => parseUpdateTarget(text), { code: "TARGET" }));

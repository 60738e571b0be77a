import assert from "node:assert/strict";
import { test } from "node:test";
import { explain, REASONS, type ReasonCode } from "./reasons.ts";

test("every reason is one printable line without holes when it has its facts", () => {
  for (const code of Object.keys(REASONS) as ReasonCode[]) {
    const names = [...REASONS[code].why.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
    const line = explain({ code, facts: Object.fromEntries(names.map((name) => [name, `<${name}>`])) });
    assert.ok(!/[{}\n]/.test(line) && line.length > 20, line);
    for (const name of names) assert.ok(line.includes(`<${name}>`));
  }
});

test("what a peer sent cannot break out of its line", () => {
  const identity = `x\r\n\u001b[2J\u0007\u202e${"y".repeat(500)}`;
  const line = explain({ code: "PSK_IDENTITY_UNKNOWN", facts: { identity } });
  assert.ok(!/[\p{C}\p{Zl}\p{Zp}]/u.test(line) && line.length < 200, JSON.stringify(line));
});

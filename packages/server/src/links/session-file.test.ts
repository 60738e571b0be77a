import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pino } from "pino";
import { keepSessions, takeSessions } from "./session-file.ts";

function scratch(t: { after(end: () => void): void }) {
  const folder = mkdtempSync(join(tmpdir(), "sessions-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const lines: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(line) });
  return { path: join(folder, "sessions.json"), lines, log };
}

test("sessions are the owner's alone, are taken once, and are gone then", async (t) => {
  const { path, lines, log } = scratch(t);
  const sessions = new Map([["::", { sessions: "secret", endpoints: [["__proto__", "dtls 1"] as const] }]]);
  await keepSessions(path, sessions, log);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(await takeSessions(path, log), sessions);
  assert.ok(!existsSync(path));
  assert.deepEqual(await takeSessions(path, log), new Map());
  assert.deepEqual(lines, []);
});

test("what cannot be read is deleted, and told without its text", async (t) => {
  for (const text of ["secret", "{}", '{"version":1}', "null"]) {
    const { path, lines, log } = scratch(t);
    writeFileSync(path, text);
    assert.deepEqual(await takeSessions(path, log), new Map(), text);
    assert.ok(!existsSync(path));
    if (text !== '{"version":1}') assert.match(lines[0] ?? "", /cannot be read/, text);
    assert.ok(!lines.join().includes("secret"));
  }
});

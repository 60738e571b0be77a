import assert from "node:assert/strict";
import { test } from "node:test";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { pino } from "pino";
import { outageLog } from "./outage-log.ts";
import { asStoreError } from "./store/database.ts";
import { Outage } from "./store/outage.ts";

function openLog() {
  const lines: string[] = [];
  const write = (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg);
  const opened = outageLog(pino({ level: "info" }, { write }));
  return { ...opened, lines, outage: new Outage(opened.listener) };
}

const away = (code: string) => asStoreError(Object.assign(new Error("gone"), { code }));

test("an outage is one line when it begins and one when it ends, whatever waits for the database", () => {
  const { log, lines, outage } = openLog();
  const waits = () => {
    log.warn({ code: "DATABASE_AWAY" }, "an update waits");
    log.child({ reqId: 1 }).error({ err: new EnvironmentError("DATABASE_AWAY", "gone") }, "a step failed");
  };
  for (let i = 0; i < 3; i += 1) {
    outage.failed(away("ECONNREFUSED"));
    waits();
  }
  log.error({ err: new Error("another") }, "a mistake of our own");
  outage.failed(away("57P03"));
  outage.answered();
  outage.answered();
  waits();
  const [first, ...rest] = lines;
  assert.match(first ?? "", /^the database cannot be reached/);
  assert.deepEqual(rest, [
    "a mistake of our own",
    "the database answers again: all that waited goes on",
    "an update waits",
    "a step failed",
  ]);
});

test("a deadlock, a lock that cannot be had and a statement that takes too long are no outage", () => {
  const { lines, outage } = openLog();
  for (const code of ["40P01", "55P03", "57014", "23505"]) outage.failed(away(code));
  assert.deepEqual(lines, []);
  outage.failed(away("57P01"));
  outage.failed(away("40P01"));
  assert.equal(lines.length, 2, "who deadlocks is there");
});

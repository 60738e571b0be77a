import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import type { RadioLink } from "../links/radio-link.ts";
import { LinkWatch } from "./link-watch.ts";

test("a link that is not there is told once with the reason, and once when it is back; each time whoever asked for it is", () => {
  const lines: { level: number; link?: string; reason?: string }[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  let counts: RadioLink["counts"] = {
    isUp: false,
    sentCount: 0,
    heardCount: 0,
    healedCount: 0,
    problem: "no such file",
  };
  const link = {
    uri: "kiss:/dev/nothing",
    get counts() {
      return counts;
    },
  } as unknown as RadioLink;
  const changes: boolean[] = [];
  const watch = new LinkWatch({ links: [link], log, changed: ({ counts: { isUp } }) => void changes.push(isUp) });
  watch.look();
  watch.look();
  assert.deepEqual(
    lines.map(({ level, link: uri, reason }) => [level, uri, reason]),
    [[40, "kiss:/dev/nothing", "no such file"]],
  );
  counts = { ...counts, isUp: true };
  watch.look();
  watch.look();
  assert.deepEqual(
    lines.slice(1).map(({ level }) => level),
    [30],
  );
  assert.deepEqual(changes, [false, true]);
});

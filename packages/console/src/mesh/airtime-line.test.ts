import assert from "node:assert/strict";
import { test } from "node:test";
import { lineOf, windowOf } from "./airtime-line.ts";

const HOUR_MS = 3_600_000;
const point = (minute: number, usedMs: number) => ({
  at: new Date(Date.UTC(2026, 0, 1, 12, minute)).toISOString(),
  usedMs,
});
const noonS = Date.UTC(2026, 0, 1, 12) / 1000;

test("of one point, too, the window is the hour that it ends", () => {
  assert.deepEqual(windowOf([point(30, 1500)], HOUR_MS), { fromS: noonS - 1800, toS: noonS + 1800 });
});

test("before the first point nothing was used, and the line goes from one end to the other", () => {
  const { timesS, usedS } = lineOf([point(30, 1500), point(40, 2000)], HOUR_MS);
  assert.deepEqual(timesS, [noonS - 1200, noonS + 1799.999, noonS + 1800, noonS + 2400]);
  assert.deepEqual(usedS, [0, 0, 1.5, 2]);
});

test("points that fill the window are the line as they are", () => {
  const points = [point(-30, 100), point(0, 200), point(30, 300)];
  assert.deepEqual(lineOf(points, HOUR_MS), { timesS: [noonS - 1800, noonS, noonS + 1800], usedS: [0.1, 0.2, 0.3] });
});

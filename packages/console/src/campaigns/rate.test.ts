import assert from "node:assert/strict";
import { test } from "node:test";
import { endAtMs, ratePerMinute, type Sample, WINDOW_MS, withSample } from "./rate.ts";

const MINUTE_MS = 60_000;

/** So many devices a minute end from the beginning on; it is looked for so long after so long. */
function watch(perMinute: number, { fromMs, forMs }: { fromMs: number; forMs: number }, before = perMinute) {
  const countAt = (atMs: number) =>
    (Math.min(atMs, fromMs) * before + Math.max(0, atMs - fromMs) * perMinute) / MINUTE_MS;
  const sampleAt = (atMs: number): Sample => ({ atMs, endedCount: Math.round(countAt(atMs)) });
  let samples: readonly Sample[] = [];
  for (let atMs = fromMs; atMs <= fromMs + forMs; atMs += 1000) samples = withSample(samples, sampleAt(atMs));
  return { samples, now: sampleAt(fromMs + forMs) };
}

test("a page that was opened just now tells the average since the beginning", () => {
  const { samples, now } = watch(12, { fromMs: 30 * MINUTE_MS, forMs: 0 });
  assert.equal(ratePerMinute(samples, now, 0), 12);
});

test("one that has watched for a while tells how fast it goes lately", () => {
  const { samples, now } = watch(6, { fromMs: 30 * MINUTE_MS, forMs: 20 * MINUTE_MS }, 60);
  assert.ok(samples.length <= WINDOW_MS / 5000 + 1, "the window is all that is kept");
  assert.equal(Math.round(ratePerMinute(samples, now, 0) ?? 0), 6);
});

test("of what has not begun, or only just, nothing is said", () => {
  const { samples, now } = watch(60, { fromMs: 0, forMs: 5000 });
  assert.equal(ratePerMinute(samples, now, null), undefined);
  assert.equal(ratePerMinute(samples, now, 0), undefined);
});

test("the end is where the rest leads at that rate; where nothing moves there is none", () => {
  assert.equal(endAtMs(30, 10, 1000), 1000 + 3 * MINUTE_MS);
  assert.equal(endAtMs(30, 0, 1000), undefined);
  assert.equal(endAtMs(30, undefined, 1000), undefined);
  const { samples, now } = watch(0, { fromMs: 10 * MINUTE_MS, forMs: 10 * MINUTE_MS }, 5);
  assert.equal(endAtMs(30, ratePerMinute(samples, now, 0), 1000), undefined);
});

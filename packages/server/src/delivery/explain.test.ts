import assert from "node:assert/strict";
import { test } from "node:test";
import { type ExplainedDevice, type ExplainedUpdate, explain } from "./explain.ts";

const NOW_MS = Date.UTC(2026, 2, 1, 14, 40);
const minutesAgo = (minutes: number): string => new Date(NOW_MS - minutes * 60_000).toISOString();

const UPDATE: ExplainedUpdate = {
  state: "waiting",
  sentence: "waiting: the device does not answer; asking again",
  since: minutesAgo(5),
  createdAt: minutesAgo(90),
  acknowledgedBytes: 0,
  totalBytes: 1000,
};
const DEVICE: ExplainedDevice = {
  presence: "registered",
  lastSeenAt: minutesAgo(38),
  expiresAt: minutesAgo(-22),
  lifetimeS: 3600,
};

for (const [what, update, device, sentence] of [
  [
    "a device that sleeps",
    {},
    { asleepSinceMs: Date.parse(minutesAgo(38)) },
    "waiting 38 min: asleep since 14:02 UTC, last lifetime 3600 s",
  ],
  [
    "a device that slept long before the update began",
    { createdAt: minutesAgo(3) },
    { asleepSinceMs: Date.parse(minutesAgo(38)) },
    "waiting 3 min: asleep since 14:02 UTC, last lifetime 3600 s",
  ],
  [
    "a registration that expired yesterday",
    {},
    { presence: "expired", expiresAt: minutesAgo(24 * 60), lastSeenAt: minutesAgo(25 * 60) },
    "waiting 90 min: the device's registration expired 2026-02-28 14:40 UTC (last heard 2026-02-28 13:40 UTC, lifetime 3600 s)",
  ],
  [
    "a device that de-registered",
    {},
    { presence: "deregistered" },
    "waiting 38 min: the device de-registered; last heard 14:02 UTC",
  ],
  ["no answer", {}, {}, "waiting 5 min: the device does not answer since 14:35 UTC; asking again"],
  [
    "5.03",
    { sentence: "waiting: the device is busy and answered 5.03; asking again" },
    {},
    "waiting 5 min: the device is busy and answered 5.03 since 14:35 UTC; asking again",
  ],
  [
    "a reason that says when it ends",
    { sentence: "waiting: broadcast 1f by north-1 begins at 14:45:00 UTC" },
    undefined,
    "waiting 5 min: broadcast 1f by north-1 begins at 14:45:00 UTC",
  ],
  [
    "a transfer",
    { state: "transferring", sentence: "pushing 1000 bytes to the device", acknowledgedBytes: 256 },
    {},
    "pushing 1000 bytes to the device (25 %, 256 of 1000 bytes, for 5 min)",
  ],
  [
    "an image that is held",
    { state: "waitingToApply", sentence: "the device has the image; waiting for the command to apply" },
    {},
    "the device has the image; waiting for the command to apply (for 5 min)",
  ],
  ["the end", { state: "succeeded", sentence: "succeeded" }, { presence: "expired" }, "succeeded"],
] as const)
  test(`lesson 14: why an update waits, and since when: ${what}`, () => {
    assert.equal(explain({ ...UPDATE, ...update }, { ...DEVICE, ...device }, NOW_MS), sentence);
  });

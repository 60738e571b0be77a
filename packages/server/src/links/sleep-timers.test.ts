import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { createResponse } from "@airlift/protocol/coap/exchange";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import { exampleRegistration } from "../store/scratch-stores.ts";
import { readSleepTimers, sleepTimersOf } from "./sleep-timers.ts";

const cellular = { objectId: 10, version: undefined, instances: [0] };
const sleeper = exampleRegistration("a", {
  queueMode: true,
  objects: { rootSegments: [], contentFormats: [], objects: [cellular] },
});
type Values = Readonly<Record<string, string | Uint8Array>>;
const answering = (values: Values) => ({
  request: async (_: unknown, { uriPath }: Lwm2mRequest) => {
    const value = values[`/${uriPath.join("/")}`];
    if (value === undefined) return createResponse(CODE.notFound);
    return createResponse(CODE.content, typeof value === "string" ? encodeUtf8(value) : value);
  },
});
const timersOf = async (values: Values) => sleepTimersOf((await readSleepTimers(answering(values), sleeper)) ?? {});

test("object 10: the active timer is how long a sleeper is awake, the PSM timer how long it sleeps", async () => {
  const told = { "/10/0/4": "7200", "/10/0/5": "16", "/10/0/9": Uint8Array.of(0x05) };
  assert.deepEqual(await timersOf(told), { awakeMs: 16_000, periodMs: 7_200_000 });
  const kept = { "/10/0/4": 7200, "/10/0/5": 16, "/10/0/8": null, "/10/0/9": 5 };
  assert.deepEqual(await readSleepTimers(answering(told), sleeper), kept);
});

test("without a PSM timer it can be reached again after its cycle of eDRX (TS 24.008 §10.5.5.32)", async () => {
  assert.equal((await timersOf({ "/10/0/8": Uint8Array.of(0x35) })).periodMs, 81_920);
  assert.equal((await timersOf({ "/10/0/4": "0", "/10/0/9": Uint8Array.of(0x0f) })).periodMs, 10_485_760);
});

test("what a device does not tell, tells badly, or sleeps through is left as configured", async () => {
  const blank = { awakeMs: undefined, periodMs: undefined };
  assert.deepEqual(await timersOf({ "/10/0/5": "soon", "/10/0/8": new Uint8Array(2) }), blank);
  const request = async () => {
    throw new EnvironmentError("COAP_TIMEOUT", "no answer");
  };
  assert.deepEqual(sleepTimersOf((await readSleepTimers({ request }, sleeper)) ?? {}), blank);
});

test("a device that always listens, or has no such object, is not asked", async () => {
  const request = async () => assert.fail("it was asked");
  assert.equal(await readSleepTimers({ request }, { ...sleeper, queueMode: false }), undefined);
  assert.equal(await readSleepTimers({ request }, exampleRegistration("b", { queueMode: true })), undefined);
});

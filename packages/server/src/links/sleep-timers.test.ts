import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { createResponse } from "@airlift/protocol/coap/exchange";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import { exampleRegistration } from "../store/scratch-stores.ts";
import { readSleepTimers } from "./sleep-timers.ts";

const cellular = { objectId: 10, version: undefined, instances: [0] };
const sleeper = exampleRegistration("a", {
  queueMode: true,
  objects: { rootSegments: [], contentFormats: [], objects: [cellular] },
});
const answering = (values: Readonly<Record<string, string>>) => ({
  request: async (_: unknown, { uriPath }: Lwm2mRequest) => {
    const value = values[`/${uriPath.join("/")}`];
    if (value === undefined) return createResponse(CODE.notFound);
    return createResponse(CODE.content, encodeUtf8(value));
  },
});

test("object 10: the active timer is how long a sleeper is awake, the PSM timer how long it sleeps", async () => {
  const timers = await readSleepTimers(answering({ "/10/0/4": "7200", "/10/0/5": "16" }), sleeper);
  assert.deepEqual(timers, { awakeMs: 16_000, periodMs: 7_200_000 });
});

test("what a device does not tell, tells badly, or sleeps through is left as configured", async () => {
  const blank = { awakeMs: undefined, periodMs: undefined };
  assert.deepEqual(await readSleepTimers(answering({ "/10/0/5": "soon" }), sleeper), blank);
  const request = async () => {
    throw new EnvironmentError("COAP_TIMEOUT", "no answer");
  };
  assert.deepEqual(await readSleepTimers({ request }, sleeper), blank);
});

test("a device that always listens, or has no such object, is not asked", async () => {
  const request = async () => assert.fail("it was asked");
  assert.equal(await readSleepTimers({ request }, { ...sleeper, queueMode: false }), undefined);
  assert.equal(await readSleepTimers({ request }, exampleRegistration("b", { queueMode: true })), undefined);
});

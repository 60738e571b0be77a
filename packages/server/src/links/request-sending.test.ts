import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapResponse, createResponse } from "@airlift/protocol/coap/exchange";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { pino } from "pino";
import type { RequestContent } from "../fleet/queued-request.ts";
import { exampleRegistration } from "../store/scratch-stores.ts";
import { sendRequest } from "./request-sending.ts";

const reboot: RequestContent = { operation: "execute", path: "/3/0/4" };
const readModel: RequestContent = { operation: "read", path: "/3/0/1" };

/** What a request to a device came to, and what went out for it. */
async function sent(content: RequestContent, home: string | undefined, answer: () => Promise<CoapResponse>) {
  const asked: string[] = [];
  const request = { id: "q", endpoint: "pump", content, state: "sending", attempts: 1, place: 1 } as const;
  const { how } = await sendRequest(
    { ...request, submittedAtMs: 0, expiresAtMs: 1 },
    {
      requests: {
        request: (_, { uriPath }) => {
          asked.push(`/${uriPath.join("/")}`);
          return answer();
        },
      },
      log: pino({ level: "silent" }),
      registrationOf: (endpoint) => exampleRegistration(endpoint, { home }),
      signal: new AbortController().signal,
    },
  );
  return [how, ...asked];
}

const served = async () => createResponse(CODE.changed);
const refused = async () => createResponse(CODE.unauthorized);
const silent = async () => {
  throw new EnvironmentError("COAP_TIMEOUT", "no answer");
};

test("at its home a device's refusal is its answer, and an Execute without one may have been done", async () => {
  assert.deepEqual(await sent(readModel, undefined, refused), ["answered", "/3/0/1"]);
  assert.deepEqual(await sent(reboot, undefined, silent), ["unanswered", "/3/0/4"]);
  assert.deepEqual(await sent(reboot, undefined, served), ["answered", "/3/0/4"]);
});

test("what a guest refuses waits for its home; what may not be done twice does not go out before the guest answers", async () => {
  assert.deepEqual(await sent(readModel, "a", refused), ["notSent", "/3/0/1"]);
  assert.deepEqual(await sent(readModel, "a", silent), ["unanswered", "/3/0/1"]);
  assert.deepEqual(await sent(reboot, "a", refused), ["notSent", "/3/0/16"]);
  assert.deepEqual(await sent(reboot, "a", silent), ["notSent", "/3/0/16"]);
  assert.deepEqual(await sent(reboot, "a", served), ["answered", "/3/0/16", "/3/0/4"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import { sendRequest } from "@airlift/protocol/lwm2m/reporting";
import { requestOf } from "@airlift/protocol/lwm2m/request";
import type { Registration } from "../fleet/registration.ts";
import { exampleRegistration } from "../store/scratch-stores.ts";
import { answerReport } from "./report-door.ts";

const PUMP: Registration = exampleRegistration("pump");

const REPORT = sendRequest([{ path: [5, 0, 3], value: 0 }]);

function answer(request: ReturnType<typeof requestOf>, sender: Registration | undefined = PUMP, takes = () => true) {
  const news: string[] = [];
  const { code } = answerReport(request, {
    sender,
    models: STANDARD_MODELS,
    onValues: () => takes(),
    onNews: ({ endpoint }) => news.push(endpoint),
  });
  return { code, news };
}

test("§6.4.6: a report of the update or of what runs is taken, and is news", () => {
  for (const path of [
    [5, 0, 3],
    [3, 0, 3],
  ]) {
    const value = path[0] === 5 ? 2 : "2.0.0";
    assert.deepEqual(answer(sendRequest([{ path, value }])), { code: CODE.changed, news: ["pump"] });
  }
});

test("a report of anything else is taken, and is no news", () => {
  assert.deepEqual(answer(sendRequest([{ path: [1, 0, 1], value: 300 }])), { code: CODE.changed, news: [] });
});

test("§6.4.6: a sender that is not registered is answered 4.04", () => {
  const news: string[] = [];
  const { code } = answerReport(REPORT, {
    sender: undefined,
    models: STANDARD_MODELS,
    onValues: () => assert.fail("a stranger's values are read"),
    onNews: ({ endpoint }) => news.push(endpoint),
  });
  assert.deepEqual([code, news], [CODE.notFound, []]);
});

test("what is no report is refused", () => {
  assert.equal(answer(requestOf({ code: METHOD.get, uriPath: ["dp"] })).code, CODE.methodNotAllowed);
  assert.equal(answer(requestOf({ code: METHOD.post, uriPath: ["dp"] })).code, CODE.unsupportedContentFormat);
  const report = sendRequest([{ path: [5, 0, 3], value: 0 }]);
  assert.equal(answer({ ...report, payload: Uint8Array.of(0xff) }).code, CODE.badRequest);
});

test("§6.4.6: values of an object that is not registered are 4.04, and no news", () => {
  const stranger = () => {
    throw new PeerError("NOT_FOUND", "not registered");
  };
  assert.deepEqual(answer(REPORT, PUMP, stranger), { code: CODE.notFound, news: [] });
});

test("reports that come too fast are 4.29, and no news (RFC 8516)", () => {
  assert.deepEqual(
    answer(REPORT, PUMP, () => false),
    { code: CODE.tooManyRequests, news: [] },
  );
});

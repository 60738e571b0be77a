import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE } from "@airlift/protocol/coap/codes";
import { CoapRefusal, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption } from "@airlift/protocol/coap/options";
import { type AirliftError, EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import { RESULT_ON_WIRE } from "@airlift/protocol/update/firmware-update";
import { pullErrorOf } from "./pull-error.ts";
import { RESULT_OF_FAILURE } from "./pull-failure.ts";

/** The Update Result that `error` comes to when nothing helps. */
function resultOf(error: unknown, isResumed = false): number {
  return RESULT_ON_WIRE[RESULT_OF_FAILURE[pullErrorOf(error, isResumed).failure]];
}

const system = (code: string): Error => Object.assign(new Error(code), { code });
const network = (code: string, cause?: unknown): AirliftError => new EnvironmentError(code, code, {}, { cause });
const refusal = (code: number): CoapRefusal => new CoapRefusal(createResponse(code));
const status = (code: number): PeerError => new PeerError("HTTP_STATUS", "refused", { status: code });

test("row 13: a download that cannot be created", () => {
  for (const [code, result] of [
    ["EINVAL", 7],
    ["EADDRNOTAVAIL", 7],
    ["ENOMEM", 3],
    ["EPROTONOSUPPORT", 9],
    ["ENETUNREACH", 4],
    ["EMFILE", 4],
  ] as const) {
    assert.equal(resultOf(network("SOCKET_BIND", system(code))), result, code);
  }
});

test("row 19: silence, broken connections and handshakes, a socket's errors", () => {
  for (const code of ["COAP_TIMEOUT", "COAP_UNREACHABLE", "CONNECTION_LOST", "IDLE_TIMEOUT", "TLS_FAILED"]) {
    assert.equal(resultOf(network(code)), 4, code);
    assert.equal(pullErrorOf(network(code), false).failure, "connection");
  }
  assert.equal(resultOf(network("CONNECTION_LOST", system("ECONNRESET"))), 4);
});

test("row 20: a name without an address; a resolver that is away is a link that is down", () => {
  assert.equal(resultOf(network("HOST_UNKNOWN", system("ENOTFOUND"))), 7);
  assert.equal(pullErrorOf(network("HOST_UNKNOWN", system("EAI_AGAIN")), false).failure, "connection");
});

test("row 21: not found is an invalid URI, every other status a lost connection", () => {
  assert.equal(resultOf(refusal(CODE.notFound)), 7);
  assert.equal(resultOf(new PeerError("NOT_FOUND", "404")), 7);
  for (const code of [CODE.forbidden, CODE.methodNotAllowed, CODE.internalServerError, CODE.serviceUnavailable]) {
    assert.equal(resultOf(refusal(code)), 4);
  }
  for (const code of [400, 403, 429, 500, 503]) assert.equal(resultOf(status(code)), 4);
});

test("row 22: memory that ran out", () => {
  assert.equal(resultOf(system("ENOMEM")), 3);
  assert.equal(resultOf(network("CONNECTION_LOST", system("ENOBUFS"))), 3);
  assert.equal(resultOf(system("ERR_MEMORY_ALLOCATION_FAILED")), 3);
});

test("row 23: another image, by its tag or by a part that is not there", () => {
  assert.equal(pullErrorOf(new PeerError("ETAG_CHANGED", "412"), true).failure, "changed");
  assert.equal(pullErrorOf(refusal(CODE.preconditionFailed), true).failure, "changed");
  assert.equal(pullErrorOf(refusal(CODE.badOption), true).failure, "changed");
  assert.equal(pullErrorOf(refusal(CODE.badOption), false).failure, "refused");
});

test("RFC 7252 §5.9.3.4: a busy server says in Max-Age when to come back", () => {
  const busy = new CoapRefusal(createResponse(CODE.serviceUnavailable, undefined, [uintOption(OPTION.maxAge, 30)]));
  assert.deepEqual(pullErrorOf(busy, false), { failure: "busy", retryAfterMs: 30_000 });
});

test("an error that is its own cause, and what is no error at all", () => {
  const circular = system("EIO");
  circular.cause = circular;
  assert.equal(resultOf(circular), 4);
  assert.equal(resultOf("nothing"), 4);
});

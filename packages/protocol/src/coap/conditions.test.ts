import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY } from "../lib/bytes.ts";
import { CODE } from "./codes.ts";
import { conditionalResponse } from "./conditions.ts";
import { createRequest } from "./exchange.ts";
import { OPTION } from "./options.ts";

const ETAG = Uint8Array.of(1, 2);
const codeOf = (method: "get" | "put", number: number, value: Uint8Array, etag: Uint8Array | undefined) =>
  conditionalResponse(createRequest(method, "/", { options: [{ number, value }] }), etag)?.code;

test("RFC 7252 §5.10.8.1: If-Match holds for the current ETag, an empty one for any that exists", () => {
  assert.equal(codeOf("put", OPTION.ifMatch, ETAG, ETAG), undefined);
  assert.equal(codeOf("put", OPTION.ifMatch, EMPTY, ETAG), undefined);
  assert.equal(codeOf("put", OPTION.ifMatch, Uint8Array.of(9), ETAG), CODE.preconditionFailed);
  assert.equal(codeOf("put", OPTION.ifMatch, EMPTY, undefined), CODE.preconditionFailed);
});

test("§5.10.8.2: If-None-Match holds when the resource does not exist", () => {
  assert.equal(codeOf("put", OPTION.ifNoneMatch, EMPTY, undefined), undefined);
  assert.equal(codeOf("put", OPTION.ifNoneMatch, EMPTY, ETAG), CODE.preconditionFailed);
});

test("§5.10.6.2: a GET with the current ETag is answered 2.03", () => {
  assert.equal(codeOf("get", OPTION.etag, ETAG, ETAG), CODE.valid);
  assert.equal(codeOf("get", OPTION.etag, Uint8Array.of(9), ETAG), undefined);
  assert.equal(codeOf("put", OPTION.etag, ETAG, ETAG), undefined);
});

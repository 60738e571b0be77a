import assert from "node:assert/strict";
import { test } from "node:test";
import { METHOD } from "../coap/codes.ts";
import { encodeUtf8 } from "../lib/bytes.ts";
import { PeerError } from "../lib/errors.ts";
import { CONTENT_FORMATS } from "./content-formats.ts";
import { decodeSend, sendRequest } from "./reporting.ts";
import { requestOf } from "./request.ts";

test("LwM2M 1.2 §6.4.6: values of several objects travel in one report", () => {
  const entries = [
    { path: [5, 0, 5], value: 1 },
    { path: [5, 0, 3], value: 0 },
    { path: [3, 0, 3], value: "2.0.0" },
  ];
  const request = sendRequest(entries);
  assert.deepEqual(request.uriPath, ["dp"]);
  assert.equal(request.contentFormat, CONTENT_FORMATS.senmlCbor);
  assert.deepEqual(decodeSend(request), entries);
});

test("a report in SenML-JSON", () => {
  const payload = encodeUtf8('[{"bn":"/5/0/","n":"3","v":2}]');
  const request = requestOf({ code: METHOD.post, contentFormat: CONTENT_FORMATS.senmlJson, payload });
  assert.deepEqual(decodeSend(request), [{ path: [5, 0, 3], value: 2 }]);
});

test("what is no report is refused by name", () => {
  const report = sendRequest([{ path: [5, 0, 3], value: 0 }]);
  assert.throws(() => decodeSend({ ...report, code: METHOD.put }), { code: "METHOD" });
  assert.throws(() => decodeSend({ ...report, contentFormat: CONTENT_FORMATS.text }), { code: "CONTENT_FORMAT" });
  assert.throws(() => decodeSend({ ...report, contentFormat: undefined }), { code: "CONTENT_FORMAT" });
  assert.throws(() => decodeSend({ ...report, payload: Uint8Array.of(0x80) }), { code: "REQUEST" });
  assert.throws(() => decodeSend({ ...report, payload: Uint8Array.of(0xff) }), PeerError);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE, METHOD } from "../coap/codes.ts";
import { EMPTY, encodeUtf8 } from "../lib/bytes.ts";
import { BugError, PeerError } from "../lib/errors.ts";
import { CONTENT_FORMATS } from "./content-formats.ts";
import {
  cancelObserveRequest,
  createRequest,
  decodeOperation,
  deleteRequest,
  discoverRequest,
  executeRequest,
  type Operation,
  observeRequest,
  readRequest,
  responseCodeFor,
  writeAttributesRequest,
  writeRequest,
} from "./operations.ts";
import type { Path } from "./path.ts";
import { type Lwm2mRequest, requestOf, withRoot } from "./request.ts";

const PATH: Path = [5, 0, 1];
const content = { contentFormat: CONTENT_FORMATS.text, payload: encodeUtf8("coap://x/fw") };
const tlv = { contentFormat: CONTENT_FORMATS.tlv, payload: EMPTY };

const ROUND_TRIPS: [request: Lwm2mRequest, operation: Operation][] = [
  [readRequest(PATH), { kind: "read", path: PATH, accept: undefined }],
  [readRequest([5, 0], 11_542), { kind: "read", path: [5, 0], accept: 11_542 }],
  [discoverRequest([5]), { kind: "discover", path: [5] }],
  [observeRequest(PATH, 112), { kind: "observe", path: PATH, accept: 112 }],
  [cancelObserveRequest(PATH), { kind: "cancelObserve", path: PATH, accept: undefined }],
  [writeRequest(PATH, "replace", content), { kind: "write", path: PATH, mode: "replace", content }],
  [writeRequest([5, 0], "update", tlv), { kind: "write", path: [5, 0], mode: "update", content: tlv }],
  [writeRequest([2, 0, 2], "update", tlv), { kind: "write", path: [2, 0, 2], mode: "update", content: tlv }],
  [
    writeAttributesRequest(PATH, { pmin: 10, pmax: null }),
    { kind: "writeAttributes", path: PATH, change: { pmin: 10, pmax: null } },
  ],
  [executeRequest([5, 0, 2]), { kind: "execute", path: [5, 0, 2], arguments: new Map() }],
  [
    executeRequest([9, 0, 6], new Map([[1, undefined]])),
    { kind: "execute", path: [9, 0, 6], arguments: new Map([[1, undefined]]) },
  ],
  [createRequest([9], tlv), { kind: "create", path: [9], content: tlv }],
  [deleteRequest([9, 1]), { kind: "delete", path: [9, 1] }],
];
for (const [request, operation] of ROUND_TRIPS) {
  test(`§6.3, §6.4: a device reads ${operation.kind} /${operation.path.join("/")} as it was meant`, () => {
    assert.deepEqual(decodeOperation(request), operation);
  });
}

test("Transport §6.4.4: method and options of each operation", () => {
  const shape = ({ code, uriPath, uriQuery, accept, observe }: Lwm2mRequest) => [
    code,
    uriPath.join("/"),
    uriQuery.join("&"),
    accept,
    observe,
  ];
  assert.deepEqual(shape(readRequest([3, 0, 3])), [METHOD.get, "3/0/3", "", undefined, undefined]);
  assert.deepEqual(shape(discoverRequest([3])), [METHOD.get, "3", "", 40, undefined]);
  assert.deepEqual(shape(observeRequest([5, 0, 3])), [METHOD.get, "5/0/3", "", undefined, 0]);
  assert.deepEqual(shape(cancelObserveRequest([5, 0, 3])), [METHOD.get, "5/0/3", "", undefined, 1]);
  assert.deepEqual(shape(writeRequest([5, 0, 1], "replace", content)), [METHOD.put, "5/0/1", "", undefined, undefined]);
  assert.deepEqual(shape(writeAttributesRequest([5, 0, 3], { pmin: 1, st: 0.5, gt: null })), [
    METHOD.put,
    "5/0/3",
    "pmin=1&st=0.5&gt",
    undefined,
    undefined,
  ]);
});
test("a zero-length value is a write, with or without a content format", () => {
  for (const contentFormat of [undefined, 42]) {
    const request = requestOf({ code: METHOD.put, uriPath: ["5", "0", "0"], contentFormat });
    assert.equal(decodeOperation(request).kind, "write");
  }
});
test("a path below a device's own root", () => {
  assert.deepEqual(withRoot(readRequest([5]), ["lwm2m"]).uriPath, ["lwm2m", "5"]);
});

const REFUSED: [title: string, request: Parameters<typeof requestOf>[0], code: number][] = [
  ["a path that is none", { code: METHOD.get, uriPath: ["fw"] }, CODE.notFound],
  ["a read of the root", { code: METHOD.get }, CODE.methodNotAllowed],
  ["a replacement of an object", { code: METHOD.put, uriPath: ["5"], payload: EMPTY }, CODE.methodNotAllowed],
  ["a POST to a resource instance", { code: METHOD.post, uriPath: ["5", "0", "8", "1"] }, CODE.methodNotAllowed],
  ["a delete of an object", { code: METHOD.delete, uriPath: ["5"] }, CODE.methodNotAllowed],
  ["a FETCH of an object", { code: METHOD.fetch, uriPath: ["3"] }, CODE.methodNotAllowed],
  ["an iPATCH of an object", { code: METHOD.iPatch, uriPath: ["3"] }, CODE.methodNotAllowed],
  ["a PATCH", { code: METHOD.patch }, CODE.methodNotAllowed],
  ["a FETCH of no places", { code: METHOD.fetch, contentFormat: 110, payload: encodeUtf8("[]") }, CODE.badRequest],
  ["a FETCH in text", { code: METHOD.fetch, payload: encodeUtf8("/3") }, CODE.unsupportedContentFormat],
  [
    "attributes and a value at once",
    { code: METHOD.put, uriPath: ["5", "0", "1"], uriQuery: ["pmin=1"], payload: encodeUtf8("x") },
    CODE.badRequest,
  ],
  ["an unknown attribute", { code: METHOD.put, uriPath: ["5", "0", "3"], uriQuery: ["every=1"] }, CODE.badRequest],
  ["broken arguments", { code: METHOD.post, uriPath: ["5", "0", "2"], payload: encodeUtf8("0=") }, CODE.badRequest],
];
for (const [title, request, code] of REFUSED) {
  test(`refused: ${title}`, () => {
    assert.throws(
      () => decodeOperation(requestOf(request)),
      (error) => error instanceof PeerError && responseCodeFor(error) === code,
    );
  });
}
test("our own failure is 5.00", () => {
  assert.equal(responseCodeFor(new BugError("X", "x")), CODE.internalServerError);
});

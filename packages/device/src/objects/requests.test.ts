import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { decodeUtf8, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import { decodePayload, encodePayload } from "@airlift/protocol/lwm2m/payload";
import { type Lwm2mRequest, requestOf } from "@airlift/protocol/lwm2m/request";
import fc from "fast-check";
import { FACTORY } from "../update/persisted.ts";
import { createDeviceObject } from "./device-object.ts";
import { createFirmwareObject } from "./firmware-object.ts";
import { ObjectRequests } from "./requests.ts";
import { createTree } from "./resource.ts";
import { createServerObject } from "./server-object.ts";

function device(written: string[] = []): ObjectRequests {
  const server = createServerObject({
    lifetimeS: () => 300,
    setLifetime: (seconds) => written.push(`lifetime ${seconds}`),
    refresh: () => written.push("refresh"),
    binding: () => "U",
    shortServerId: () => 1,
  });
  const identity = { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: "1.0.0" };
  const object3 = createDeviceObject({ identity, utcMs: () => 1_800_000_000_000, binding: "U", reboot: undefined });
  const done = async (): Promise<number> => CODE.changed;
  const object5 = createFirmwareObject(
    {
      facts: () => FACTORY,
      packageName: () => undefined,
      packageVersion: () => undefined,
      writePackage: done,
      writeUri: async (uri) => {
        written.push(`uri ${uri}`);
        return CODE.changed;
      },
      update: done,
      cancel: done,
      writeSetting: done,
      methods: "both",
      protocols: [0, 2],
    },
    "1.1",
  );
  return new ObjectRequests(createTree([server.object, object3, object5]), "1.1");
}

const path = (text: string): string[] => text.split("/").slice(1);
const get = (text: string, accept?: number): Lwm2mRequest =>
  requestOf({ code: METHOD.get, uriPath: path(text), accept });

test("§6.3.1: an instance is read with all that can be read, and with nothing that cannot", async () => {
  const { payload } = await device().answer(get("/5/0"));
  const context = { base: [5, 0], models: STANDARD_MODELS };
  const entries = decodePayload(CONTENT_FORMATS.senmlCbor, payload, context);
  const paths = entries.map((entry) => entry.path.slice(2).join("/"));
  assert.deepEqual(paths, ["1", "3", "5", "8/0", "8/1", "9", "11", "12"]);
});

test("E.4 /3/0/3: a version that changes without a restart is read as it is now", async () => {
  let firmwareVersion = "1.0.0";
  const identity = { manufacturer: "Example", model: "M1", serialNumber: "7", firmwareVersion: () => firmwareVersion };
  const object3 = createDeviceObject({ identity, utcMs: () => 0, binding: "U", reboot: undefined });
  const requests = new ObjectRequests(createTree([object3]), "1.1");
  const version = async () => decodeUtf8((await requests.answer(get("/3/0/3", CONTENT_FORMATS.text))).payload);
  assert.equal(await version(), "1.0.0");
  firmwareVersion = "2.0.0";
  assert.equal(await version(), "2.0.0");
});

test("§6.3.1: a resource instance by itself", async () => {
  const { code, payload } = await device().answer(get("/5/0/8/1", CONTENT_FORMATS.text));
  assert.equal(code, CODE.content);
  assert.equal(decodeUtf8(payload), "2");
  assert.equal((await device().answer(get("/5/0/8/9"))).code, CODE.notFound);
});

test("§6.3.3: several resources in one Write are all written, or none when one cannot be", async () => {
  const written: string[] = [];
  const context = { base: [1, 0], models: STANDARD_MODELS };
  const write = (entries: Parameters<typeof encodePayload>[1]) =>
    requestOf({
      code: METHOD.post,
      uriPath: ["1", "0"],
      contentFormat: CONTENT_FORMATS.tlv,
      payload: encodePayload(CONTENT_FORMATS.tlv, entries, context),
    });
  const both = [
    { path: [1, 0, 1], value: 600 },
    { path: [1, 0, 2], value: 5 },
  ];
  assert.equal((await device(written).answer(write(both))).code, CODE.changed);
  assert.deepEqual(written, ["lifetime 600"]);
  const one = [...both, { path: [1, 0, 0], value: 9 }];
  assert.equal((await device(written).answer(write(one))).code, CODE.methodNotAllowed);
  assert.deepEqual(written, ["lifetime 600"]);
});

test("§6.3.3: the Package URI in any format that can hold a text", async () => {
  const written: string[] = [];
  const requests = device(written);
  for (const contentFormat of [CONTENT_FORMATS.text, CONTENT_FORMATS.tlv, CONTENT_FORMATS.senmlJson]) {
    const base = [5, 0, 1];
    const payload = encodePayload(contentFormat, [{ path: base, value: "coap://x/1" }], {
      base,
      models: STANDARD_MODELS,
    });
    const request = requestOf({ code: METHOD.put, uriPath: ["5", "0", "1"], contentFormat, payload });
    assert.equal((await requests.answer(request)).code, CODE.changed);
  }
  assert.deepEqual(new Set(written), new Set(["uri coap://x/1"]));
});

test("§5.1.2: attributes of a resource stand behind those of its instance and object", async () => {
  const requests = device();
  const attributes = (where: string, query: string) =>
    requests.answer(requestOf({ code: METHOD.put, uriPath: path(where), uriQuery: [query] }));
  await attributes("/5", "pmin=1");
  await attributes("/5/0", "pmax=60");
  await attributes("/5/0/3", "pmin=2");
  assert.deepEqual(requests.attributesAt([5, 0, 3]), { pmin: 2, pmax: 60 });
  assert.equal((await attributes("/5/0/3", "pmin=-1")).code, CODE.badRequest);
  assert.equal((await attributes("/5/0/99", "pmin=1")).code, CODE.notFound);
});

test("whatever is asked gets a code of the protocol, and none is an error of ours", async () => {
  const ids = fc.oneof(fc.constantFrom("0", "1", "3", "5", "8", "9"), fc.string({ maxLength: 6 }));
  const formats = fc.option(fc.constantFrom(...Object.values(CONTENT_FORMATS), 999), { nil: undefined });
  const anything = fc.record({
    code: fc.integer({ min: 1, max: 7 }),
    uriPath: fc.array(ids, { maxLength: 5 }),
    uriQuery: fc.array(fc.oneof(fc.constantFrom("pmin=1", "pmax=x", "gt=1"), fc.string({ maxLength: 8 })), {
      maxLength: 2,
    }),
    contentFormat: formats,
    accept: formats,
    observe: fc.constantFrom(undefined, 0, 1),
    payload: fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.string({ maxLength: 12 }).map(encodeUtf8)),
  });
  const requests = device();
  await fc.assert(
    fc.asyncProperty(anything, async (request) => {
      const { code } = await requests.answer(request);
      assert.ok(code >> 5 === 2 || code >> 5 === 4, `answered ${code >> 5}.${code & 31}`);
    }),
    { numRuns: 2_000 },
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CODE, METHOD } from "../coap/codes.ts";
import { decodeUtf8, EMPTY, encodeUtf8 } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { responseCodeFor } from "./operations.ts";
import { type RegisteredObjects, registeredObject } from "./registered-objects.ts";
import {
  applyUpdate,
  decodeRegister,
  decodeUpdate,
  encodeDeregister,
  encodeRegister,
  encodeUpdate,
  LWM2M_VERSIONS,
  locationOf,
  type Registration,
  registrationIdIn,
} from "./registration.ts";

const register = (uriQuery: string[], links = "</1/0>,</3/0>,</5/0>", contentFormat: number | undefined = 40) =>
  decodeRegister({ uriQuery, contentFormat, payload: encodeUtf8(links) });

const refusal = (call: () => unknown): number => {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof PeerError, String(error));
    return responseCodeFor(error);
  }
  return assert.fail("not refused");
};

const NO_OBJECTS: RegisteredObjects = { rootSegments: [], contentFormats: [], objects: [] };

test("Core 1.0 §5.3.1: a registration of LwM2M 1.0, queue mode in the binding", () => {
  assert.deepEqual(
    register(
      ["ep=urn:dev:1", "lt=300", "lwm2m=1.0", "b=UQS", "sms=4917612345"],
      '</>;rt="oma.lwm2m";ct=11543,</1/0>,</5>;ver="1.1",</5/0>,</4/1>,</4/0>,</6>',
    ),
    {
      endpoint: "urn:dev:1",
      lwm2mVersion: "1.0",
      lifetimeS: 300,
      binding: "US",
      queueMode: true,
      smsNumber: "4917612345",
      objects: {
        rootSegments: [],
        contentFormats: [11_543],
        objects: [
          { objectId: 1, version: undefined, instances: [0] },
          { objectId: 4, version: undefined, instances: [0, 1] },
          { objectId: 5, version: "1.1", instances: [0] },
          { objectId: 6, version: undefined, instances: [] },
        ],
      },
    },
  );
});
test("Core 1.1 §6.2.1: queue mode beside the binding, defaults of the rest, a list of formats", () => {
  const { objects, ...rest } = register(
    ["ep=a", "lwm2m=1.1", "Q"],
    '</>;rt="oma.lwm2m";ct="110 112 11542",</5/0>;ver=1.1',
  );
  assert.deepEqual(rest, {
    endpoint: "a",
    lwm2mVersion: "1.1",
    lifetimeS: 86_400,
    binding: "U",
    queueMode: true,
    smsNumber: undefined,
  });
  assert.deepEqual(objects.contentFormats, [110, 112, 11_542]);
  assert.equal(registeredObject(objects, 5)?.version, "1.1");
});
test("§6.2.1: paths may lie below a root of the device's choosing; other resources of the device are no objects", () => {
  const { objects } = register(
    ["ep=a", "lwm2m=1.1"],
    '</lwm2m>;rt="oma.lwm2m",</lwm2m/5/0>,</3/0>,</sensors>,</lwm2m/1/0/3>',
  );
  assert.deepEqual(objects.rootSegments, ["lwm2m"]);
  assert.deepEqual(objects.objects, [{ objectId: 5, version: undefined, instances: [0] }]);
});
test("a version that is none counts as absent, and unknown parameters are ignored", () => {
  const { objects } = register(["ep=a", "lwm2m=1.1", "et=x", "pid"], "</5/0>;ver=next,</70000/0>,</05/0>");
  assert.deepEqual(objects.objects, [{ objectId: 5, version: undefined, instances: [0] }]);
});
test("from LwM2M 1.1 on the name may come from the security layer; links may come without a content format", () => {
  assert.equal(register(["lwm2m=1.2"], "</5/0>").endpoint, undefined);
  const bare = { uriQuery: ["ep=a", "lwm2m=1.1"], contentFormat: undefined, payload: encodeUtf8("</5/0>") };
  assert.equal(decodeRegister(bare).objects.objects.length, 1);
});
test("§6.4.3: a version that is not spoken is 4.12, all else that is wrong 4.00, a payload of another format 4.15", () => {
  assert.equal(
    refusal(() => register(["ep=a", "lwm2m=2.0"])),
    CODE.preconditionFailed,
  );
  for (const uriQuery of [
    ["ep=a"],
    ["ep=a", "lwm2m=one"],
    ["lwm2m=1.0"],
    ["ep=", "lwm2m=1.1"],
    ["ep", "lwm2m=1.1"],
    ["ep=a\0b", "lwm2m=1.1"],
    ["ep=\x1b[2Ja", "lwm2m=1.1"],
    [`ep=${"é".repeat(128)}`, "lwm2m=1.1"],
    ["ep=a", "ep=b", "lwm2m=1.1"],
    ["ep=a", "lwm2m=1.1", "lt=0"],
    ["ep=a", "lwm2m=1.1", "lt=-1"],
    ["ep=a", "lwm2m=1.1", "lt=1e3"],
    ["ep=a", "lwm2m=1.1", "lt=2147483649"],
    ["ep=a", "lwm2m=1.1", "b=X"],
    ["ep=a", "lwm2m=1.1", "b=UU"],
    ["ep=a", "lwm2m=1.1", "b=Q"],
  ])
    assert.equal(
      refusal(() => register(uriQuery)),
      CODE.badRequest,
      uriQuery.join("&"),
    );
  assert.equal(
    refusal(() => register(["ep=a", "lwm2m=1.1"], "</5/0")),
    CODE.badRequest,
  );
  assert.equal(
    refusal(() => register(["ep=a", "lwm2m=1.1"], "")),
    CODE.badRequest,
  );
  assert.equal(
    refusal(() => register(["ep=a", "lwm2m=1.1"], "{}", 50)),
    CODE.unsupportedContentFormat,
  );
});
test("the number of links is bounded", () => {
  const payload = encodeUtf8(Array.from({ length: 11 }, (_, id) => `</4/${id}>`).join(","));
  const request = { uriQuery: ["ep=a", "lwm2m=1.1"], contentFormat: 40, payload };
  assert.equal(
    refusal(() => decodeRegister(request, { maxLinks: 10 })),
    CODE.badRequest,
  );
});
test("an Update changes what it names and leaves the rest", () => {
  const before = register(["ep=a", "lwm2m=1.1", "lt=60", "Q"]);
  const update = decodeUpdate({ uriQuery: ["lt=120"], contentFormat: undefined, payload: EMPTY });
  assert.deepEqual(applyUpdate(before, update), { ...before, lifetimeS: 120 });
  const awake = decodeUpdate({ uriQuery: ["b=U"], contentFormat: 40, payload: encodeUtf8("</3/0>") });
  const after = applyUpdate(before, awake);
  assert.deepEqual([after.queueMode, after.objects.objects.length], [false, 1]);
});
test("a client's requests: where they go and what they carry", () => {
  const objects = { ...NO_OBJECTS, objects: [{ objectId: 5, version: "1.1", instances: [0] }] };
  const registration = { ...register(["ep=a", "lwm2m=1.0"]), objects };
  const request = encodeRegister(registration);
  assert.deepEqual([request.code, request.uriPath, request.contentFormat], [METHOD.post, ["rd"], 40]);
  assert.equal(decodeUtf8(request.payload), '</>;rt="oma.lwm2m",</5>;ver="1.1",</5/0>');
  const later = encodeRegister({ ...registration, lwm2mVersion: "1.1" });
  assert.equal(decodeUtf8(later.payload), '</>;rt="oma.lwm2m",</5>;ver=1.1,</5/0>');
  const update = encodeUpdate(["rd", "x"], { lifetimeS: 5 }, "1.1");
  assert.deepEqual([update.uriPath, update.uriQuery, update.contentFormat], [["rd", "x"], ["lt=5"], undefined]);
  assert.deepEqual(encodeDeregister(["rd", "x"]).code, METHOD.delete);
});
test("a location leads back to its registration, and no other path does", () => {
  assert.equal(registrationIdIn(locationOf("k3")), "k3");
  for (const path of [["rd"], ["rd", ""], ["rd", "a", "b"], ["bs", "a"], []])
    assert.equal(registrationIdIn(path), undefined);
});
test("what a client must not send is refused before it is sent", () => {
  const registration = register(["ep=a", "lwm2m=1.0"]);
  for (const wrong of [
    { endpoint: "" },
    { endpoint: undefined },
    { endpoint: "a".repeat(253) },
    { lifetimeS: 0 },
    { lifetimeS: 1.5 },
  ])
    assert.throws(() => encodeRegister({ ...registration, ...wrong }), UsageError);
});
test("what was encoded is decoded, in every version", () => {
  const instances = fc.uniqueArray(fc.nat(65_534), { maxLength: 3 }).map((ids) => ids.sort((a, b) => a - b));
  const object = fc.record(
    { objectId: fc.nat(65_534), version: fc.constantFrom(undefined, "1.0", "1.10"), instances },
    { noNullPrototype: true },
  );
  const registration: fc.Arbitrary<Registration> = fc.record(
    {
      endpoint: fc.string({ minLength: 1, maxLength: 30 }),
      lwm2mVersion: fc.constantFrom(...LWM2M_VERSIONS),
      lifetimeS: fc.integer({ min: 1, max: 2 ** 31 }),
      binding: fc.constantFrom("U", "S", "US"),
      queueMode: fc.boolean(),
      smsNumber: fc.constantFrom(undefined, "491234"),
      objects: fc.record(
        {
          rootSegments: fc.constantFrom([], ["lwm2m"], ["a", "b"]),
          contentFormats: fc.constantFrom([], [112], [60, 112]),
          objects: fc
            .uniqueArray(object, { maxLength: 5, selector: ({ objectId }) => objectId })
            .map((objects) => objects.sort((a, b) => a.objectId - b.objectId)),
        },
        { noNullPrototype: true },
      ),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(registration, (value) => {
      assert.deepEqual(decodeRegister(encodeRegister(value)), value);
    }),
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { FirmwareReport } from "@airlift/protocol/api/schemas";
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption, uriPath } from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import { readRequest } from "@airlift/protocol/lwm2m/operations";
import { pathOf } from "@airlift/protocol/lwm2m/path";
import { encodePayload } from "@airlift/protocol/lwm2m/payload";
import { exampleRegistration } from "../store/scratch-stores.ts";
import { DeviceLink } from "./device-link.ts";
import { DoorRequests } from "./device-requests.ts";
import type { DevicePeer } from "./door.ts";

const SENML_JSON = 110;

/** A link to a device that answers a read of /3/0 or /5/0 with SenML-JSON of these values. */
function linkTo(values: Readonly<Record<string, unknown>>, onRead: (path: string) => void = () => {}): DeviceLink {
  const request = async ({ options }: CoapRequest) => {
    const base = `/${uriPath(options).join("/")}/`;
    onRead(base);
    const records = Object.entries(values)
      .filter(([path]) => path.startsWith(base))
      .map(([path, value]) => (typeof value === "string" ? { n: path, vs: value } : { n: path, v: value }));
    return createResponse(CODE.content, encodeUtf8(JSON.stringify(records)), [
      uintOption(OPTION.contentFormat, SENML_JSON),
    ]);
  };
  return new DeviceLink(new DoorRequests({ find: () => ({ request }) as unknown as DevicePeer }));
}

const HEALTHY = { "/3/0/3": "1.0.0", "/5/0/3": 0, "/5/0/5": 1, "/5/0/8/0": 0, "/5/0/8/1": 2, "/5/0/9": 2 };

test("object 5: State, Update Result, protocols and delivery method are read as the API shows them", async () => {
  const { firmware, version } = await linkTo(HEALTHY).readReport(exampleRegistration("pump-7"));
  assert.equal(version, "1.0.0");
  assert.deepEqual(FirmwareReport.parse(firmware), {
    state: 0,
    result: 1,
    packageName: null,
    packageVersion: null,
    protocols: [0, 2],
    deliveryMethod: 2,
  });
});

test("objects 3 and 4: battery, clock, cell and signal are read; what cannot be is not known", async () => {
  const device = { ...HEALTHY, "/3/0/9": 80, "/3/0/14": "+02:00", "/3/0/15": "Europe/Oslo" };
  const { battery, utcOffset, timezone } = await linkTo(device).readReport(exampleRegistration("pump-7"));
  assert.deepEqual({ battery, utcOffset, timezone }, { battery: 80, utcOffset: "+02:00", timezone: "Europe/Oslo" });
  const onAir = exampleRegistration("pump-7", {
    objects: { rootSegments: [], contentFormats: [], objects: [{ objectId: 4, version: "1.0", instances: [0] }] },
  });
  const radio = { "/4/0/0": 6, "/4/0/2": -97, "/4/0/8": 268_435_455 };
  assert.deepEqual(await linkTo(radio).readRadio(onAir), { cell: "268435455", signal: -97 });
  assert.deepEqual(await linkTo({ ...radio, "/4/0/2": 99, "/4/0/8": -1 }).readRadio(onAir), {
    cell: null,
    signal: null,
  });
  assert.equal(await linkTo(radio).readRadio(exampleRegistration("pump-7")), undefined);
});

for (const [path, value] of [
  ["/5/0/3", 4],
  ["/5/0/3", -1],
  ["/5/0/5", 256],
  ["/5/0/5", -1],
] as const)
  test(`object 5: a device that says ${path} = ${value} is not believed`, async () => {
    const link = linkTo({ ...HEALTHY, [path]: value });
    await assert.rejects(link.readReport(exampleRegistration("pump-7")), { code: "NO_STATE" });
  });

for (const [name, format] of [
  ["TLV", CONTENT_FORMATS.tlv],
  ["SenML CBOR", CONTENT_FORMATS.senmlCbor],
  ["SenML JSON", CONTENT_FORMATS.senmlJson],
] as const)
  test(`lesson 7: /5/0/8 in ${name} is understood, and /5/0/6 and 7 may be absent`, async () => {
    const request = async ({ options }: CoapRequest) => {
      const [objectId, instance, resource] = uriPath(options).map(Number);
      if (objectId === 3 || instance === undefined) return createResponse(CODE.notFound);
      // A device that answers no read of a whole instance: each resource by itself, as text but for the multiple one.
      if (resource === undefined) return createResponse(CODE.methodNotAllowed);
      const base = pathOf(5, 0, resource);
      const value = new Map([
        [3, "0"],
        [5, "1"],
        [9, "0"],
      ]).get(resource);
      if (value !== undefined)
        return createResponse(CODE.content, encodeUtf8(value), [uintOption(OPTION.contentFormat, 0)]);
      if (resource !== 8) return createResponse(CODE.notFound);
      const entries = [0, 4].map((value, index) => ({ path: [...base, index], value: BigInt(value) }));
      const payload = encodePayload(format, entries, { base, models: STANDARD_MODELS });
      return createResponse(CODE.content, payload, [uintOption(OPTION.contentFormat, format)]);
    };
    const link = new DeviceLink(new DoorRequests({ find: () => ({ request }) as unknown as DevicePeer }));
    const { firmware } = await link.readReport(exampleRegistration("pump-7"));
    assert.deepEqual(firmware?.protocols, [0, 4]);
    assert.deepEqual([firmware?.packageName, firmware?.packageVersion], [null, null]);
  });

test("a device without a session or connection is told of at once, not after a timeout", async () => {
  const requests = new DoorRequests({ find: () => undefined });
  const device = exampleRegistration("pump-7", { transport: "dtls" });
  const gone = {
    name: "EnvironmentError",
    code: "DEVICE_DISCONNECTED",
    facts: { endpoint: "pump-7", transport: "dtls" },
  };
  await assert.rejects(requests.request(device, readRequest(pathOf(3, 0))), gone);
  await assert.rejects(
    requests.observe(device, readRequest(pathOf(3, 0)), () => {}),
    gone,
  );
});

test("the result is read before the version: a device that installs in between does not seem to have fallen back", async () => {
  const asked: string[] = [];
  const link = linkTo(HEALTHY, (path) => asked.push(path));
  await link.readReport(exampleRegistration("pump"));
  assert.deepEqual(asked.slice(0, 2), ["/5/0/", "/3/0/"]);
});

/** An operator's own object: loaded from a folder, it gives a device's values their names and types. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { DeviceValue } from "@airlift/protocol/api/operations";
import type { Problem } from "@airlift/protocol/api/schemas";
import { CODE } from "@airlift/protocol/coap/codes";
import { createRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption, uriPath } from "@airlift/protocol/coap/options";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { openCoapUdp } from "@airlift/runtime/coap-udp";
import { udpPeer } from "@airlift/runtime/udp";
import { loadConfig } from "@airlift/server/config";
import { startServer } from "@airlift/server/main";
import { pino } from "pino";

const VALVE = `<?xml version="1.0"?><LWM2M><Object ObjectType="MODefinition"><Name>Valve</Name><ObjectID>26241</ObjectID>
<ObjectURN>urn:oma:lwm2m:x:26241</ObjectURN><MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources><Item ID="1"><Name>Opening</Name><Operations>RW</Operations><MultipleInstances>Single</MultipleInstances>
<Mandatory>Mandatory</Mandatory><Type>Integer</Type><RangeEnumeration>0..100</RangeEnumeration><Units>/100</Units></Item></Resources>
</Object></LWM2M>`;

test("serve --models: names, types, units and ranges of an operator's object", { timeout: 60_000 }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "models-"));
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "26241.xml"), VALVE);
  writeFileSync(join(folder, "broken.xml"), "<LWM2M>");
  const flags = {
    dataDir: join(folder, "data"),
    coapPort: 0,
    coapTcpPort: "off",
    coapsTcpPort: "off",
    httpPort: 0,
    noAuth: true,
    hosts: ["127.0.0.1"],
    modelsDir: folder,
  };
  const config = loadConfig({ flags, environment: process.env });
  const server = await startServer(config, pino({ level: "silent" }));
  context.after(() => server.close());
  const coapPort = Number(/^coap:.*:(\d+)$/.exec(server.coapUrls.find((url) => url.startsWith("coap:")) ?? "")?.[1]);
  const device = await openCoapUdp({ host: "127.0.0.1" });
  context.after(() => device.close());
  device.serve(({ options }) => {
    if (uriPath(options).join("/") !== "26241/0/1") return createResponse(CODE.notFound);
    return createResponse(CODE.content, encodeUtf8("55"), [uintOption(OPTION.contentFormat, 0)]);
  });
  const links = { payload: encodeUtf8("</26241/0>"), options: [uintOption(OPTION.contentFormat, 40)] };
  const register = createRequest("post", "/rd?ep=valve&lt=60&lwm2m=1.1&b=U", links);
  assert.equal((await device.request(udpPeer("127.0.0.1", coapPort), register)).code, CODE.created);
  const place = `${server.httpUrl}/api/v1/devices/valve/resources/Valve/0/Opening`;
  const { values } = (await (await fetch(place)).json()) as { values: DeviceValue[] };
  assert.deepEqual(
    values.flatMap(({ path, name, type, unit, value }) => [path, name, type, unit, value]),
    ["/26241/0/1", "Opening", "integer", "/100", 55],
  );
  const body = JSON.stringify({ value: 101 });
  const refused = await fetch(place, { method: "PUT", body, headers: { "content-type": "application/json" } });
  assert.deepEqual([refused.status, ((await refused.json()) as Problem).code], [422, "VALUE_RANGE"]);
  const metrics = await (await fetch(`${server.httpUrl}/metrics`)).text();
  assert.match(metrics, /airlift_notifications_dropped_total 0/);
});

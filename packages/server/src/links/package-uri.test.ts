import assert from "node:assert/strict";
import { test } from "node:test";
import type { Transport } from "../fleet/sender.ts";
import { exampleRegistration } from "../store/scratch-stores.ts";
import { type PackageUriOptions, PackageUris } from "./package-uri.ts";

const PORTS = { udp: 5683, dtls: 5684, tcp: 5685, tls: 5686 };
const order = { updateId: "u1", packageId: "i1" };
const uris = (options: Partial<PackageUriOptions> = {}) =>
  new PackageUris(() => ({
    publicHost: null,
    http: { scheme: "http", port: 8080 },
    portOf: (transport) => PORTS[transport],
    ...options,
  }));
const at = (transport: Transport, address = "192.0.2.7:5000") => exampleRegistration("pump", { transport, address });

test("a device fetches first where it registered, and one that proves who it is never in the clear", () => {
  const schemes = (["udp", "dtls", "tcp", "tls"] as const).map((transport) => uris().schemesFor(at(transport)));
  assert.deepEqual(schemes, [
    ["coap", "coap+tcp"],
    ["coaps", "coaps+tcp"],
    ["coap+tcp", "coap"],
    ["coaps+tcp", "coaps"],
  ]);
});

test("over HTTP only where it can be reached, and for secured devices only with TLS", () => {
  const near = { publicHost: "fw.example" };
  assert.deepEqual(uris(near).schemesFor(at("udp")), ["coap", "coap+tcp", "http"]);
  assert.deepEqual(uris(near).schemesFor(at("dtls")), ["coaps", "coaps+tcp"]);
  const https = { ...near, http: { scheme: "https", port: 8443 } } as const;
  assert.deepEqual(uris(https).schemesFor(at("dtls")), ["coaps", "coaps+tcp", "https"]);
  assert.deepEqual(uris().schemesFor(at("udp", "[::1]:5000")), ["coap", "coap+tcp", "http"]);
});

test("doors that are not open are not named", () => {
  const portOf = (transport: Transport) => (transport === "udp" || transport === "tls" ? PORTS[transport] : undefined);
  assert.deepEqual(uris({ portOf }).schemesFor(at("udp")), ["coap"]);
  assert.deepEqual(uris({ portOf }).schemesFor(at("dtls")), ["coaps+tcp"]);
});

test("a Package URI has the scheme's own port, and brackets around an IPv6 address", async () => {
  const named = uris({ publicHost: "fw.example", http: { scheme: "https", port: 8443 } });
  const found = ["coap", "coaps", "coap+tcp", "coaps+tcp", "https"] as const;
  assert.deepEqual(await Promise.all(found.map((scheme) => named.uriFor(order, scheme, at("tls")))), [
    "coap://fw.example:5683/fw/i1?u=u1",
    "coaps://fw.example:5684/fw/i1?u=u1",
    "coap+tcp://fw.example:5685/fw/i1?u=u1",
    "coaps+tcp://fw.example:5686/fw/i1?u=u1",
    "https://fw.example:8443/firmware/i1?u=u1",
  ]);
  assert.equal(
    await uris({ publicHost: "2001:db8::1" }).uriFor(order, "coaps", at("dtls")),
    "coaps://[2001:db8::1]:5684/fw/i1?u=u1",
  );
});

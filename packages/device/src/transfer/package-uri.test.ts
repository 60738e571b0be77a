import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parsePackageUri } from "./package-uri.ts";

test("the parts of a Package URI", () => {
  assert.deepEqual(parsePackageUri("coap://10.0.0.1/fw/a?x=1"), {
    scheme: "coap",
    host: "10.0.0.1",
    port: 5683,
    pathAndQuery: "/fw/a?x=1",
  });
  assert.deepEqual(parsePackageUri("HTTPS://files.example:8443"), {
    scheme: "https",
    host: "files.example",
    port: 8443,
    pathAndQuery: "/",
  });
  assert.equal(parsePackageUri("coap+tcp://[2001:db8::1]:1/x")?.host, "2001:db8::1");
});

test("row 11: what is no URI, or of an unknown scheme", () => {
  const wrong = ["ftp://x/y", "/fw/1", "coap:/x", "coap://", "coap://x:99999/y", "coap://x/y z", "coap://u@x/y", "x"];
  for (const uri of wrong) assert.equal(parsePackageUri(uri), undefined, uri);
});

test("any text at all is a URI or is not", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webUrl()), (text) => {
      const parts = parsePackageUri(text);
      assert.ok(
        parts === undefined || (parts.host.length > 0 && parts.port >= 1 && parts.pathAndQuery.startsWith("/")),
      );
    }),
  );
});

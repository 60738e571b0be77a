import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type RawDeviceOptions, readDeviceOptions } from "./device-options.ts";

const WELL: RawDeviceOptions = {
  endpoint: "pump-1",
  server: "coap://127.0.0.1",
  version: "1.0.0",
  lifetime: "300",
  lwm2m: "1.1",
  allowUnsigned: true,
  manufacturer: "Airlift",
  model: "virtual",
  methods: "both",
  protocols: "coap",
  loss: "0",
  ackTimeout: "2000",
};

test("a manufacturer and a model that no image could be for are refused, both at once", () => {
  const most = "Ü".repeat(64);
  const { manufacturer, model } = readDeviceOptions({ ...WELL, manufacturer: most, model: "a b" });
  assert.deepEqual([manufacturer, model], [most, "a b"]);
  for (const wrong of ["", "x".repeat(65), "A\u0000", "A\nB", "A\u009b31m"])
    assert.throws(
      () => readDeviceOptions({ ...WELL, manufacturer: wrong, model: wrong }),
      (error) => {
        assert.ok(error instanceof UsageError);
        assert.deepEqual(error.facts["mistakes"], [
          "--manufacturer: 1 … 64 characters without control characters",
          "--model: 1 … 64 characters without control characters",
        ]);
        return true;
      },
      JSON.stringify(wrong),
    );
});

/** Fuzz targets: a device that is bootstrapped by anybody, and a server that bootstraps any device. */
import assert from "node:assert/strict";
import { accountOf } from "@airlift/device/account";
import { METHOD } from "@airlift/protocol/coap/codes";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { entriesOfAccount, readAccounts } from "@airlift/protocol/lwm2m/bootstrap/accounts";
import { bootstrapInstanceIn, type Configuration, written } from "@airlift/protocol/lwm2m/bootstrap/configuration";
import { decodeBootstrapRequest } from "@airlift/protocol/lwm2m/bootstrap/messages";
import { Provisioning } from "@airlift/protocol/lwm2m/bootstrap/provisioning";
import { BootstrapSequence } from "@airlift/protocol/lwm2m/bootstrap/sequence";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import { encodePayload } from "@airlift/protocol/lwm2m/payload";
import { requestOf } from "@airlift/protocol/lwm2m/request";
import type { FuzzTarget } from "../target.ts";

const FACTORY: Configuration = written([], {
  path: [0, 0],
  entries: [
    { path: [0, 0, 0], value: "coaps://bootstrap.example" },
    { path: [0, 0, 1], value: true },
  ],
});

const ACCOUNT = {
  uri: "coaps://fleet.example",
  security: { mode: "psk", identity: "node-1", key: encodeUtf8("sixteen octets!!") },
  shortServerId: 1,
  lifetimeS: 300,
  binding: "U",
} as const;

const { security, server } = entriesOfAccount(ACCOUNT, { securityInstance: 1, serverInstance: 0 });
const PATHS = ["", "0", "1", "0/1", "1/0", "0/1/5", "bs", "3", "0/0", "65535"] as const;
const FORMATS = [
  CONTENT_FORMATS.tlv,
  CONTENT_FORMATS.senmlCbor,
  CONTENT_FORMATS.lwm2mCbor,
  110,
  11_543,
  42,
  0,
] as const;

/** One operation: method, path, format, length of the payload, payload. */
function operation(method: number, path: number, format: number, payload: Uint8Array): Uint8Array {
  return Uint8Array.of(method, path, format, payload.length, ...payload);
}

const write = (path: number, format: number): Uint8Array => {
  const base = (PATHS[path] ?? "").split("/").map(Number);
  const payload = encodePayload(FORMATS[format] ?? 0, base[0] === 0 ? security : server, {
    base,
    models: STANDARD_MODELS,
  });
  return operation(METHOD.put, path, format, payload);
};

const joined = (...parts: Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));
const FINISH = operation(METHOD.post, 6, 0, new Uint8Array());

export const bootstrapTargets: readonly FuzzTarget[] = [
  {
    name: "bootstrap-device",
    corpus: [0, 1, 2].map((format) =>
      joined(operation(METHOD.delete, 1, 0, new Uint8Array()), write(3, format), write(4, format), FINISH),
    ),
    run: (bytes) => {
      const device = new Provisioning(FACTORY, { lwm2mVersion: "1.1", check: () => [] });
      for (let at = 0; at + 4 <= bytes.length; at += 4 + (bytes[at + 3] ?? 0)) {
        const [method = 0, path = 0, format = 0, length = 0] = bytes.subarray(at, at + 4);
        const uriPath = (PATHS[path % PATHS.length] ?? "").split("/").filter((part) => part !== "");
        const contentFormat = FORMATS[format % FORMATS.length];
        const payload = bytes.subarray(at + 4, at + 4 + length);
        const accept = method === METHOD.get && format > 127 ? CONTENT_FORMATS.linkFormat : undefined;
        device.answer(requestOf({ code: (method % 7) + 1, uriPath, contentFormat, payload, accept }));
      }
      const { accounts, mistakes } = readAccounts(device.draft);
      for (const account of accounts) accountOf(account);
      assert.ok(mistakes.length > 0 || accounts.length > 0);
      const size = device.draft.reduce((sum, { value }) => sum + (value instanceof Uint8Array ? value.length : 0), 0);
      assert.ok(size <= 16_384 && device.draft.length <= 8_192);
      // Only a Write of that very instance takes the bootstrap server's account away.
      if (!bytes.includes(METHOD.put)) assert.equal(bootstrapInstanceIn(device.draft), 0);
    },
  },
  {
    name: "bootstrap-sequence",
    corpus: [encodeUtf8('A</>;lwm2m=1.1,</0/0>,</0/1>;ssid=1;uri="coaps://a",</1/0>;ssid=1'), encodeUtf8("DDDDDD")],
    run: (bytes) => {
      const sequence = new BootstrapSequence({ account: ACCOUNT, preferredFormat: bytes[0] });
      let [output] = sequence.step({ kind: "start" }, 0);
      for (let at = 0; at < bytes.length && output?.kind === "ask"; at += 1) {
        const payload = bytes.subarray(at + 1);
        [output] = sequence.step({ kind: "answered", number: output.number, code: bytes[at] ?? 0, payload }, at);
      }
    },
  },
  {
    name: "bootstrap-request",
    corpus: [encodeUtf8("ep=node-1&pct=112"), encodeUtf8("ep=a")],
    run: (bytes) => {
      const uriQuery = Buffer.from(bytes).toString("latin1").split("&");
      try {
        decodeBootstrapRequest(requestOf({ code: METHOD.post, uriPath: ["bs"], uriQuery }));
      } catch (error) {
        if (!(error instanceof PeerError)) throw error;
      }
    },
  },
];

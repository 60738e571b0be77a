/** The two ends of bootstrapping against each other, and each against one that bends the rules (LwM2M Core 1.2 §6.1). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE, METHOD } from "../../coap/codes.ts";
import { decodeUtf8, encodeUtf8 } from "../../lib/bytes.ts";
import { reachable } from "../../machine/table.ts";
import { CONTENT_FORMATS } from "../content-formats.ts";
import { STANDARD_MODELS } from "../objects/standard.ts";
import { type Path, parsePath } from "../path.ts";
import { encodePayload } from "../payload.ts";
import { type Lwm2mRequest, requestOf } from "../request.ts";
import { entriesOfAccount, readAccounts } from "./accounts.ts";
import { BOOTSTRAP_CLIENT, BootstrapClient, type BootstrapClientOutput, DEFAULT_BOOTSTRAP_CLIENT } from "./client.ts";
import { type Configuration, EMPTY_CONFIGURATION, written } from "./configuration.ts";
import {
  bootstrapDelete,
  bootstrapDiscover,
  bootstrapFinish,
  bootstrapPackRequest,
  bootstrapRead,
  bootstrapRequest,
  bootstrapWrite,
  decodeBootstrapOperation,
  decodeBootstrapRequest,
} from "./messages.ts";
import { Provisioning, type ProvisioningAnswer } from "./provisioning.ts";
import { BOOTSTRAP_SEQUENCE, BootstrapSequence, type NewAccount, type SequenceOutput } from "./sequence.ts";

const KEY = encodeUtf8("sixteen octets!!");
const ACCOUNT: NewAccount = {
  uri: "coaps://fleet.example:5684",
  security: { mode: "psk", identity: "node-1", key: KEY },
  shortServerId: 7,
  lifetimeS: 300,
  binding: "U",
};

/** As a factory leaves a device: the bootstrap server's account alone, in this instance. */
function factory(instance = 0): Configuration {
  return written(EMPTY_CONFIGURATION, {
    path: [0, instance],
    entries: [
      { path: [0, instance, 0], value: "coaps://bootstrap.example" },
      { path: [0, instance, 1], value: true },
    ],
  });
}

const provisioning = (configuration = factory(), lwm2mVersion = "1.1"): Provisioning =>
  new Provisioning(configuration, { lwm2mVersion, check: () => [] });

const codeOf = ({ code }: ProvisioningAnswer): string => `${code >> 5}.${String(code & 31).padStart(2, "0")}`;

/** Runs a sequence against `answer` until it ends; what was asked, as "PUT /0/1", and the end. */
function run(
  sequence: BootstrapSequence,
  answer: (request: Lwm2mRequest) => Pick<ProvisioningAnswer, "code" | "payload"> | undefined,
): { asked: string[]; end: SequenceOutput | undefined } {
  const asked: string[] = [];
  let nowMs = 0;
  let outputs = sequence.step({ kind: "start" }, nowMs);
  for (let count = 0; count < 50; count += 1) {
    const [output] = outputs;
    if (output === undefined) {
      if (sequence.wakeAtMs === undefined) return { asked, end: undefined };
      nowMs = sequence.wakeAtMs;
      outputs = sequence.step({ kind: "wake" }, nowMs);
    } else if (output.kind !== "ask") return { asked, end: output };
    else {
      const { request, number } = output;
      const method = Object.entries(METHOD).find(([, code]) => code === request.code)?.[0] ?? "";
      asked.push(`${method.toUpperCase()} /${request.uriPath.join("/")}`);
      const given = answer(request);
      outputs = sequence.step(given ? { kind: "answered", number, ...given } : { kind: "silent", number }, nowMs);
    }
  }
  return assert.fail("the sequence does not end");
}

for (const [version, preferredFormat] of [
  ["1.0", undefined],
  ["1.1", CONTENT_FORMATS.senmlCbor],
  ["1.2", CONTENT_FORMATS.lwm2mCbor],
] as const) {
  test(`§6.1: from a factory credential to an account, LwM2M ${version}`, () => {
    const device = provisioning(factory(), version);
    const formats: (number | undefined)[] = [];
    const { asked, end } = run(new BootstrapSequence({ account: ACCOUNT, preferredFormat }), (request) => {
      if (request.code === METHOD.put) formats.push(request.contentFormat);
      return device.answer(request);
    });
    assert.deepEqual(asked, ["GET /", "DELETE /0", "DELETE /1", "PUT /0/1", "PUT /1/0", "POST /bs"]);
    assert.deepEqual(end, { kind: "done" });
    assert.deepEqual(new Set(formats), new Set([preferredFormat ?? CONTENT_FORMATS.tlv]));
    const { accounts, mistakes } = readAccounts(device.draft);
    assert.deepEqual(mistakes, []);
    assert.equal(accounts[0]?.uri, ACCOUNT.uri);
    assert.deepEqual(accounts[0]?.security, ACCOUNT.security);
    assert.equal(accounts[0]?.lifetimeS, 300);
  });
}

test("§6.1.7.2: a Discover shows whose accounts there are; the bootstrap server's own place stays free", () => {
  const device = provisioning(factory(1));
  const links = device.answer(bootstrapDiscover([]));
  assert.equal(decodeUtf8(links.payload), "</>;lwm2m=1.1,</0/1>,</1>");
  const { asked, end } = run(new BootstrapSequence({ account: ACCOUNT, preferredFormat: 112 }), (request) =>
    device.answer(request),
  );
  assert.ok(asked.includes("PUT /0/0"));
  assert.deepEqual(end, { kind: "done" });
  const text = decodeUtf8(device.answer(bootstrapDiscover(parsePath("/0"))).payload);
  assert.equal(text, '</>;lwm2m=1.1,</0/0>;ssid=7;uri="coaps://fleet.example:5684",</0/1>');
});

test("§6.1.7.3 and §6.1.7.6: object 0 is read by nobody, its bootstrap account is deleted by nobody", () => {
  const device = provisioning();
  assert.equal(codeOf(device.answer(bootstrapRead([0]))), "4.05");
  assert.equal(codeOf(device.answer(bootstrapRead([0, 0]))), "4.05");
  assert.equal(codeOf(device.answer(bootstrapDelete([0, 0]))), "4.00");
  assert.equal(codeOf(device.answer(bootstrapDelete([]))), "2.02");
  assert.equal(codeOf(device.answer(bootstrapDelete([0, 3]))), "4.04");
  assert.deepEqual(device.draft, factory());
});

test("a Finish without a whole account is 4.06 and says why, and bootstrapping goes on", () => {
  const device = provisioning();
  const refused = device.answer(bootstrapFinish());
  assert.equal(codeOf(refused), "4.06");
  assert.equal(decodeUtf8(refused.payload), "there is no server account");
  const write = (path: Path, entries: Configuration) => {
    const contentFormat = CONTENT_FORMATS.senmlCbor;
    const payload = encodePayload(contentFormat, entries, { base: path, models: STANDARD_MODELS });
    return codeOf(device.answer(bootstrapWrite(path, { contentFormat, payload })));
  };
  const { security, server } = entriesOfAccount(ACCOUNT, { securityInstance: 1, serverInstance: 0 });
  assert.equal(write([0, 1], security), "2.04");
  assert.match(decodeUtf8(device.answer(bootstrapFinish()).payload) ?? "", /no instance of object 1 for server 7/);
  assert.equal(write([1, 0], server.slice(1)), "2.04", "without a Short Server ID");
  assert.equal(codeOf(device.answer(bootstrapFinish())), "4.06");
  assert.equal(write([1, 0], server), "2.04", "an instance is replaced as a whole");
  assert.equal(codeOf(device.answer(bootstrapFinish())), "2.04");
});

test("writes that do not fit are refused, and change nothing", () => {
  const device = provisioning();
  const opaque = CONTENT_FORMATS.opaque;
  const write = (path: Path, payload: Uint8Array, contentFormat: number = opaque) =>
    codeOf(device.answer(bootstrapWrite(path, { contentFormat, payload })));
  assert.equal(write([5, 0], Uint8Array.of(1)), "4.00", "one value for an instance");
  assert.equal(write([5, 0, 0], Uint8Array.of(1)), "4.04", "object 5 is no matter of bootstrapping");
  assert.equal(write([0, 1, 5], new Uint8Array(20_000)), "4.13");
  assert.equal(write([0, 1], Uint8Array.of(1), 999), "4.15");
  assert.equal(write([0, 1], Uint8Array.of(0xff, 0xff), CONTENT_FORMATS.tlv), "4.00");
  assert.equal(write([0, 1], Uint8Array.of(0x80), CONTENT_FORMATS.senmlCbor), "4.00", "an empty list");
  for (let instance = 1; instance < 8; instance += 1) assert.equal(write([0, instance, 5], KEY), "2.04");
  assert.equal(write([0, 8, 5], KEY), "4.13", "more accounts than a device keeps");
  assert.equal(codeOf(device.answer(requestOf({ code: METHOD.post, uriPath: ["3", "0", "4"] }))), "4.05");
  assert.equal(codeOf(device.answer(requestOf({ code: METHOD.delete, uriPath: ["x"] }))), "4.04");
});

test("a pack becomes the configuration as a whole, or not at all", () => {
  const device = provisioning();
  const { security, server } = entriesOfAccount(ACCOUNT, { securityInstance: 1, serverInstance: 0 });
  const contentFormat = CONTENT_FORMATS.senmlCbor;
  const pack = (entries: Configuration) => ({
    contentFormat,
    payload: encodePayload(contentFormat, entries, { base: [], models: STANDARD_MODELS }),
  });
  assert.throws(() => device.unpack(pack(security)), { code: "BOOTSTRAP" });
  assert.deepEqual(device.draft, factory());
  device.unpack(pack([...security, ...server]));
  assert.equal(readAccounts(device.draft).accounts.length, 1);
});

test("the sequence: a format that is refused gives way to the next, silence is asked again, and ends", () => {
  const device = provisioning();
  const picky = run(new BootstrapSequence({ account: ACCOUNT, preferredFormat: 112 }), (request) =>
    request.contentFormat === 112
      ? { code: CODE.unsupportedContentFormat, payload: new Uint8Array() }
      : device.answer(request),
  );
  assert.deepEqual(picky.end, { kind: "done" });
  const silent = run(new BootstrapSequence({ account: ACCOUNT, preferredFormat: 112 }), () => undefined);
  assert.deepEqual(silent.asked, ["GET /", "GET /", "GET /"]);
  assert.deepEqual(silent.end, { kind: "failed", step: "discovering", code: 0, why: "no answer" });
  const refusing = run(new BootstrapSequence({ account: ACCOUNT, preferredFormat: 112 }), (request) =>
    request.code === METHOD.post
      ? { code: CODE.notAcceptable, payload: encodeUtf8("no\u0007 room") }
      : { code: CODE.changed, payload: new Uint8Array() },
  );
  assert.deepEqual(refusing.end, { kind: "failed", step: "finishing", code: CODE.notAcceptable, why: "no? room" });
  const stubborn = run(new BootstrapSequence({ account: ACCOUNT, preferredFormat: 112 }), () => ({
    code: CODE.methodNotAllowed,
    payload: new Uint8Array(),
  }));
  assert.deepEqual(stubborn.end, { kind: "failed", step: "writingSecurity", code: CODE.methodNotAllowed, why: "" });
});

test("an answer that comes late, or twice, changes nothing", () => {
  const sequence = new BootstrapSequence({ account: ACCOUNT, preferredFormat: undefined });
  const [first] = sequence.step({ kind: "start" }, 0);
  assert.equal(first?.kind, "ask");
  assert.equal(sequence.step({ kind: "silent", number: 1 }, 0).length, 0);
  assert.equal(sequence.step({ kind: "answered", number: 9, code: CODE.content, payload: KEY }, 1).length, 0);
  assert.equal(sequence.step({ kind: "answered", number: 1, code: CODE.content, payload: KEY }, 2)[0]?.kind, "ask");
  assert.equal(sequence.step({ kind: "answered", number: 1, code: CODE.content, payload: KEY }, 3).length, 0);
});

test("requests read back as they were written; queries and paths that make no sense are refused", () => {
  const asking = { endpoint: "node 1/ü", preferredFormat: 112 };
  assert.deepEqual(decodeBootstrapRequest(bootstrapRequest(asking)), asking);
  assert.deepEqual(decodeBootstrapRequest(bootstrapPackRequest(asking)), asking);
  for (const uriQuery of [["ep=a", "ep=b"], ["ep="], ["pct=x"], [`ep=${"x".repeat(256)}`], ["ep=\u0000"]])
    assert.throws(() => decodeBootstrapRequest(requestOf({ code: METHOD.post, uriPath: ["bs"], uriQuery })), {
      code: "BOOTSTRAP",
    });
  assert.throws(() => decodeBootstrapOperation(requestOf({ code: METHOD.put })), { code: "METHOD" });
  assert.throws(() => decodeBootstrapOperation(requestOf({ code: METHOD.delete, uriPath: ["0", "1", "2"] })), {
    code: "METHOD",
  });
});

// ---- the device's own course ----

const client = (): BootstrapClient =>
  new BootstrapClient({ ...DEFAULT_BOOTSTRAP_CLIENT, holdOffMs: 1_000, silenceMs: 60_000, random: () => 1 });
const kinds = (outputs: readonly BootstrapClientOutput[]): string[] => outputs.map(({ kind }) => kind);

test("tables: every state can be reached, and every one but an end leads on", () => {
  assert.deepEqual(reachable(BOOTSTRAP_CLIENT, "off"), new Set(Object.keys(BOOTSTRAP_CLIENT)));
  assert.deepEqual(reachable(BOOTSTRAP_SEQUENCE, "off"), new Set(Object.keys(BOOTSTRAP_SEQUENCE)));
  for (const [state, arrows] of Object.entries(BOOTSTRAP_CLIENT))
    if (state !== "off") assert.equal("close" in arrows, true, state);
});

test("a bare device holds off, asks, is given something, tries it, and settles", () => {
  const core = client();
  assert.deepEqual(core.step({ kind: "open", hasFormer: false, isUntried: false }, 0), []);
  assert.deepEqual(core.step({ kind: "wake" }, 999), []);
  assert.deepEqual(core.step({ kind: "wake" }, 1_000), [{ kind: "request", attempt: 1 }]);
  core.step({ kind: "answered", attempt: 1, isAccepted: true }, 1_100);
  core.step({ kind: "asked" }, 1_200);
  assert.equal(core.wakeAtMs, 61_200);
  assert.deepEqual(kinds(core.step({ kind: "finished" }, 1_300)), ["hangUp", "register"]);
  assert.deepEqual(kinds(core.step({ kind: "registered" }, 1_400)), ["commit"]);
  assert.equal(core.state, "settled");
  assert.deepEqual(core.step({ kind: "registered" }, 1_500), []);
});

test("a server that never finishes: with a former configuration back to it, without one again with growing pauses", () => {
  const bare = client();
  bare.step({ kind: "open", hasFormer: false, isUntried: false }, 0);
  bare.step({ kind: "wake" }, 1_000);
  bare.step({ kind: "answered", attempt: 1, isAccepted: true }, 2_000);
  assert.deepEqual(kinds(bare.step({ kind: "wake" }, 62_000)), ["hangUp", "retry"]);
  assert.deepEqual(bare.step({ kind: "wake" }, 67_000), [{ kind: "request", attempt: 2 }]);
  assert.deepEqual(bare.step({ kind: "answered", attempt: 1, isAccepted: true }, 67_001), [], "of the attempt before");
  const [, retry] = bare.step({ kind: "answered", attempt: 2, isAccepted: false }, 67_002);
  assert.deepEqual(retry, { kind: "retry", afterMs: 10_000 });

  const settled = client();
  settled.step({ kind: "open", hasFormer: true, isUntried: false }, 0);
  assert.deepEqual(kinds(settled.step({ kind: "unreachable", bootstraps: true }, 5)), ["unregister", "request"]);
  settled.step({ kind: "asked" }, 6);
  assert.deepEqual(kinds(settled.step({ kind: "wake" }, 60_006)), ["hangUp", "register"]);
  assert.equal(settled.state, "settled");
  assert.deepEqual(settled.step({ kind: "unreachable", bootstraps: false }, 70_000), [], "/1/x/16 says not to");
});

test("what cannot register is rolled back; a restart in the middle of a trial goes on with it", () => {
  const core = client();
  core.step({ kind: "open", hasFormer: true, isUntried: false }, 0);
  core.step({ kind: "wanted" }, 1);
  core.step({ kind: "finished" }, 2);
  assert.equal(core.state, "trying");
  assert.deepEqual(kinds(core.step({ kind: "unreachable", bootstraps: false }, 3)), [
    "unregister",
    "restore",
    "register",
  ]);
  assert.equal(core.state, "settled");
  const restarted = client();
  assert.deepEqual(kinds(restarted.step({ kind: "open", hasFormer: true, isUntried: true }, 0)), ["register"]);
  assert.equal(restarted.state, "trying");
  const bare = client();
  bare.step({ kind: "open", hasFormer: false, isUntried: true }, 0);
  assert.deepEqual(kinds(bare.step({ kind: "unreachable", bootstraps: true }, 3)), ["unregister", "restore", "retry"]);
});

/** The conformance matrix of the device management and reporting interfaces: each row is a test, and a line of docs/lwm2m.md. */
import assert from "node:assert/strict";
import { PULL_SCHEMES } from "@airlift/device/agent-options";
import { CONTENT_FORMATS as F } from "@airlift/protocol/lwm2m/content-formats";
import type { Lwm2mVersion } from "@airlift/protocol/lwm2m/registration";
import type { OperationBench } from "./operation-bench.ts";

/** One device of one version, and the format that a row asks for; `undefined`: the one that the server chooses. */
export interface Trial {
  readonly bench: OperationBench;
  readonly endpoint: string;
  readonly version: Lwm2mVersion;
  readonly format: number | undefined;
}

export interface OperationRow {
  readonly operation: string;
  /** Section of LwM2M Core 1.2. */
  readonly clause: string;
  readonly versions: readonly Lwm2mVersion[];
  /** Formats by version; a row without formats has one trial of each version. */
  readonly formats: (version: Lwm2mVersion) => readonly (number | undefined)[];
  run(trial: Trial): Promise<void>;
}

const ALL: readonly Lwm2mVersion[] = ["1.0", "1.1", "1.2"];
const LATER: readonly Lwm2mVersion[] = ["1.1", "1.2"];
const SEVERAL: Readonly<Record<Lwm2mVersion, readonly number[]>> = {
  "1.0": [F.tlv, F.lwm2mJson],
  "1.1": [F.tlv, F.lwm2mJson, F.senmlJson, F.senmlCbor],
  "1.2": [F.tlv, F.lwm2mJson, F.senmlJson, F.senmlCbor, F.lwm2mCbor],
};
const COMPOSITE = (version: Lwm2mVersion): readonly number[] =>
  SEVERAL[version].filter((format) => format !== F.tlv && format !== F.lwm2mJson);
const SINGLE = (version: Lwm2mVersion): readonly number[] => [
  F.text,
  ...(version === "1.0" ? [] : [F.cbor]),
  ...SEVERAL[version],
];
const CHOSEN = (): readonly undefined[] => [undefined];

export const target = ({ endpoint }: Pick<Trial, "endpoint">) => ({ endpoint, timeoutMs: 10_000 });

/** @throws what the operation throws, by its code and the device's. */
const refusal = (code: string, device?: string) => (error: unknown) => {
  const { code: found, facts } = error as { code: string; facts: Record<string, unknown> };
  assert.equal(found, code);
  if (device !== undefined) assert.equal(facts["code"], device);
  return true;
};

export const OPERATION_ROWS: readonly OperationRow[] = [
  {
    operation: "Read of a resource",
    clause: "6.3.1",
    versions: ALL,
    formats: SINGLE,
    run: async (trial) => {
      const answer = await trial.bench.operations.read(target(trial), ["/Device/0/Manufacturer"], trial.format);
      assert.equal(answer.format, trial.format);
      assert.deepEqual(
        answer.values.map(({ path, name, type, value }) => [path, name, type, value]),
        [["/3/0/0", "Manufacturer", "string", "Example"]],
      );
    },
  },
  {
    operation: "Read of an instance",
    clause: "6.3.1",
    versions: ALL,
    formats: (version) => SEVERAL[version],
    run: async (trial) => {
      const answer = await trial.bench.operations.read(target(trial), ["/5/0"], trial.format);
      assert.equal(answer.format, trial.format);
      const values = new Map(answer.values.map(({ path, value }) => [path, value]));
      assert.equal(values.get("/5/0/3"), 0);
      assert.equal(values.get("/5/0/8/1"), 1);
    },
  },
  {
    operation: "Read in the format chosen by version and `ct`",
    clause: "7.4",
    versions: ALL,
    formats: CHOSEN,
    run: async (trial) => {
      const answer = await trial.bench.operations.read(target(trial), ["/3/0"]);
      assert.equal(answer.format, trial.version === "1.0" ? F.tlv : F.senmlCbor);
    },
  },
  {
    operation: "Read refused: executable, absent, secret",
    clause: "6.3.1",
    versions: ALL,
    formats: CHOSEN,
    run: async (trial) => {
      const read = (path: string) => trial.bench.operations.read(target(trial), [path]);
      await assert.rejects(read("/3/0/Reboot"), refusal("NOT_READABLE"));
      await assert.rejects(read("/3/0/99"), refusal("DEVICE_REFUSED", "4.04"));
      await assert.rejects(read("/0/0"), refusal("DEVICE_REFUSED", "4.01"));
    },
  },
  {
    operation: "Write of a resource (replace)",
    clause: "6.3.3",
    versions: ALL,
    formats: (version) => [undefined, ...SINGLE(version)],
    run: async (trial) => {
      const { operations } = trial.bench;
      const write = (path: string, value: unknown) =>
        operations.write(target(trial), path, { given: { value }, mode: "replace", format: trial.format });
      assert.equal((await write("/3/0/UTC Offset", "+02:00")).code, "2.04");
      assert.equal((await write("/3/0/13", "2026-03-01T12:00:00Z")).code, "2.04");
      const { values } = await operations.read(target(trial), ["/3/0/14"]);
      assert.equal(values[0]?.value, "+02:00");
      await assert.rejects(write("/3/0/13", "noon"), refusal("VALUE_TYPE"));
      await assert.rejects(write("/3/0/0", "Other"), refusal("DEVICE_REFUSED", "4.05"));
    },
  },
  {
    operation: "Write of an instance (partial update)",
    clause: "6.3.3",
    versions: ALL,
    formats: (version) => [undefined, ...SEVERAL[version]],
    run: async (trial) => {
      const { operations } = trial.bench;
      const given = { value: { "Default Minimum Period": 1, "3": 60 } };
      assert.equal(
        (await operations.write(target(trial), "/1/0", { given, mode: "update", format: trial.format })).code,
        "2.04",
      );
      const { values } = await operations.read(target(trial), ["/1/0"]);
      assert.deepEqual(
        [values.find(({ path }) => path === "/1/0/2")?.value, values.find(({ path }) => path === "/1/0/3")?.value],
        [1, 60],
      );
      const none = { value: { "2": 0, "3": 0 } };
      await operations.write(target(trial), "/1/0", { given: none, mode: "update" });
    },
  },
  {
    operation: "Execute, with and without arguments",
    clause: "6.3.5",
    versions: ALL,
    formats: CHOSEN,
    run: async (trial) => {
      const { operations } = trial.bench;
      const run = (path: string, given = {}) => operations.execute(target(trial), { path, arguments: given });
      assert.equal((await run("/3/0/Reboot")).code, "2.04");
      assert.equal((await run("/3/0/4", { 0: "now", 3: null })).code, "2.04");
      await trial.bench.restarted(trial.endpoint);
      await assert.rejects(run("/3/0/0"), refusal("NOT_EXECUTABLE"));
      await assert.rejects(run("/5/0/2"), refusal("DEVICE_REFUSED", "4.05"));
    },
  },
  {
    operation: "Create and Delete, refused by a device whose instances are fixed",
    clause: "6.3.6, 6.3.7",
    versions: ALL,
    formats: CHOSEN,
    run: async (trial) => {
      const { operations } = trial.bench;
      const values = { "UTC Offset": "+01:00" };
      await assert.rejects(operations.create(target(trial), { path: "/3", values }), refusal("DEVICE_REFUSED", "4.05"));
      await assert.rejects(
        operations.create(target(trial), { path: "/77", values: { 1: 1 } }),
        refusal("DEVICE_REFUSED", "4.04"),
      );
      await assert.rejects(operations.delete(target(trial), "/3/0"), refusal("DEVICE_REFUSED", "4.05"));
      await assert.rejects(operations.delete(target(trial), "/3/9"), refusal("DEVICE_REFUSED", "4.04"));
    },
  },
  {
    operation: "Write-Attributes and Discover",
    clause: "6.3.2, 6.3.4",
    versions: ALL,
    formats: CHOSEN,
    run: async (trial) => {
      const { operations } = trial.bench;
      const attributes = { pmin: 2, pmax: 60, gt: 10, lt: 1, st: 0.5 };
      await operations.writeAttributes(target(trial), "/5/0/3", attributes);
      const { items } = await operations.discover(target(trial), "/5/0");
      assert.deepEqual(items.find(({ path }) => path === "/5/0/3")?.attributes, attributes);
      assert.equal(items.find(({ path }) => path === "/5/0/8")?.instanceCount, PULL_SCHEMES.length);
      const gone = { pmin: null, pmax: null, gt: null, lt: null, st: null };
      await operations.writeAttributes(target(trial), "/5/0/3", gone);
      const wrong = (given: object, path = "/5/0/3") => operations.writeAttributes(target(trial), path, given);
      await assert.rejects(wrong({ gt: 1, lt: 5 }), refusal("ATTRIBUTE"));
      await assert.rejects(wrong({ gt: 1 }, "/5/0"), refusal("ATTRIBUTE"));
      await assert.rejects(wrong({ gt: 1 }, "/3/0/0"), refusal("ATTRIBUTE"));
      await assert.rejects(wrong({ pmin: 1 }, "/5/0/99"), refusal("DEVICE_REFUSED", "4.04"));
      if (trial.version === "1.0") await assert.rejects(wrong({ epmin: 1 }), refusal("ATTRIBUTE"));
      if (trial.version !== "1.2") await assert.rejects(wrong({ con: 1 }), refusal("ATTRIBUTE"));
    },
  },
  {
    operation: "Observe, notify, cancel",
    clause: "6.4.1, 6.4.2, 6.4.3",
    versions: ALL,
    formats: SINGLE,
    run: async (trial) => {
      const { bench, endpoint } = trial;
      const { observation, answer } = await bench.operations.observe(target(trial), ["/3/0/15"], trial.format);
      assert.equal(answer.format, trial.format);
      assert.equal(observation.state, "active");
      const notified = bench.value(endpoint, "notify");
      const zone = `Zone/${trial.format}`;
      await bench.operations.write(target(trial), "/3/0/15", { given: { value: zone }, mode: "replace" });
      const { facts } = await notified;
      assert.equal(facts["observationId"], observation.id);
      assert.equal((facts["values"] as { value: unknown }[])[0]?.value, zone);
      assert.equal(bench.operations.lastValues(endpoint).items.find(({ path }) => path === "/3/0/15")?.value, zone);
      await bench.operations.cancel(endpoint, observation.id);
      assert.deepEqual(await bench.operations.observationsOf(endpoint), []);
    },
  },
  {
    operation: "Read-Composite",
    clause: "6.3.8",
    versions: LATER,
    formats: COMPOSITE,
    run: async (trial) => {
      const paths = ["/Device/0/0", "/1/0/1", "/5/0/99", "/5/0/8"];
      const answer = await trial.bench.operations.read(target(trial), paths, trial.format);
      assert.equal(answer.format, trial.format);
      const values = answer.values.map(({ path, value }) => [path, value]);
      assert.deepEqual(values.slice(0, 3), [
        ["/3/0/0", "Example"],
        ["/1/0/1", 300],
        ["/5/0/8/0", 0],
      ]);
    },
  },
  {
    operation: "Write-Composite",
    clause: "6.3.9",
    versions: LATER,
    formats: (version) => [undefined, ...COMPOSITE(version)],
    run: async (trial) => {
      const { operations } = trial.bench;
      const done = await operations.writeComposite(
        target(trial),
        {
          values: { "/3/0/UTC Offset": "-01:00", "/1/0/6": true },
        },
        trial.format,
      );
      assert.equal(done.code, "2.04");
      const { values } = await operations.read(target(trial), ["/3/0/14", "/1/0/6"]);
      assert.deepEqual(
        values.map(({ value }) => value),
        ["-01:00", true],
      );
      // As a whole or not at all.
      const mixed = operations.writeComposite(target(trial), { values: { "/3/0/14": "+09:00", "/3/0/0": "Other" } });
      await assert.rejects(mixed, refusal("DEVICE_REFUSED", "4.05"));
      assert.equal((await operations.read(target(trial), ["/3/0/14"])).values[0]?.value, "-01:00");
    },
  },
  {
    operation: "Observe-Composite",
    clause: "6.4.4",
    versions: LATER,
    formats: COMPOSITE,
    run: async (trial) => {
      const { bench, endpoint } = trial;
      const { observation } = await bench.operations.observe(target(trial), ["/3/0/15", "/1/0/1"], trial.format);
      const notified = bench.value(endpoint, "notify");
      const zone = `Composite/${trial.format}`;
      await bench.operations.write(target(trial), "/3/0/15", { given: { value: zone, typed: true }, mode: "replace" });
      const values = (await notified).facts["values"] as { path: string; value: unknown }[];
      assert.deepEqual(
        values.map(({ path, value }) => [path, value]),
        [
          ["/3/0/15", zone],
          ["/1/0/1", 300],
        ],
      );
      await bench.operations.cancel(endpoint, observation.id);
    },
  },
  {
    operation: "Composite operations refused before LwM2M 1.1",
    clause: "6.3.8",
    versions: ["1.0"],
    formats: CHOSEN,
    run: async (trial) => {
      const { operations } = trial.bench;
      await assert.rejects(operations.read(target(trial), ["/3/0/0", "/1/0/1"]), refusal("COMPOSITE_VERSION"));
      await assert.rejects(
        operations.writeComposite(target(trial), { values: { "/3/0/14": "x" } }),
        refusal("COMPOSITE_VERSION"),
      );
    },
  },
  {
    operation: "Send",
    clause: "6.4.6",
    versions: LATER,
    formats: () => [F.senmlCbor],
    run: async (trial) => {
      const { bench, endpoint } = trial;
      const sent = bench.value(endpoint, "send");
      const uri = "ftp://127.0.0.1/nothing";
      // An address that the device cannot fetch from makes it report its Update Result of its own accord.
      const given = { value: uri };
      await assert.rejects(
        bench.operations.write(target(trial), "/5/0/1", { given, mode: "replace" }),
        refusal("DEVICE_REFUSED", "4.00"),
      );
      const values = (await sent).facts["values"] as { path: string; value: unknown }[];
      assert.equal(values.find(({ path }) => path === "/5/0/5")?.value, 9);
      assert.equal(bench.operations.lastValues(endpoint).items.find(({ path }) => path === "/5/0/5")?.value, 9);
    },
  },
];

import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "@airlift/protocol/lib/errors";
import fc from "fast-check";
import type { DeviceFacts } from "./ast.ts";
import { matches } from "./match.ts";
import { DEEPEST_QUERY, MOST_QUERY_OPERANDS, parseQuery } from "./parse-query.ts";

const NOW = Date.UTC(2026, 2, 1, 12);
const DEVICE: DeviceFacts = {
  endpoint: "pump-17",
  manufacturer: "Acme; Sons",
  model: "pump",
  version: "1.10.0",
  hardware: null,
  tags: ["pilot", "north"],
  presence: "registered",
  lastSeenAtMs: NOW - 3_600_000,
  signalDbm: -97,
  cell: "4711",
  resources: { "/3/0/9": 80, "/3/0/16": "UQ", "/6/0/0": true },
};

const YES = [
  "",
  "*",
  "endpoint==pump-17",
  "endpoint==pump*",
  "endpoint==*-1*",
  "endpoint=='pump-17'",
  'manufacturer=="Acme; Sons"',
  "manufacturer==Acme\\;\\ Sons",
  "version=gt=1.9.0",
  "version>=1.10",
  "version==v1.10",
  "tags==pilot",
  "tags=in=(south,north)",
  "tags=out=(south,west)",
  "hardware!=A",
  "hardware=out=(A,B)",
  "signal=lt=-90;signal=gt=-110",
  "lastSeen=gt=-2h",
  "lastSeen=lt=2026-03-02",
  "/3/0/9=ge=80",
  "/3/0/16==U*",
  "/6/0/0==true",
  "presence==registered and (model==valve or cell==4711)",
  "model==valve,model==pump;version=lt=2",
];

const NO = [
  "endpoint==pump",
  "endpoint==PUMP-17",
  "endpoint==p*mp",
  "hardware==A",
  "hardware=lt=A",
  "tags!=pilot",
  "version=lt=1.9.0",
  "version<=1.2",
  "lastSeen=gt=-30m",
  "/3/0/9==eighty",
  "/3/0/10!=5;/3/0/10==5",
  "model==valve;(model==pump,version=lt=2)",
];

test("RSQL: what matches", () => {
  for (const query of YES) assert.equal(matches(parseQuery(query), DEVICE, NOW), true, query);
});

test("RSQL: what does not match; a value that is not known matches nothing but != and =out=", () => {
  for (const query of NO) assert.equal(matches(parseQuery(query), DEVICE, NOW), false, query);
});

test("; binds tighter than ,", () => {
  assert.deepEqual(parseQuery("model==a,model==b;model==c"), parseQuery("model==a,(model==b;model==c)"));
  assert.deepEqual(parseQuery("model==a or model==b and model==c"), parseQuery("model==a,model==b;model==c"));
});

test("a mistake is told with its code and place", () => {
  const codeOf = (query: string): [string, unknown] => {
    try {
      parseQuery(query);
    } catch (error) {
      if (error instanceof UsageError) return [error.code, error.facts.at];
    }
    return ["none", undefined];
  };
  assert.deepEqual(codeOf("model==pump;"), ["QUERY_SYNTAX", 12]);
  assert.deepEqual(codeOf("model=pump"), ["QUERY_SYNTAX", 5]);
  assert.deepEqual(codeOf("(model==pump"), ["QUERY_SYNTAX", 12]);
  assert.deepEqual(codeOf("model=='pump"), ["QUERY_SYNTAX", 12]);
  assert.deepEqual(codeOf("colour==red"), ["QUERY_FIELD", 0]);
  assert.equal(codeOf("signal==loud")[0], "QUERY_VALUE");
  assert.equal(codeOf("lastSeen=gt=yesterday")[0], "QUERY_VALUE");
  assert.equal(codeOf("presence==here")[0], "QUERY_VALUE");
  assert.equal(codeOf("version=lt=1.*")[0], "QUERY_VALUE");
});

test("bounds: length, depth and number of values", () => {
  assert.throws(() => parseQuery(`model==${"a".repeat(5000)}`), { code: "QUERY_TOO_LARGE" });
  const deep = (depth: number): string => `${"(".repeat(depth)}model==a${")".repeat(depth)}`;
  parseQuery(deep(DEEPEST_QUERY));
  assert.throws(() => parseQuery(deep(DEEPEST_QUERY + 1)), { code: "QUERY_TOO_LARGE" });
  const list = (count: number): string => `model=in=(${Array.from({ length: count }, () => "a").join(",")})`;
  parseQuery(list(MOST_QUERY_OPERANDS));
  assert.throws(() => parseQuery(list(MOST_QUERY_OPERANDS + 1)), { code: "QUERY_TOO_LARGE" });
});

test("any text is read or refused with a UsageError, and what is read can be matched", () => {
  const token = fc.constantFrom(
    "model",
    "version",
    "/3/0/9",
    "lastSeen",
    "==",
    "!=",
    "=lt=",
    "=in=",
    "(",
    ")",
    ",",
    ";",
    " and ",
    " or ",
    "*",
    "'",
    '"',
    "\\",
    "-2h",
    "1.0",
    "a",
  );
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.array(token, { maxLength: 14 }).map((all) => all.join("")),
  );
  fc.assert(
    fc.property(text, (query) => {
      try {
        matches(parseQuery(query), DEVICE, NOW);
      } catch (error) {
        assert.ok(error instanceof UsageError, `${error}`);
      }
    }),
    { numRuns: 5000 },
  );
});

test("a quoted value is itself, whatever its characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (value) => {
      const quoted = `"${value.replace(/[\\"*]/g, "\\$&")}"`;
      assert.equal(matches(parseQuery(`model==${quoted}`), { ...DEVICE, model: value }, NOW), true);
    }),
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { FairLine } from "./fair-line.ts";

function lineOf(...places: readonly (readonly [host: string, name: string])[]): FairLine {
  const line = new FairLine({ limit: 100 });
  for (const [host, name] of places) line.add(name, host);
  return line;
}

const taken = (line: FairLine) => Array.from({ length: line.size }, () => line.take());

test("hosts are served in turn, and those of one host in the order in which they came", () => {
  const line = lineOf(["x", "x1"], ["x", "x2"], ["x", "x3"], ["y", "y1"], ["z", "z1"], ["y", "y2"]);
  assert.deepEqual(taken(line), ["x1", "y1", "z1", "x2", "y2", "x3"]);
  assert.deepEqual([line.size, line.take()], [0, undefined]);
});

test("who asks again keeps its place, and goes to the end of another host", () => {
  assert.deepEqual(taken(lineOf(["x", "a"], ["x", "b"], ["x", "a"], ["y", "c"], ["y", "b"])), ["a", "c", "b"]);
});

test("one host leaves as much room as it takes", () => {
  const line = new FairLine({ limit: 10 });
  const add = (host: string, count: number) =>
    Array.from({ length: count }, (_, index) => line.add(`${host}${index}`, host)).filter(Boolean).length;
  assert.equal(add("flood", 100), 5);
  assert.equal(add("other", 100), 3);
  assert.equal(add("third", 1), 1);
});

test("who is deleted is not served", () => {
  const line = lineOf(["x", "a"], ["y", "b"]);
  assert.deepEqual([line.delete("a"), line.delete("a")], [true, false]);
  assert.deepEqual(taken(line), ["b"]);
});

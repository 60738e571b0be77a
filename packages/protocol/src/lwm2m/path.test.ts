import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PeerError, UsageError } from "../lib/errors.ts";
import {
  comparePaths,
  equalPaths,
  formatPath,
  isWithin,
  levelOf,
  type Path,
  parsePath,
  pathOf,
  pathOfSegments,
  segmentsOf,
} from "./path.ts";

const path: fc.Arbitrary<Path> = fc.array(fc.nat(65_534), { maxLength: 4 });

test("§7.1: a path of up to four ids reads back, as text and as Uri-Path options", () => {
  fc.assert(
    fc.property(path, (ids) => {
      assert.deepEqual(parsePath(formatPath(ids)), ids);
      assert.deepEqual(pathOfSegments(segmentsOf(ids)), ids);
    }),
  );
});
for (const text of ["", "3", "3/0", "//", "/3/", "/3//0", "/03", "/65535", "/-1", "/1/2/3/4/5", "/a", "/3 ", "/1e1"]) {
  test(`not a path: "${text}"`, () => {
    assert.throws(() => parsePath(text), PeerError);
  });
}
test("65535 is reserved and 65534 the last id", () => {
  assert.deepEqual(pathOf(65_534), [65_534]);
  assert.throws(() => pathOf(65_535), UsageError);
  assert.throws(() => pathOf(1, 2, 3, 4, 5), UsageError);
  assert.throws(() => pathOf(0.5), UsageError);
});
test("levels are named", () => {
  assert.deepEqual([[], [5], [5, 0], [5, 0, 8], [5, 0, 8, 1]].map(levelOf), [
    "root",
    "object",
    "instance",
    "resource",
    "resourceInstance",
  ]);
});
test("a base contains itself and what is below it, nothing beside it", () => {
  assert.ok(isWithin([], [5, 0, 3]));
  assert.ok(isWithin([5, 0], [5, 0, 3]));
  assert.ok(isWithin([5, 0, 3], [5, 0, 3]));
  assert.ok(!isWithin([5, 0, 3], [5, 0]));
  assert.ok(!isWithin([5, 1], [5, 0, 3]));
  assert.ok(equalPaths([5, 0], [5, 0]) && !equalPaths([5, 0], [5]));
});
test("the order is total, and puts a path right before what is below it", () => {
  fc.assert(
    fc.property(fc.array(path, { maxLength: 12 }), (paths) => {
      const sorted = paths.toSorted(comparePaths);
      for (const [i, lower] of sorted.entries())
        for (const upper of sorted.slice(i)) assert.ok(comparePaths(lower, upper) <= 0);
    }),
  );
  assert.deepEqual([[5, 0, 3], [5], [10], [5, 0], [5, 0, 2]].toSorted(comparePaths), [
    [5],
    [5, 0],
    [5, 0, 2],
    [5, 0, 3],
    [10],
  ]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeUtf8 } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { DEFAULT_MAX_PATHS, decodePaths, encodePaths } from "./composite.ts";
import { CONTENT_FORMATS } from "./content-formats.ts";

const BOTH = [CONTENT_FORMATS.senmlCbor, CONTENT_FORMATS.senmlJson];
const id = fc.integer({ min: 0, max: 65_534 });

test("§6.3.8: paths come back as they went, each once", () => {
  const lists = fc.uniqueArray(fc.array(id, { maxLength: 4 }), { minLength: 1, maxLength: 20, selector: String });
  fc.assert(
    fc.property(lists, fc.constantFrom(...BOTH), (paths, format) => {
      assert.deepEqual(decodePaths(format, encodePaths(format, paths)), paths);
    }),
  );
});

test("RFC 8428 §4.5.1: a base name stands before all that follow", () => {
  const payload = encodeUtf8('[{"bn":"/3/0/","n":"0"},{"n":"3"},{"bn":"/5/0"}]');
  assert.deepEqual(decodePaths(110, encodeUtf8('[{"bn":"/3/0/","n":"0"},{"n":"3"}]')), [
    [3, 0, 0],
    [3, 0, 3],
  ]);
  assert.deepEqual(decodePaths(110, payload).at(-1), [5, 0]);
});

test("what is no list of paths is refused by its sender's fault", () => {
  const peer = (error: unknown) => error instanceof PeerError;
  for (const text of ["[]", "{}", '[{"n":"/3/0/x"}]', '[{"n":"/3/0/0","v":1}]', '[{"n":"3"}]'])
    assert.throws(() => decodePaths(110, encodeUtf8(text)), peer, text);
  assert.throws(() => decodePaths(CONTENT_FORMATS.tlv, encodeUtf8("")), peer);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...BOTH, 0, 42), (payload, format) => {
      try {
        decodePaths(format, payload);
      } catch (error) {
        assert.ok(error instanceof PeerError);
      }
    }),
  );
});

test("neither none nor too many paths are asked for", () => {
  const tooMany = Array.from({ length: DEFAULT_MAX_PATHS + 1 }, (_, at) => [3, at]);
  for (const paths of [[], tooMany]) assert.throws(() => encodePaths(112, paths), UsageError);
  assert.throws(() => encodePaths(0, [[3]]), UsageError);
});

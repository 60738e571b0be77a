import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { decodeArguments } from "@airlift/protocol/lwm2m/execute-arguments";
import fc from "fast-check";
import { ComponentLinks, decodeCompanions } from "./component-links.ts";

const companions = (text: string) => decodeCompanions(decodeArguments(encodeUtf8(text)));

test("object 33629 /2: without an argument those that are linked, with an empty 0 nobody", () => {
  assert.equal(companions(""), "linked");
  assert.deepEqual(companions("0"), []);
  assert.deepEqual(companions("0=''"), []);
});

test("object 33629 /2: a list names each instance once, in Core Link Format", () => {
  assert.deepEqual(companions("0='</33629/1>,</33629/2>'"), [1, 2]);
  assert.deepEqual(companions("0='</33629/2>, </33629/2>'"), [2]);
  assert.deepEqual(companions("0='</33629/65534>'"), [65_534]);
  for (const text of ["1", "0,1", "0='</5/0>'", "0='</33629/65535>'", "0='/33629/1'", "0='</33629/1>;x=1'", "0=','"]) {
    assert.throws(() => companions(text), PeerError, text);
  }
});

test("an argument is a list of instances or a PeerError, whatever its octets", () => {
  fc.assert(
    fc.property(fc.string(), (value) => {
      try {
        const found = decodeCompanions(new Map([[0, value]]));
        assert.ok(found === "linked" || found.every((one) => Number.isInteger(one) && one >= 0));
      } catch (error) {
        assert.ok(error instanceof PeerError);
      }
    }),
  );
});

test("object 33629 /16: lists the other ones that are Downloaded, as long as this one is", () => {
  const downloaded = new Set([0, 1]);
  const links = new ComponentLinks([0, 1, 2], (instance) => downloaded.has(instance));
  links.link([2, 0, 1]);
  assert.deepEqual([links.linked(0), links.linked(1), links.linked(2)], [[1], [0], []]);
  downloaded.add(2);
  assert.deepEqual(links.linked(0), [1, 2]);
  links.unlink(1);
  assert.deepEqual([links.linked(0), links.linked(1)], [[2], []]);
});

test("object 33629 /17: what stands in the way, and what a result was about, until the instance begins anew", () => {
  const downloaded = new Set([0]);
  const links = new ComponentLinks([0, 1, 2], (instance) => downloaded.has(instance));
  links.setConflicting(0, [0, 1]);
  links.report(0, [2]);
  assert.deepEqual(links.conflicting(0), [1, 2]);
  assert.deepEqual(links.obstacles(0, []), [1], "what was reported is history");
  assert.deepEqual(links.obstacles(0, [2]), [1, 2]);
  downloaded.add(1);
  assert.deepEqual(links.obstacles(0, [1]), []);
  links.begin(0);
  assert.deepEqual(links.conflicting(0), []);
});

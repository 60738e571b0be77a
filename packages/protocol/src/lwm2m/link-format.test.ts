import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PeerError, UsageError } from "../lib/errors.ts";
import { attributeOf, formatLinks, type Link, type LinkAttribute, parseLinks } from "./link-format.ts";

const bare = (name: string, value?: string): LinkAttribute => ({ name, value, quoted: false });
const quoted = (name: string, value: string): LinkAttribute => ({ name, value, quoted: true });

test("RFC 6690 §5: the published examples", () => {
  assert.deepEqual(parseLinks('</sensors/temp>;if="sensor",</sensors/light>;if="sensor"'), [
    { target: "/sensors/temp", attributes: [quoted("if", "sensor")] },
    { target: "/sensors/light", attributes: [quoted("if", "sensor")] },
  ]);
  const index =
    '</sensors>;ct=40;title="Sensor Index",</t>;anchor="/sensors/temp";rel="alternate",</firmware/v2.1>;sz=262144';
  assert.equal(formatLinks(parseLinks(index)), index);
});
test("lesson 6: a version is read quoted and bare, as LwM2M 1.0 and 1.1 write it (Core 1.1 §6.2.1)", () => {
  for (const text of ['</5/0>;ver="1.1"', "</5/0>;ver=1.1"]) {
    const [link] = parseLinks(text);
    assert.ok(link);
    assert.equal(attributeOf(link, "ver"), "1.1");
    assert.equal(formatLinks([link]), text);
  }
});
test("blanks around separators, an attribute alone, and no links at all are accepted", () => {
  assert.deepEqual(parseLinks(' </> ; rt="oma.lwm2m" ;obs , </1/0> '), [
    { target: "/", attributes: [quoted("rt", "oma.lwm2m"), bare("obs")] },
    { target: "/1/0", attributes: [] },
  ]);
  assert.deepEqual(parseLinks(""), []);
});
test("a quoted value may hold separators and escaped quotes", () => {
  const link = { target: "/1", attributes: [quoted("title", 'a "b" \\ ,;<>')] };
  assert.deepEqual(parseLinks(formatLinks([link])), [link]);
});
for (const text of [
  "/1/0",
  "<1/0",
  "</1/0>,",
  "</1/0>;",
  "</1/0>;=1",
  '</1/0>;a="b',
  "</1/0>;a=",
  "</1> </2>",
  "<<1>>",
  "</\u0001>",
  "</1/0>;a=\u0001",
  ",",
]) {
  test(`refused: ${text}`, () => {
    assert.throws(
      () => parseLinks(text),
      (error) => error instanceof PeerError && error.code === "LINK_FORMAT",
    );
  });
}
test("links are bounded, and the attributes of each", () => {
  for (const text of ["</1>,</2>,</3>", `</1>${";a".repeat(65)}`])
    assert.throws(
      () => parseLinks(text, 2),
      (error) => error instanceof PeerError && error.code === "TOO_MANY",
    );
});
test("what the format cannot hold is not written", () => {
  assert.throws(() => formatLinks([{ target: "/>", attributes: [] }]), UsageError);
  assert.throws(() => formatLinks([{ target: "/", attributes: [bare("a", "b c")] }]), UsageError);
  assert.throws(() => formatLinks([{ target: "/", attributes: [bare("a b", "c")] }]), UsageError);
});
test("what was formatted parses back, unchanged", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,6}$/);
  const attribute: fc.Arbitrary<LinkAttribute> = fc.oneof(
    name.map((of) => bare(of)),
    fc.tuple(name, fc.stringMatching(/^[^\s\p{Cc}",;\\<>]{1,8}$/u)).map(([of, value]) => bare(of, value)),
    fc.tuple(name, fc.string({ unit: "grapheme", maxLength: 10 })).map(([of, value]) => quoted(of, value)),
  );
  const link: fc.Arbitrary<Link> = fc.record(
    { target: fc.stringMatching(/^[^<>\p{Cc}]{0,12}$/u), attributes: fc.array(attribute, { maxLength: 4 }) },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(link, { maxLength: 6 }), (links) => {
      assert.deepEqual(parseLinks(formatLinks(links)), links);
    }),
  );
});

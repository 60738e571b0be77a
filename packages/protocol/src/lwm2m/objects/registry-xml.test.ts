import assert from "node:assert/strict";
import { test } from "node:test";
import { PeerError } from "../../lib/errors.ts";
import { parseRegistryXml } from "./registry-xml.ts";

const item = (id: number | string, fields: Record<string, string> = {}) => {
  const all = {
    Name: "N",
    Operations: "R",
    MultipleInstances: "Single",
    Mandatory: "Optional",
    Type: "String",
    ...fields,
  };
  const inside = Object.entries(all).map(([name, value]) => `<${name}>${value}</${name}>`);
  return `<Item ID="${id}">${inside.join("")}<RangeEnumeration/><Units></Units><Description><![CDATA[x < y]]></Description></Item>`;
};
const object = (
  items: string,
  version = "<ObjectVersion>1.1</ObjectVersion>",
) => `<?xml version="1.0" encoding="UTF-8"?>
<!-- A comment. -->
<LWM2M xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <Object ObjectType="MODefinition">
    <Name>Valve &amp; Tap</Name><Description1><![CDATA[<Resources/>]]></Description1>
    <ObjectID>26241</ObjectID><ObjectURN>urn:oma:lwm2m:x:26241:1.1</ObjectURN>${version}
    <MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
    <Resources>${items}</Resources><Description2/>
  </Object>
</LWM2M>`;

test("a file of the registry becomes an object model", () => {
  const [model] = parseRegistryXml(
    object(
      item(1, { Type: "Unsigned Integer", RangeEnumeration: "0..5", Units: "s" }) +
        item(3, { Operations: "E", Type: "" }) +
        item(7, { Operations: "", MultipleInstances: "Multiple", Mandatory: "Mandatory", Type: "Opaque" }),
    ).replaceAll("<RangeEnumeration/><Units></Units>", ""),
  );
  assert.deepEqual(
    [model.id, model.name, model.version, model.multiple, model.mandatory],
    [26_241, "Valve & Tap", "1.1", true, false],
  );
  const common = { name: "N", since: "1.0" };
  assert.deepEqual(
    [...model.resources.values()],
    [
      {
        ...common,
        id: 1,
        operations: "R",
        multiple: false,
        mandatory: false,
        type: "unsigned",
        range: "0..5",
        units: "s",
      },
      { ...common, id: 3, operations: "E", multiple: false, mandatory: false, type: "none", range: "", units: "" },
      { ...common, id: 7, operations: "none", multiple: true, mandatory: true, type: "opaque", range: "", units: "" },
    ],
  );
});
test("without a version an object is 1.0, and it may have no resources; a byte order mark does no harm", () => {
  const [model] = parseRegistryXml(`\uFEFF${object("", "")}`);
  assert.deepEqual([model.version, model.resources.size], ["1.0", 0]);
});

const BROKEN: [title: string, text: string, at: string][] = [
  ["no XML", "object", ""],
  ["an element left open", "<LWM2M><Object>", ""],
  ["another document", "<html></html>", "LWM2M"],
  ["an id out of range", object("").replace("26241<", "65535<"), "ObjectID"],
  ["a resource without an id", object(item("")), "Item"],
  ["a resource twice", object(item(1) + item(1)), "Item 1"],
  ["an unknown type", object(item(1, { Type: "Complex" })), "Type"],
  ["an unknown operation", object(item(1, { Operations: "X" })), "Operations"],
  ["a type named like a part of every object", object(item(1, { Type: "constructor" })), "Type"],
  ["a version of one number", object("", "<ObjectVersion>2</ObjectVersion>"), "ObjectVersion"],
  ["a name with elements inside", object(item(1, { Name: "<b>N</b>" })), "Name"],
  ["an entity bomb", `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>${object(item(1))}`, "!DOCTYPE"],
];
for (const [title, text, at] of BROKEN) {
  test(`refused, and named: ${title}`, () => {
    assert.throws(
      () => parseRegistryXml(text),
      (error) => {
        assert.ok(error instanceof PeerError, String(error));
        assert.deepEqual([error.code, error.facts["at"]], ["OBJECT_XML", at], error.message);
        return true;
      },
    );
  });
}
test("length and number of resources are bounded", () => {
  const limits = { maxCharacters: 2_000, maxResources: 1 };
  for (const text of [object(item(1) + item(2)), " ".repeat(2_001)])
    assert.throws(
      () => parseRegistryXml(text, limits),
      (error) => error instanceof PeerError && error.code === "TOO_MANY",
    );
});

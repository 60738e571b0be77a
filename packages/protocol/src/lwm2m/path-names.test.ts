import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { UsageError } from "../lib/errors.ts";
import { createModels } from "./model.ts";
import { STANDARD_MODELS, STANDARD_OBJECTS } from "./objects/standard.ts";
import { nameOfPath, resolvePath } from "./path-names.ts";

const code = (text: string, models = STANDARD_MODELS): string => {
  try {
    return resolvePath(text, models).join("/");
  } catch (error) {
    assert.ok(error instanceof UsageError);
    return error.code;
  }
};

test("objects and resources go by number or by name, however it is written", () => {
  assert.equal(code("/3/0/Reboot"), "3/0/4");
  assert.equal(code("/Device/0/Manufacturer"), "3/0/0");
  assert.equal(code("device/0/firmware-version"), "3/0/3");
  assert.equal(code("/Firmware Update/0/Package URI"), "5/0/1");
  assert.equal(code("/5/0/8/1"), "5/0/8/1");
  assert.equal(code("/"), "");
});

test("what names nothing, or too much, is the asker's mistake", () => {
  assert.equal(code("/Toaster/0"), "UNKNOWN_NAME");
  assert.equal(code("/3/0/Colour"), "UNKNOWN_NAME");
  assert.equal(code("/3/first"), "PATH");
  assert.equal(code("/3/0/0/0/0"), "PATH");
  assert.equal(code("/65535"), "PATH");
  const [device] = STANDARD_OBJECTS.filter(({ id }) => id === 3);
  assert.ok(device);
  assert.equal(code("/Device/0", createModels([device, { ...device, id: 10_000 }])), "AMBIGUOUS_NAME");
});

test("every name in the models finds what it names, and no text is more than a mistake", () => {
  for (const object of STANDARD_MODELS.all())
    for (const resource of object.resources.values()) {
      const same = [...object.resources.values()].filter(({ name }) => name === resource.name);
      if (same.length === 1)
        assert.equal(
          nameOfPath(
            resolvePath(`/${object.id}/0/${resource.name.replaceAll("/", " ")}`, STANDARD_MODELS),
            STANDARD_MODELS,
          ),
          resource.name,
        );
    }
  fc.assert(fc.property(fc.string(), (text) => void code(text)));
});

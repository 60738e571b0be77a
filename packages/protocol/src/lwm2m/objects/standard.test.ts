import assert from "node:assert/strict";
import { test } from "node:test";
import { DEVICE_RESOURCES } from "./device.ts";
import { FIRMWARE_UPDATE_RESOURCES } from "./firmware-update.ts";
import { defaultObjectVersion, STANDARD_MODELS, STANDARD_OBJECTS } from "./standard.ts";

const ids = (objectId: number, version?: string) => [
  ...(STANDARD_MODELS.object(objectId, version)?.resources.keys() ?? []),
];

test("objects 0 to 7, 9, 19 and 33629 are known, with the versions of the registry", () => {
  const versions = STANDARD_OBJECTS.map(({ id, version }) => `${id} ${version}`).sort();
  const expected =
    "0 1.0,0 1.1,0 1.2,1 1.0,1 1.1,1 1.2,19 1.0,2 1.0,2 1.1,3 1.0,3 1.1,3 1.2,33629 1.0,4 1.0,4 1.1,4 1.2,4 1.3";
  assert.equal(versions.join(), `${expected},5 1.0,5 1.1,5 1.2,6 1.0,6 1.1,7 1.0,9 1.0,9 1.1`);
});
test("object 5: 1.0 ends with 9, 1.1 adds 10 to 13, 1.2 adds 14, and 4 is a hole", () => {
  assert.deepEqual(ids(5, "1.0"), [0, 1, 2, 3, 5, 6, 7, 8, 9]);
  assert.deepEqual(ids(5, "1.1"), [...ids(5, "1.0"), 10, 11, 12, 13]);
  assert.deepEqual(ids(5, "1.2"), [...ids(5, "1.1"), 14]);
  assert.deepEqual(ids(5), ids(5, "1.2"), "the codecs see the newest");
});
test("how many resources each object has in its newest version", () => {
  const counts = [0, 1, 2, 3, 4, 5, 6, 7, 9, 19, 33_629].map((id) => [id, ids(id).length]);
  assert.deepEqual(counts, [
    [0, 31],
    [1, 28],
    [2, 4],
    [3, 23],
    [4, 14],
    [5, 14],
    [6, 12],
    [7, 9],
    [9, 23],
    [19, 6],
    [33_629, 17],
  ]);
});
test("no id stands twice, executable resources have no type, and all others have one", () => {
  for (const { id, version, resources } of STANDARD_OBJECTS) {
    for (const [resourceId, resource] of resources) {
      assert.equal(resource.id, resourceId);
      assert.equal(resource.type === "none", resource.operations === "E", `${id} ${version} ${resource.name}`);
    }
  }
});
test("ids by name are the registry's", () => {
  assert.deepEqual([DEVICE_RESOURCES.firmwareVersion, FIRMWARE_UPDATE_RESOURCES.updateResult], [3, 5]);
  const { state, packageUri } = FIRMWARE_UPDATE_RESOURCES;
  assert.deepEqual([STANDARD_MODELS.object(5)?.resources.get(state)?.range, packageUri], ["0..3", 1]);
});
test("§7.2.2: the version of an object that does not say", () => {
  assert.deepEqual(
    (["1.0", "1.1", "1.2"] as const).map((version) =>
      [0, 1, 2, 3, 4, 5, 9].map((id) => defaultObjectVersion(id, version)),
    ),
    [
      ["1.0", "1.0", "1.0", "1.0", "1.0", "1.0", "1.0"],
      ["1.1", "1.1", "1.0", "1.1", "1.2", "1.0", "1.0"],
      ["1.2", "1.2", "1.1", "1.2", "1.3", "1.1", "1.0"],
    ],
  );
});

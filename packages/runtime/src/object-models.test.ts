import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { loadObjectModels } from "./object-models.ts";

const definition = (id: string) => `<LWM2M><Object><Name>O</Name><ObjectID>${id}</ObjectID>
  <MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory><Resources/></Object></LWM2M>`;

test("a folder is read; a broken file is named and does not spoil the others", async () => {
  const folder = await mkdtemp(join(tmpdir(), "objects-"));
  try {
    await writeFile(join(folder, "b.xml"), definition("10"));
    await writeFile(join(folder, "a.XML"), definition("11"));
    await writeFile(join(folder, "broken.xml"), definition("x"));
    await writeFile(join(folder, "huge.xml"), new Uint8Array(5 * 2 ** 20));
    await writeFile(join(folder, "README.md"), "not an object");
    const { objects, failures } = await loadObjectModels(folder);
    assert.deepEqual(
      objects.map(({ id }) => id),
      [11, 10],
    );
    assert.deepEqual(
      failures.map(({ file, error }) => [file, error.code]),
      [
        ["broken.xml", "OBJECT_XML"],
        ["huge.xml", "TOO_MANY"],
      ],
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
test("a folder that is not there is the surroundings' failure", async () => {
  await assert.rejects(loadObjectModels(join(tmpdir(), "no-such-folder-of-objects")), EnvironmentError);
});

/** The Z-Mesh vectors, computed once more by a second implementation: Python with its `cryptography` package (OpenSSL). */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const python = spawnSync("python3", ["-c", "import cryptography"]);
const skip = python.status === 0 ? false : "needs python3 with the package cryptography";

test("every vector of tests/vectors/zmesh.json is what another implementation computes", { skip }, () => {
  const [script, vectors] = ["zmesh_vectors.py", "../vectors/zmesh.json"].map((file) =>
    fileURLToPath(new URL(file, import.meta.url)),
  );
  const { status, stdout, stderr } = spawnSync("python3", [script ?? "", vectors ?? ""], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const checked: Record<string, number> = JSON.parse(stdout);
  for (const what of [
    "name",
    "CTR, MTU 48: repair",
    "CCM, MTU 48: data",
    "manifest blocks",
    "command schedule",
    "status",
    "frame",
  ])
    assert.ok((checked[what] ?? 0) > 0, what);
});

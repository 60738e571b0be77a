import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ContentStore } from "@airlift/protocol/zmesh/content-store";
import { packRelease } from "@airlift/protocol/zmesh/release";
import { ReleaseLedger } from "@airlift/protocol/zmesh/release-ledger";
import { ContentFiles } from "./content-files.ts";
import { zmeshCrypto } from "./zmesh-crypto.ts";

const root = mkdtempSync(join(tmpdir(), "content-"));
after(() => rmSync(root, { recursive: true }));
const newFolder = (): string => mkdtempSync(join(root, "files-"));
const name = Uint8Array.of(0xfe, 1, 2, 3, 4, 5);
const payload = (fill: number) => new Uint8Array(48).fill(fill);
const content = (version: string) =>
  packRelease({ identity: { manufacturer: "A", model: "B", version }, image: new Uint8Array(500) }, {}, zmeshCrypto)
    .image;

test("payloads are there after a restart, whichever order they were written in", async () => {
  const folder = newFolder();
  const files = await ContentFiles.open(folder);
  await Promise.all([3, 0, 2].map((seq) => files.write(name, seq, payload(seq))));
  await files.close();
  const again = await ContentFiles.open(folder);
  assert.deepEqual(again.names, [name]);
  for (const seq of [0, 2, 3]) assert.deepEqual(await again.read(name, seq), payload(seq));
  assert.equal(await again.read(name, 1), undefined);
  assert.equal(await again.read(Uint8Array.of(0xfe, 9, 9, 9, 9, 9), 0), undefined);
  await again.remove(name);
  await again.remove(name);
  assert.deepEqual([again.names, readdirSync(folder)], [[], ["claims.jsonl"]]);
  await again.close();
});

test("a power cut at any octet costs the payload that was being written, and no other", async () => {
  const folder = newFolder();
  const files = await ContentFiles.open(folder);
  for (const seq of [1, 2]) await files.write(name, seq, payload(seq));
  await files.close();
  const path = join(folder, "fe0102030405.content");
  const whole = readFileSync(path);
  for (let cut = whole.length / 2; cut < whole.length; cut += 1) {
    writeFileSync(path, whole.subarray(0, cut));
    const again = await ContentFiles.open(folder);
    assert.deepEqual([await again.read(name, 1), await again.read(name, 2)], [payload(1), undefined], `cut at ${cut}`);
    await again.write(name, 2, payload(7));
    assert.deepEqual(await again.read(name, 2), payload(7));
    await again.close();
    const last = await ContentFiles.open(folder);
    assert.deepEqual(await last.read(name, 2), payload(7));
    await last.close();
  }
});

test("a store and its ledger go on where they were: what was heard is answered, a taken name stays taken", async () => {
  const folder = newFolder();
  const [one, two] = [content("1"), content("2")];
  const shape = { ...two, repairScheme: two.end.repairScheme };
  const files = await ContentFiles.open(folder);
  const store = new ContentStore({ ledger: new ReleaseLedger(zmeshCrypto, files.claims), disk: files });
  await store.publish(one, 0);
  store.open(shape, 0);
  for (let seq = 0; seq <= two.dataCount + 1; seq += 1)
    await store.receive({ name: two.name, seq, payload: two.payloadAt(seq) }, 0);
  await files.close();
  // The power went while the next claim was being written.
  appendFileSync(join(folder, "claims.jsonl"), '{"name":"fe');
  const again = await ContentFiles.open(folder);
  const restarted = new ContentStore({ ledger: new ReleaseLedger(zmeshCrypto, again.claims), disk: again });
  restarted.open(shape, 0);
  const parity = two.dataCount + 5;
  assert.deepEqual(await restarted.payloadOf(two.name, parity), two.payloadAt(parity));
  await assert.rejects(restarted.publish(content("1"), 0), { code: "NAME_PUBLISHED" });
  await restarted.publish(one, 0);
  await restarted.publish(content("3"), 0);
  await again.close();
  const last = await ContentFiles.open(folder);
  assert.equal(last.claims.length, 2);
  await last.close();
});

test("a damaged file of names is not passed over", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "claims.jsonl"), "{}\nnonsense\n{}\n");
  await assert.rejects(ContentFiles.open(folder), { name: "EnvironmentError", code: "CLAIMS_DAMAGED" });
});

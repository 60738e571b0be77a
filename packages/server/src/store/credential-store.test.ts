import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { createAuthority, skipWithoutOpenssl } from "../../../../tests/certificates.ts";
import { bootstrapKeys } from "../fleet/bootstrap-keys.ts";
import type { ProvenIdentity } from "../fleet/credentials.ts";
import { MasterKeys } from "./master-keys.ts";
import type { Stores } from "./ports.ts";
import { openScratchStores, type ScratchStores } from "./scratch-stores.ts";
import { openStores } from "./stores.ts";

let scratch: ScratchStores;
let folder: string;
const withdrawn: ProvenIdentity[] = [];
const endpoints: (string | undefined)[] = [];

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "credentials-"));
  scratch = await openScratchStores();
  scratch.stores.credentials.onWithdrawn((identity, endpoint) => {
    withdrawn.push(identity);
    endpoints.push(endpoint);
  });
});
after(async () => {
  await scratch.close();
  rmSync(folder, { recursive: true });
});

const store = () => scratch.stores.credentials;
const psk = { kind: "psk" } as const;
const publicKeyPem = (namedCurve = "prime256v1") =>
  `${generateKeyPairSync("ec", { namedCurve }).publicKey.export({ type: "spki", format: "pem" })}`;
const again = async (options: Partial<Parameters<typeof openStores>[0]> = {}): Promise<Stores> =>
  await openStores({
    dataDir: scratch.folder,
    databaseUrl: scratch.database.url,
    maxImageBytes: 1,
    inspect: () => ({ format: "raw", signature: null, securityCounter: null }),
    ...options,
  });
async function dump(): Promise<string> {
  const client = new pg.Client({ connectionString: scratch.database.url });
  await client.connect();
  const { rows } = await client.query<{ name: string }>(
    "select table_name as name from information_schema.tables where table_schema = 'public'",
  );
  const texts: string[] = [];
  for (const { name } of rows)
    for (const row of (await client.query(`select row_to_json(t)::text as text from ${name} t`)).rows)
      texts.push(row.text);
  await client.end();
  return texts.join("\n");
}

describe("an identity is bound to exactly one endpoint", () => {
  test("the server makes a 128-bit key and tells it once; the key speaks for its device alone", async () => {
    const made = await store().add("pump-1", psk);
    assert.match(made.key ?? "", /^[0-9a-f]{32}$/);
    assert.equal(Buffer.from((await store().psk(made.identity)) ?? []).toString("hex"), made.key);
    assert.equal(await store().endpointOf({ kind: "psk", name: made.identity }), "pump-1");
    assert.equal(await store().endpointOf({ kind: "rpk", name: "pump-1" }), undefined);
    assert.ok(await store().hasCredentials("pump-1"));
    assert.ok(!(await store().hasCredentials("pump-2")));
    const [listed] = await store().list("pump-1");
    assert.ok(listed !== undefined && !("key" in listed));
  });

  test("an identity that is taken is refused, for the same device and for others", async () => {
    const asked = { ...psk, identity: "taken", key: "00".repeat(16) };
    assert.equal((await store().add("pump-3", asked)).key, null);
    for (const endpoint of ["pump-3", "pump-4"])
      await assert.rejects(store().add(endpoint, asked), { code: "CREDENTIAL_EXISTS" });
    assert.deepEqual(await store().list("pump-4"), []);
  });

  test("a device has a few credentials, also when they are asked for at once", async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => store().add("greedy", psk)));
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 4);
    await assert.rejects(store().add("greedy", psk), { code: "CREDENTIALS_FULL" });
  });

  test("a credential for bootstrap speaks at the Bootstrap interface and nowhere else, and a device's not there", async () => {
    const factory = await store().add("pump-5", { ...psk, purpose: "bootstrap" });
    const own = await store().add("pump-5", psk);
    const at = (name: string, place?: "device" | "bootstrap") => store().endpointOf({ kind: "psk", name }, place);
    assert.deepEqual([await at(factory.identity), await at(factory.identity, "bootstrap")], [undefined, "pump-5"]);
    assert.deepEqual([await at(own.identity), await at(own.identity, "bootstrap")], ["pump-5", undefined]);
  });

  test("a name is in use for those that share a factory credential as soon as its device has shown its own", async () => {
    const keys = bootstrapKeys(store());
    const { identity } = await keys.issueDeviceCredential("batch-7-001");
    assert.equal(await keys.isInUse("batch-7-001"), false);
    assert.equal(await store().endpointOf({ kind: "psk", name: identity }), "batch-7-001");
    assert.equal(await keys.isInUse("batch-7-001"), true);
  });

  test("a raw public key is known by its SHA-256; private keys and other curves are refused", async () => {
    const made = await store().add("meter", { kind: "rpk", publicKeyPem: publicKeyPem() });
    assert.equal(await store().rpk(made.identity), "meter");
    assert.equal(await store().endpointOf({ kind: "rpk", name: "meter", fingerprint: made.identity }), "meter");
    assert.equal(await store().endpointOf({ kind: "rpk", name: "other", fingerprint: made.identity }), undefined);
    assert.equal(await store().endpointOf({ kind: "rpk", name: "meter", fingerprint: "00" }), undefined);
    const secret = `${generateKeyPairSync("ec", { namedCurve: "prime256v1" }).privateKey.export({ type: "pkcs8", format: "pem" })}`;
    for (const pem of [secret, publicKeyPem("secp384r1"), "nonsense"])
      await assert.rejects(store().add("meter", { kind: "rpk", publicKeyPem: pem }), { code: "PUBLIC_KEY" });
  });
});

describe("withdrawal", () => {
  test("ends at once, tells who it was, and removes the key from the database", async () => {
    const made = await store().add("gone", psk);
    await store().remove("gone", made.id);
    assert.deepEqual([withdrawn.at(-1), endpoints.at(-1)], [{ kind: "psk", name: made.identity }, "gone"]);
    assert.equal(await store().psk(made.identity), undefined);
    assert.equal(await store().endpointOf({ kind: "psk", name: made.identity }), undefined);
    await assert.rejects(store().remove("gone", made.id), { code: "UNKNOWN_CREDENTIAL" });
    assert.deepEqual(await store().list("gone"), []);
  });

  test("of one device cannot be asked in the name of another", async () => {
    const made = await store().add("mine", psk);
    await assert.rejects(store().remove("theirs", made.id), { code: "UNKNOWN_CREDENTIAL" });
    assert.ok(await store().psk(made.identity));
  });

  test("another server sees it when its memory of a few seconds is over", async () => {
    const made = await store().add("elsewhere", psk);
    const other = await again({ credentials: { cacheLifetimeMs: 0 } });
    assert.ok(await other.credentials.psk(made.identity));
    await store().remove("elsewhere", made.id);
    assert.equal(await other.credentials.psk(made.identity), undefined);
    await other.close();
  });
});

describe("rotation", () => {
  const speaks = (name: string) => store().endpointOf({ kind: "psk", name });

  test("old and new are valid beside each other until the new one is proved; asking for its key ends nothing", async () => {
    const old = await store().add("turning", psk);
    const fresh = await store().rotate("turning", psk);
    assert.deepEqual(
      (await store().list("turning")).map(({ state }) => state),
      ["ending", "active"],
    );
    assert.ok(await store().psk(fresh.identity));
    assert.equal(await speaks(old.identity), "turning");
    assert.equal(await speaks(fresh.identity), "turning");
    assert.equal(await store().psk(old.identity), undefined);
    assert.deepEqual(withdrawn.at(-1), { kind: "psk", name: old.identity });
    const events = await scratch.stores.events.list({ endpoint: "turning" }, { limit: 10 });
    assert.match(
      events.items[0]?.sentence ?? "",
      new RegExp(`${old.identity} ended: PSK identity ${fresh.identity} is in use`),
    );
  });

  test("a second rotation before the first is used keeps all until the newest is used", async () => {
    const [first, second, third] = [
      await store().add("twice", psk),
      await store().rotate("twice", psk),
      await store().rotate("twice", psk),
    ];
    assert.equal(await speaks(second.identity), "twice");
    assert.equal(await speaks(first.identity), "twice");
    assert.equal(await speaks(third.identity), "twice");
    assert.equal((await store().list("twice")).length, 1);
  });

  test("with a time the old one ends then, used or not", async () => {
    const old = await store().add("timed", psk);
    await store().rotate("timed", psk, 3_600_000);
    assert.ok((await store().list("timed"))[0]?.endsAt);
    assert.equal(await speaks(old.identity), "timed");
    const second = await store().rotate("timed", psk, 0);
    assert.deepEqual([await speaks(old.identity), await speaks(second.identity)], [undefined, "timed"]);
    assert.deepEqual(withdrawn.at(-2)?.name === old.identity || withdrawn.at(-1)?.name === old.identity, true);
  });

  test("a credential for bootstrap does not end a device's", async () => {
    const own = await store().add("both", psk);
    const factory = await store().rotate("both", { ...psk, purpose: "bootstrap" }, 0);
    assert.equal(await store().endpointOf({ kind: "psk", name: factory.identity }, "bootstrap"), "both");
    assert.equal(await speaks(own.identity), "both");
  });
});

describe("certificates", { skip: skipWithoutOpenssl() }, () => {
  test("an authority's word is good for the name in a certificate, until it is removed", async () => {
    let changes = 0;
    const stop = store().onAuthorities(() => {
      changes += 1;
    });
    const { certificate } = createAuthority(folder, "fleet-ca");
    assert.equal(await store().endpointOf({ kind: "x509", name: "valve" }), undefined);
    const added = await store().addAuthority(certificate);
    assert.equal(added.subject, "fleet-ca");
    assert.deepEqual(await store().addAuthority(certificate), added);
    assert.equal(changes, 1);
    assert.equal((await store().authoritiesPem()).trim(), certificate.trim());
    assert.equal(await store().endpointOf({ kind: "x509", name: "valve", fingerprint: "ab" }), "valve");
    assert.equal(await store().endpointOf({ kind: "x509", name: "valve" }, "bootstrap"), undefined);
    await store().removeAuthority(added.fingerprint);
    assert.equal(await store().endpointOf({ kind: "x509", name: "valve", fingerprint: "ab" }), undefined);
    assert.equal(await store().authoritiesPem(), "");
    assert.equal(changes, 2);
    await assert.rejects(store().removeAuthority(added.fingerprint), { code: "UNKNOWN_AUTHORITY" });
    stop();
  });

  test("a device's own certificate is for its name; withdrawn, no authority lets it in again", async () => {
    const authority = createAuthority(folder, "own-ca");
    const { certificate } = authority.issue("tap");
    await assert.rejects(store().add("not-tap", { kind: "x509", certificatePem: certificate }), {
      code: "CERTIFICATE_NAME",
    });
    await assert.rejects(store().addAuthority(certificate), { code: "AUTHORITY" });
    const made = await store().add("tap", { kind: "x509", certificatePem: certificate });
    const own = { kind: "x509", name: "tap", fingerprint: made.identity } as const;
    assert.match(await store().authoritiesPem(), /BEGIN CERTIFICATE/);
    assert.equal(await store().endpointOf(own), "tap");
    const { fingerprint } = await store().addAuthority(authority.certificate);
    assert.equal(await store().endpointOf({ ...own, fingerprint: "another" }), undefined, "the device is pinned");
    await store().remove("tap", made.id);
    assert.deepEqual(withdrawn.at(-1), own);
    assert.equal(await store().endpointOf(own), undefined);
    assert.equal((await store().list("tap"))[0]?.state, "withdrawn");
    await store().removeAuthority(fingerprint);
  });
});

describe("keys at rest", () => {
  test("no key is in the database, in any writing", async () => {
    const key = randomBytes(16);
    const given = await store().add("at-rest", { ...psk, key: key.toString("hex") });
    const made = await store().add("at-rest", psk);
    const text = await dump();
    for (const secret of [key, Buffer.from(made.key ?? "", "hex")])
      for (const writing of [secret.toString("hex"), secret.toString("base64"), secret.toString("latin1")])
        assert.ok(!text.toLowerCase().includes(writing.toLowerCase()));
    assert.ok(text.includes(given.identity));
  });

  test("a sealed key opens in its own row alone, and not when one bit of it changed", async () => {
    const keys = await MasterKeys.open({ text: "11".repeat(32), file: "" });
    const sealed = keys.seal(Buffer.from("secret"), "here");
    assert.equal(`${keys.unseal(sealed, "here")}`, "secret");
    assert.throws(() => keys.unseal(sealed, "there"), { code: "SEALED" });
    for (let at = 0; at < sealed.bytes.length; at += 1) {
      const changed = Buffer.from(sealed.bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert.throws(() => keys.unseal({ ...sealed, bytes: changed }, "here"), { code: "SEALED" });
    }
    assert.notDeepEqual(keys.seal(Buffer.from("secret"), "here").bytes, sealed.bytes);
  });

  test("another master key is one clear error at the start", async () => {
    await assert.rejects(
      again({ masterKey: { text: "22".repeat(32), file: "" } }),
      (error: Error & { code: string }) => {
        assert.equal(error.code, "MASTER_KEY");
        assert.match(error.message, /--master-key-file or AIRLIFT_MASTER_KEY/);
        return true;
      },
    );
  });

  test("the key file is made once, for its owner alone; a broken or open one is refused without being shown", async () => {
    const file = join(folder, "new", "master.key");
    let told = "";
    await MasterKeys.open({ text: null, file, onCreated: (name) => (told = name) });
    assert.deepEqual([told, statSync(file).mode & 0o777], [file, 0o600]);
    const text = readFileSync(file, "utf8");
    const second = await MasterKeys.open({ text: null, file, onCreated: () => assert.fail("again") });
    assert.equal(readFileSync(file, "utf8"), text);
    assert.ok(!text.includes(second.currentVersion));
    chmodSync(file, 0o644);
    await assert.rejects(MasterKeys.open({ text: null, file }), /open to everybody/);
    writeFileSync(join(folder, "broken"), "abcdef", { mode: 0o600 });
    await assert.rejects(MasterKeys.open({ text: null, file: join(folder, "broken") }), (error: Error) => {
      assert.ok(!error.message.includes("abcdef"));
      return true;
    });
  });

  test("a change of the master key reaches every row, goes on after a stop, and then the old key opens nothing", async () => {
    const made = await store().add("sealed-anew", psk);
    const file = join(scratch.folder, "master.key");
    const old = readFileSync(file, "utf8").trim();
    const change = await store().rotateMasterKey();
    assert.ok(change.reencryptedCount > 0);
    const fresh = readFileSync(file, "utf8").trim();
    assert.match(fresh, /^[0-9a-f]{64}$/);
    assert.notEqual(fresh, old);
    assert.equal(Buffer.from((await store().psk(made.identity)) ?? []).toString("hex"), made.key);
    await assert.rejects(again({ masterKey: { text: old, file: "" } }), { code: "MASTER_KEY" });
    // Stopped between making the new key and sealing: the file holds both.
    writeFileSync(file, `${"33".repeat(32)}\n${fresh}\n`, { mode: 0o600 });
    const stopped = await again();
    assert.equal(Buffer.from((await stopped.credentials.psk(made.identity)) ?? []).toString("hex"), made.key);
    await stopped.credentials.rotateMasterKey();
    assert.equal(readFileSync(file, "utf8").trim(), "33".repeat(32));
    await stopped.close();
    const fixed = await again({ masterKey: { text: `${"44".repeat(32)},${"33".repeat(32)}`, file: "" } });
    await assert.rejects(fixed.credentials.rotateMasterKey(), { code: "MASTER_KEY_FIXED" });
    await fixed.credentials.tidy();
    await fixed.close();
    const last = await again({ masterKey: { text: "44".repeat(32), file: "" } });
    assert.equal(Buffer.from((await last.credentials.psk(made.identity)) ?? []).toString("hex"), made.key);
    await last.close();
  });
});

test("an import adds what is new, leaves what is there, and tells for each line what is wrong", async () => {
  const other = await openScratchStores();
  try {
    const line = (endpoint: string, identity: string, key: string) => ({
      endpoint,
      credential: { ...psk, identity, key },
    });
    const key = "0f".repeat(16);
    const items = [
      line("a", "a", key),
      line("b", "b", key),
      line("c", "a", key),
      { endpoint: "d" },
      line("e", "e", "xyz"),
    ];
    const first = await other.stores.credentials.addAll(items);
    // Two of one identity at once: one of them wins.
    assert.equal(first.items.filter(({ outcome }) => outcome === "added").length, 2);
    assert.deepEqual(
      first.items.slice(3).map(({ code }) => code),
      ["VALIDATION", "VALIDATION"],
    );
    assert.ok(!JSON.stringify(first).includes("xyz"));
    const second = await other.stores.credentials.addAll(items.slice(0, 2));
    assert.deepEqual(second.items.map(({ outcome }) => outcome).sort(), ["unchanged", "unchanged"]);
    const changed = await other.stores.credentials.addAll([line("b", "b", "0e".repeat(16))]);
    assert.equal(changed.items[0]?.code, "CREDENTIAL_EXISTS");
  } finally {
    await other.close();
  }
});

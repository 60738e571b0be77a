import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { entriesOfAccount } from "@airlift/protocol/lwm2m/bootstrap/accounts";
import { Flash, PowerCut } from "@airlift/sim/flash";
import { seeded } from "@airlift/sim/world";
import type { StoredConfiguration } from "../bootstrap-options.ts";
import { createCredentialStore } from "./credential-file.ts";

function configuration(identity: string) {
  const { security, server } = entriesOfAccount(
    {
      uri: "coaps://fleet.example",
      security: { mode: "psk", identity, key: encodeUtf8("sixteen octets!!") },
      shortServerId: 1,
      lifetimeS: 300,
      binding: "U",
    },
    { securityInstance: 1, serverInstance: 0 },
  );
  return [...security, ...server];
}

/** The saves of a bootstrap: what was given is on trial, then it has worked. */
const OLD: StoredConfiguration = { former: configuration("old"), untried: undefined };
const TRIAL: StoredConfiguration = { former: configuration("old"), untried: configuration("new") };
const NEW: StoredConfiguration = { former: configuration("new"), untried: undefined };

async function bootstrap(flash: Flash): Promise<void> {
  const store = createCredentialStore(flash);
  await store.save(TRIAL);
  await store.save(NEW);
}

test("what was saved is there again, octet for octet", async () => {
  const flash = new Flash();
  assert.deepEqual(await createCredentialStore(flash).load(), { former: undefined, untried: undefined });
  await createCredentialStore(flash).save(TRIAL);
  assert.deepEqual(await createCredentialStore(flash).load(), TRIAL);
});

test("a power cut at any operation of a bootstrap leaves one whole state: the old, the trial or the new", async () => {
  const seed = Date.now();
  const random = seeded(seed);
  let cuts = 0;
  for (let at = 0; ; at += 1) {
    const flash = new Flash();
    await createCredentialStore(flash).save(OLD);
    flash.cutAt = flash.operationCount + at;
    const isCut = await bootstrap(flash).then(
      () => false,
      (error: unknown) => {
        if (error instanceof PowerCut) return true;
        throw error;
      },
    );
    flash.restart(random);
    const found = await createCredentialStore(flash).load();
    const isWhole = [OLD, TRIAL, NEW].some((state) => isSame(state, found));
    assert.ok(isWhole, `seed ${seed}, cut ${at}`);
    if (!isCut) {
      assert.deepEqual(found, NEW);
      break;
    }
    cuts += 1;
  }
  assert.ok(cuts >= 8, `${cuts} cuts`);
});

function isSame(a: StoredConfiguration, b: StoredConfiguration): boolean {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}

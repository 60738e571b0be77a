import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { test } from "node:test";
import { dtlsCrypto } from "@airlift/runtime/dtls-crypto";
import { concat, EMPTY, toHex } from "../lib/bytes.ts";
import { keyBlock, keysOf } from "./key-schedule.ts";
import { createProtection } from "./protection.ts";
import { CONTENT_TYPE, type DtlsRecord, decodeRecords } from "./record.ts";
import { SUITES } from "./suites.ts";

const fill = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
const master = dtlsCrypto.createHmac(fill(48, 3));
const randoms = { clientRandom: fill(32, 1), serverRandom: fill(32, 2) };
const ID = Uint8Array.of(1, 2, 3, 4, 5, 6);

for (const suite of SUITES) {
  const keys = keysOf(keyBlock(master, suite, randoms), suite, "client");
  const protection = createProtection(dtlsCrypto, suite, keys);
  const first = (datagram: Uint8Array): DtlsRecord => decodeRecords(datagram, ID.length)[0] as DtlsRecord;

  test(`${suite.name}: what is sealed is opened, with and without a Connection ID, of any length`, () => {
    for (const id of [EMPTY, ID]) {
      for (const length of [0, 1, 15, 16, 17, 100, 1_200]) {
        const content = { type: CONTENT_TYPE.applicationData, bytes: fill(length, 7) };
        const opened = protection.open(first(protection.seal(content, 5, id)));
        assert.deepEqual(opened, content);
      }
    }
  });

  test(`RFC 9146 §4: ${suite.name}: zeros behind the true type are padding, and a type there must be`, () => {
    const padded = (bytes: readonly number[]) => {
      // What is sealed under type 0 ends with one more zero.
      const sealed = protection.seal({ type: 0, bytes: Uint8Array.from(bytes) }, 6, ID);
      return protection.open(first(sealed));
    };
    assert.deepEqual(padded([65, 66, 23, 0, 0]), { type: 23, bytes: Uint8Array.of(65, 66) });
    assert.equal(padded([0, 0, 0]), undefined);
  });

  test(`RFC 9146 §5: ${suite.name}: type, version, epoch, number and Connection ID are all authenticated`, () => {
    for (const id of [EMPTY, ID]) {
      const record = first(protection.seal({ type: CONTENT_TYPE.alert, bytes: fill(2, 1) }, 9, id));
      const other = { ...record, connectionId: Uint8Array.of(1, 2, 3, 4, 5, 7) };
      const changed: DtlsRecord[] = [
        { ...record, version: 0xfeff },
        { ...record, epoch: 2 },
        { ...record, sequence: 10 },
        { ...record, type: CONTENT_TYPE.applicationData },
        ...(id === ID ? [other] : []),
      ];
      assert.ok(protection.open(record));
      for (const each of changed) assert.equal(protection.open(each), undefined);
    }
  });
}

test("RFC 6655 §3, RFC 9146 §5.3: AES-CCM-8 with the nonce and the additional data of the specification", () => {
  const [suite] = SUITES.filter(({ name }) => name === "TLS_PSK_WITH_AES_128_CCM_8");
  if (suite === undefined) return assert.fail();
  const keys = keysOf(keyBlock(master, suite, randoms), suite, "client");
  const record = createProtection(dtlsCrypto, suite, keys).seal({ type: 23, bytes: Uint8Array.of(65) }, 0x0102, ID);
  const explicit = Uint8Array.of(0, 1, 0, 0, 0, 0, 1, 2);
  const inner = Uint8Array.of(65, 23);
  const associated = concat([fill(8, 0xff), Uint8Array.of(25, 6, 25, 0xfe, 0xfd), explicit, ID, Uint8Array.of(0, 2)]);
  const cipher = createCipheriv("aes-128-ccm", keys.key, concat([keys.iv, explicit]), { authTagLength: 8 });
  cipher.setAAD(associated, { plaintextLength: inner.length });
  const sealed = concat([cipher.update(inner), cipher.final(), cipher.getAuthTag()]);
  assert.equal(toHex(record.slice(13 + ID.length)), toHex(concat([explicit, sealed])));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY, toHex } from "../lib/bytes.ts";
import { uintOption } from "./options.ts";
import {
  applyCsm,
  BASE_CAPABILITIES,
  checkSignalOptions,
  encodeAbort,
  encodeCsm,
  encodePing,
  encodePong,
  encodeRelease,
  hasCustody,
  SIGNAL,
  SIGNAL_OPTION,
} from "./signals.ts";
import { blocksWithin } from "./tcp-connection.ts";
import { decodeTcpMessage } from "./tcp-message.ts";

test("RFC 8323 §5.3: capabilities go over as they are, and what a later CSM does not say stays", () => {
  const told = { maxMessageBytes: 65_792, isBlockwise: true };
  const csm = decodeTcpMessage(encodeCsm(told));
  assert.equal(csm.code, SIGNAL.csm);
  assert.deepEqual(applyCsm(BASE_CAPABILITIES, csm), told);
  assert.deepEqual(applyCsm(told, { ...csm, options: [] }), told);
  assert.deepEqual(applyCsm(BASE_CAPABILITIES, { ...csm, options: [] }), {
    maxMessageBytes: 1_152,
    isBlockwise: false,
  });
});

test("§5.3: an unknown critical option in a CSM is named, an elective one passed over", () => {
  const csm = (number: number) => ({
    code: SIGNAL.csm,
    token: EMPTY,
    options: [uintOption(number, 1)],
    payload: EMPTY,
  });
  assert.throws(() => applyCsm(BASE_CAPABILITIES, csm(9)), { facts: { badCsmOption: 9 } });
  assert.deepEqual(applyCsm(BASE_CAPABILITIES, csm(10)), BASE_CAPABILITIES);
  assert.throws(() => checkSignalOptions(csm(9)), { code: "COAP_SIGNAL_OPTION" });
});

test("§5.4, §5.5, §5.6: Ping, Pong, Release and Abort on the wire", () => {
  assert.equal(toHex(encodePing()), "00e2");
  assert.equal(toHex(encodePong(Uint8Array.of(5), false)), "01e305");
  const pong = encodePong(Uint8Array.of(5), true);
  assert.equal(toHex(pong), "11e30520");
  assert.ok(hasCustody(decodeTcpMessage(pong)));
  assert.equal(toHex(encodeRelease()), "00e4");
  const abort = decodeTcpMessage(encodeAbort("why", 9));
  assert.deepEqual(abort.options, [uintOption(SIGNAL_OPTION.badCsmOption, 9)]);
  assert.equal(abort.code, SIGNAL.abort);
});

test("§5.3.2, §6: groups of blocks only for who knows block-wise and has room for more than the base size", () => {
  const blocks = (maxMessageBytes: number, isBlockwise = true) =>
    blocksWithin({ maxMessageBytes, isBlockwise }, 65_536).maxBytes;
  assert.equal(blocks(1_152), 1_024);
  assert.equal(blocks(8_388_864), 65_536);
  assert.equal(blocks(8_388_864, false), 1_024);
  assert.equal(blocks(5_000), 4_096);
  assert.equal(blocks(700), 512);
  assert.equal(blocks(0), 16);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { CODE, formatCode } from "@airlift/protocol/coap/codes";
import { createRequest } from "@airlift/protocol/coap/exchange";
import { pino } from "pino";
import { BootstrapDoor, type BootstrapVisitor } from "./bootstrap-door.ts";

const visitor: BootstrapVisitor = {
  identity: { kind: "psk", name: "factory" },
  address: "192.0.2.7:1",
  request: () => new Promise(() => {}),
};
const ask = (path: "bs" | "bspack") => createRequest(path === "bs" ? "post" : "get", `/${path}?ep=pump`);

/** A store that writes keys when it is told to. */
function slowStore() {
  const writes: (() => void)[] = [];
  const door = new BootstrapDoor({
    credentials: {
      scopeOf: async () => "pump",
      isInUse: async () => false,
      issueDeviceCredential: async () => {
        await new Promise<void>((resolve) => void writes.push(resolve));
        return { identity: `key-${writes.length}`, key: new Uint8Array(16) };
      },
    },
    log: pino({ level: "silent" }),
    serverUri: async () => "coaps://192.0.2.1",
    onNews: () => {},
  });
  return { door, writes };
}

for (const second of ["bs", "bspack"] as const)
  test(`LwM2M 1.2 §6.1.7.5: while a device's pack is made its next request, ${second}, is answered later, and no second key is made`, async () => {
    const { door, writes } = slowStore();
    const pack = door.answer(ask("bspack"), visitor);
    const early = await door.answer(ask(second), visitor);
    assert.equal(formatCode(early.code), "5.03");
    while (writes.length === 0) await new Promise(setImmediate);
    for (const write of writes) write();
    assert.equal((await pack).code, CODE.content);
    assert.equal(writes.length, 1);
    door.close();
  });

test("a pack ends what was begun step by step: the device would be given two keys", async () => {
  const { door, writes } = slowStore();
  const begun = door.answer(ask("bs"), visitor);
  while (writes.length === 0) await new Promise(setImmediate);
  writes[0]?.();
  assert.equal((await begun).code, CODE.changed);
  assert.equal(door.sessionCount, 1);
  const pack = door.answer(ask("bspack"), visitor);
  while (writes.length === 1) await new Promise(setImmediate);
  writes[1]?.();
  assert.equal((await pack).code, CODE.content);
  assert.equal(door.sessionCount, 0);
  door.close();
});

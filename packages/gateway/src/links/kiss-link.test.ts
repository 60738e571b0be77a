import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { encodeKiss } from "./kiss.ts";
import { openKissLink } from "./kiss-link.ts";

/** Of them only one may be on its way at a time. */
const FRAME = new Uint8Array(1_000).fill(1);
const NEVER_MS = 2 ** 31 - 1;

/** A connection to a modem, and the numbers of the frames that it was given. */
class Connection {
  readonly ids: number[] = [];
  readonly stream = new Duplex({
    read: () => undefined,
    write: (bytes: Buffer, _encoding, done) => {
      const text = bytes.toString("latin1").replaceAll("\xdb\xdc", "\xc0").replaceAll("\xdb\xdd", "\xdb");
      this.ids.push(Buffer.from(text, "latin1").readUInt16BE(2));
      done();
    },
  });

  confirm(id: number): void {
    this.stream.push(encodeKiss(new Uint8Array(0), id));
  }
}

test("what a modem confirms of an earlier connection is taken for nothing of this one", async () => {
  const connections: Connection[] = [];
  const open = async () => {
    const connection = new Connection();
    connections.push(connection);
    return connection.stream;
  };
  const link = await openKissLink({
    uri: "modem",
    open,
    confirms: true,
    stallMs: NEVER_MS,
    nowMs: () => 0,
    retry: { firstMs: 1, longestMs: 1 },
  });
  let heardCount = 0;
  link.listen(() => {
    heardCount += 1;
  });
  const until = async (isSo: () => boolean) => {
    while (!isSo()) await new Promise(setImmediate);
  };
  try {
    link.send(FRAME);
    const [first = assert.fail()] = connections;
    await until(() => first.ids.length === 1);
    first.stream.destroy();
    await until(() => link.counts.healedCount === 1);
    const second = connections[1] ?? assert.fail();
    for (let i = 0; i < 3; i += 1) link.send(FRAME);
    await until(() => second.ids.length === 1);
    for (const id of first.ids) second.confirm(id);
    // What it says next was heard, so that was, too.
    second.stream.push(encodeKiss(FRAME));
    await until(() => heardCount === 1);
    assert.equal(second.ids.length, 1);
    second.confirm(second.ids[0] ?? assert.fail());
    await until(() => second.ids.length === 2);
  } finally {
    await link.close();
  }
});

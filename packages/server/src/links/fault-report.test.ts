import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { udpPeerKey } from "../fleet/sender.ts";
import { exampleRegistration } from "../store/scratch-stores.ts";
import type { Visitor } from "./door.ts";
import { FaultReport } from "./fault-report.ts";

test("a flood is told on its device's timeline, one message as one", () => {
  const address = "192.0.2.7:5683";
  const sender = { transport: "udp", peerKey: udpPeerKey(address), address, provenEndpoint: undefined } as const;
  for (const [count, told] of [
    [1, "1 message was held back"],
    [20, "20 messages were held back"],
  ] as const) {
    const sentences: string[] = [];
    const report = new FaultReport({
      record: { append: ({ sentence }) => void sentences.push(sentence) },
      gatekeeper: { senderOf: () => sender },
      log: pino({ level: "silent" }),
      registrationOf: () => exampleRegistration("pump"),
    });
    report.flood({ ...sender, identity: undefined, peer: {} } satisfies Visitor, count);
    assert.deepEqual(sentences, [`more came from ${address} over udp than one device may send: ${told}`]);
    report.close();
  }
});

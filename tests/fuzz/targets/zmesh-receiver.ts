/** Fuzz target: a receiver that hears anything. It may refuse, ask and give up, but never throw, and never program a word twice. */
import { PackedContent } from "@airlift/protocol/zmesh/packed-content";
import { Receiver } from "@airlift/protocol/zmesh/receiver";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import { SimWordFlash } from "@airlift/sim/word-flash";
import { seeded } from "@airlift/sim/world";
import type { FuzzTarget } from "../target.ts";

const bytes = Uint8Array.from({ length: 400 }, (_, i) => i * 7);
const keys = { key: new Uint8Array(16), iv: new Uint8Array(9) };
const content = new PackedContent({ uri: "zdm/sw/A-B-1", bytes, ...keys }, {}, zmeshCrypto);
const UTC_MS = 1_800_000_000_000;

/** SEQ 3, length 1, payload: one frame after the other. */
function frames(seqs: readonly number[]): Uint8Array {
  return Uint8Array.from(
    seqs.flatMap((seq) => {
      const payload = content.payloadAt(seq);
      return [seq >> 16, seq >> 8, seq, payload.length, ...payload].map((octet) => octet & 0xff);
    }),
  );
}

const { dataCount } = content;
const all = Array.from({ length: dataCount + 2 }, (_, seq) => seq);

export const zmeshReceiver: FuzzTarget = {
  name: "zmesh-receiver",
  corpus: [
    frames(all),
    frames([dataCount + 1, 1, 2]),
    frames([0, 1, 3, dataCount + 2, dataCount + 3, 2 ** 24 - 1, dataCount + 4]),
  ],
  run(input) {
    const flash = () => new SimWordFlash({ sizeBytes: 16_384, pageBytes: 2_048 });
    const [slotFlash, scratchFlash] = [flash(), flash()];
    const ports = { crypto: zmeshCrypto, random: seeded(1), slotFlash, scratchFlash, allowsUnsigned: true };
    const receiver = new Receiver(ports);
    receiver.step({ kind: "schedule", schedule: content.scheduleAt(UTC_MS), utcMs: UTC_MS }, 0);
    for (let at = 0, nowMs = 0; at + 4 <= input.length; nowMs += 1_000) {
      const [high = 0, middle = 0, low = 0, length = 0] = input.subarray(at, at + 4);
      const payload = input.subarray(at + 4, at + 4 + length);
      receiver.step({ kind: "content", seq: (high << 16) | (middle << 8) | low, payload }, nowMs);
      at += 4 + length;
    }
    receiver.step({ kind: "wake" }, 1e9);
  },
};

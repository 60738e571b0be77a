/** The device of a broadcast that missed most, replayed with the real reception on flash that is programmed once. */
import { ContentCipher } from "@airlift/protocol/zmesh/content-cipher";
import type { ZmeshCrypto } from "@airlift/protocol/zmesh/crypto-port";
import { PackedContent } from "@airlift/protocol/zmesh/packed-content";
import { Reception } from "@airlift/protocol/zmesh/reception";
import { RepairEncoder } from "@airlift/protocol/zmesh/repair-encoder";
import { repairRows } from "@airlift/protocol/zmesh/repair-rows";
import { SimWordFlash } from "../word-flash.ts";
import { seeded } from "../world.ts";
import type { BroadcastFigures } from "./broadcast-figures.ts";
import { rememberKeystreams } from "./keystream-cache.ts";

export interface WorstDevice {
  readonly missingCount: number;
  /** The most that bitmap, triangle, order, stripe and row took together. */
  readonly decoderRamBytes: number;
  /** Words of the slot that were programmed; a second time would have thrown `ProgrammedTwice`. */
  readonly wordsProgrammed: number;
  readonly wordsInImage: number;
  readonly isImageRight: boolean;
}

export function replayWorstDevice(
  { missing, parity }: BroadcastFigures["worst"],
  dataCount: number,
  plainCrypto: ZmeshCrypto,
): WorstDevice {
  const random = seeded(1);
  const crypto = rememberKeystreams(plainCrypto);
  const bytes = Uint8Array.from({ length: dataCount * 48 }, () => random() * 255);
  const keys = { key: new Uint8Array(16).fill(1), iv: new Uint8Array(9) };
  const content = new PackedContent({ uri: "zdm/sw/A-B-1", bytes, ...keys }, {}, crypto);
  const slotFlash = flashOf(bytes.length);
  const reception = new Reception(
    {
      profile: { ...content.begin, chunkBytes: content.chunkBytes, repairScheme: content.end.repairScheme },
      cipher: new ContentCipher({ encType: content.encType, name: content.name, ...keys }, crypto),
      crypto,
      slotFlash,
      scratchFlash: flashOf(dataCount * 120 + 65_536),
      tagBytes: 0,
      usesRepair: true,
      maxMissing: missing.length,
    },
    "new",
  );
  const payloads = Array.from({ length: dataCount }, (_, i) => content.payloadAt(i + 1));
  const lost = new Set(missing);
  for (const [i, payload] of payloads.entries()) if (!lost.has(i + 1)) reception.takeData(i + 1, payload);
  const encoder = new RepairEncoder(repairRows(content.end.repairScheme, dataCount), payloads);
  for (const n of parity) reception.takeParity(n, encoder.parity(n));
  reception.repair();
  return {
    missingCount: missing.length,
    decoderRamBytes: reception.peakRamBytes,
    wordsProgrammed: slotFlash.programCount,
    wordsInImage: bytes.length / 8,
    isImageRight: reception.missingCount === 0 && reception.verify(),
  };
}

const PAGE_BYTES = 2048;

const flashOf = (sizeBytes: number): SimWordFlash =>
  new SimWordFlash({ sizeBytes: Math.ceil(sizeBytes / PAGE_BYTES) * PAGE_BYTES, pageBytes: PAGE_BYTES });

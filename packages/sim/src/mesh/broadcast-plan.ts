/** What a broadcast is going to cost, by closed forms and the real ledger: no device is simulated. */
import { UsageError } from "@airlift/protocol/lib/errors";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { chunkBytesFor, dataCountOf, ENC_TYPE, LARGEST_DATA_COUNT } from "@airlift/protocol/zmesh/chunking";
import { DutyLedger } from "@airlift/protocol/zmesh/duty-ledger";
import type { SubBand } from "@airlift/protocol/zmesh/regions";
import { idealPackets, normalQuantile, openLoopRepairs } from "@airlift/protocol/zmesh/repair-plan";
import { DEFAULT_SLOT_MS } from "@airlift/protocol/zmesh/transmitter-types";
import { alwaysListeningJoules, sleepingJoules } from "./energy.ts";

export interface PlanInput {
  readonly imageBytes: number;
  readonly deviceCount: number;
  /** Share of packets a device loses, 0 … 0.9. */
  readonly loss: number;
  readonly subBand: SubBand;
  readonly rateBps: number;
  readonly mtuBytes: number;
  /** Between the beginnings of two packets; back to back when absent. */
  readonly gapMs?: number;
}

export interface BroadcastPlan {
  readonly imageBytes: number;
  readonly chunkBytes: number;
  readonly dataCount: number;
  /** Data and Repair until the last device is complete, in the mean. */
  readonly packetCount: number;
  readonly openLoopRepairCount: number;
  readonly band: string;
  /** All frames, Begin, End and polls included. */
  readonly airtimeMs: number;
  readonly budgetMs: number;
  readonly windowMs: number;
  /** Airtime in budgets of one window: above 1 the broadcast has to wait for the law. On one channel, if the law is for channels. */
  readonly budgetShare: number;
  readonly gapMs: number;
  /** From the first Begin to the last packet. */
  readonly durationMs: number;
  readonly sleepingJoules: number;
  readonly listeningJoules: number;
  readonly decoderRamBytes: number;
}

/** Begin ×3, End ×3, and four polls, of which two find nobody. */
const CONTROL_COUNT = 10;
/** What the code needs beyond the ideal one, mostly once, for the device that is last. */
const OVERHEAD = 3;

/** @throws {UsageError} `IMAGE_EMPTY`; `MTU_RANGE`; `IMAGE_SIZE` when SEQ cannot number its packets; `PACKET_TOO_LONG` when the sub-band has no room for even one packet. */
export function planBroadcast(input: PlanInput): BroadcastPlan {
  const { imageBytes, deviceCount, loss, subBand, rateBps } = input;
  if (imageBytes === 0) throw new UsageError("IMAGE_EMPTY", "the image is empty");
  const chunkBytes = chunkBytesFor(input.mtuBytes, ENC_TYPE.ctr);
  const dataCount = dataCountOf(imageBytes, chunkBytes);
  if (dataCount > LARGEST_DATA_COUNT)
    throw new UsageError("IMAGE_SIZE", "the image has more packets than can be numbered", { dataCount });
  const packetCount = Math.ceil(idealPackets({ dataCount, loss }, deviceCount)) + (loss > 0 ? OVERHEAD : 0);
  const packetMs = airtimeMs(chunkBytes, rateBps);
  const gapMs = Math.max(packetMs, input.gapMs ?? 0);
  const allCount = packetCount + CONTROL_COUNT;
  const ledger = new DutyLedger(subBand.limit);
  // On a band that is hopped over, each packet has another channel, and only they are limited.
  const channelCount = subBand.channelCount ?? 1;
  const sendingMs = channelCount > 1 ? allCount * gapMs : durationOf({ ledger, count: allCount, packetMs, gapMs });
  const pollsMs = 2 * Math.max(16, Math.ceil(deviceCount * 0.04)) * DEFAULT_SLOT_MS;
  const listening = { packetCount: allCount, airtimeMs: packetMs, gapMs };
  return {
    imageBytes,
    chunkBytes,
    dataCount,
    packetCount,
    openLoopRepairCount: openLoopRepairs({ dataCount, loss }),
    band: subBand.name,
    airtimeMs: allCount * packetMs,
    budgetMs: ledger.budgetMs * channelCount,
    windowMs: subBand.limit.windowMs,
    budgetShare: (allCount * packetMs) / (ledger.budgetMs * channelCount),
    gapMs,
    durationMs: sendingMs + pollsMs,
    sleepingJoules: sleepingJoules(listening),
    // Who never sleeps listens through the waits for the law and the slots of polls, too.
    listeningJoules: alwaysListeningJoules({ ...listening, gapMs: (sendingMs + pollsMs) / allCount }),
    decoderRamBytes: decoderRamBytes(dataCount, missedByWorst(dataCount, loss, deviceCount)),
  };
}

/** L (L + 1) / 16 + 10 L + K / 8 octets, and two rows of bits. */
function decoderRamBytes(dataCount: number, missing: number): number {
  return Math.ceil((missing * (missing + 1)) / 16 + 10 * missing + dataCount / 8 + missing / 8 + 16);
}

function missedByWorst(dataCount: number, loss: number, deviceCount: number): number {
  const deviation = Math.sqrt(dataCount * loss * (1 - loss));
  return Math.min(dataCount, Math.ceil(dataCount * loss + normalQuantile(1 - 0.56 / deviceCount) * deviation));
}

/** How long the ledger makes it last. */
function durationOf(sending: {
  readonly ledger: DutyLedger;
  readonly count: number;
  readonly packetMs: number;
  readonly gapMs: number;
}): number {
  const { ledger, count, packetMs, gapMs } = sending;
  let atMs = 0;
  let endMs = 0;
  for (let i = 0; i < count; i += 1) {
    atMs = ledger.earliestMs(packetMs, atMs);
    if (!Number.isFinite(atMs)) throw new UsageError("PACKET_TOO_LONG", "the sub-band has no room for one packet");
    ledger.book(atMs, packetMs);
    endMs = atMs + packetMs;
    atMs += gapMs;
  }
  return endMs;
}

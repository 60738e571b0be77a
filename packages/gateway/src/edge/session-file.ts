/** What of a session survives: the order, how far it has got, and how it ended. */
import { readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { HoldOrder, PartTally, SESSION_OUTCOMES, TransmitOrder } from "@airlift/protocol/api/gateway";
import type { TransmitterRecord } from "@airlift/protocol/zmesh/transmitter-types";
import { z } from "zod";
import { readJson, replaceFile } from "./durable-file.ts";

const SessionRecord = z.object({
  order: z.discriminatedUnion("kind", [TransmitOrder, HoldOrder]),
  /** Place of the present part. */
  part: z.int().min(0),
  /** Whether the schedules went out. */
  isAnnounced: z.boolean(),
  /** Of the present part; its own file format is the transmitter's. */
  transmitter: z.custom<TransmitterRecord>((value) => typeof value === "object" && value !== null).nullable(),
  tallies: z.array(PartTally),
  commandAirtimeMs: z.number(),
  /** Next number of the poll channel: stored before it is used. */
  nextFseq: z.int(),
  outcome: z.enum(SESSION_OUTCOMES).nullable(),
});
export type SessionRecord = z.infer<typeof SessionRecord>;

/** A session that has not begun. */
export function newSession(order: SessionRecord["order"]): SessionRecord {
  return {
    order,
    part: 0,
    isAnnounced: false,
    transmitter: null,
    tallies: [],
    commandAirtimeMs: 0,
    nextFseq: order.kind === "transmit" ? order.pollChannel.firstFseq : 0,
    outcome: null,
  };
}

/** The sessions' folder. Calls return when what they did is durable; the errors are those of node:fs. */
export class SessionFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** All that can be read; files of another form are passed over and named. */
  load(): { readonly records: SessionRecord[]; readonly damaged: string[] } {
    const records: SessionRecord[] = [];
    const damaged: string[] = [];
    for (const name of readdirSync(this.#folder)) {
      if (!name.endsWith(".json")) continue;
      const parsed = SessionRecord.safeParse(readJson(join(this.#folder, name)));
      if (parsed.success) records.push(parsed.data);
      else damaged.push(name);
    }
    return { records, damaged };
  }

  save(record: SessionRecord): void {
    replaceFile(this.#path(record.order.sessionId), JSON.stringify(record));
  }

  remove(sessionId: string): void {
    unlinkSync(this.#path(sessionId));
  }

  #path(sessionId: string): string {
    return join(this.#folder, `${encodeURIComponent(sessionId).replaceAll(".", "%2E")}.json`);
  }
}

/** Target queries: any text is read, or refused for what it is. */
import { encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { UsageError } from "@airlift/protocol/lib/errors";
import { matches } from "@airlift/server/campaign/query/match";
import { parseQuery } from "@airlift/server/campaign/query/parse-query";
import { parseCron } from "@airlift/server/campaign/schedule/cron";
import type { FuzzTarget } from "../target.ts";

const device = {
  endpoint: "pump-1",
  manufacturer: "Acme",
  model: "pump",
  version: "1.0.0",
  hardware: null,
  tags: ["pilot"],
  presence: "registered" as const,
  lastSeenAtMs: 0,
  signalDbm: -90,
  cell: null,
  resources: { "/3/0/9": 80 },
};

/** Octets as text, one character each: what a URL or a file may hold. */
const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

export const campaignQuery: FuzzTarget = {
  name: "campaign-query",
  corpus: [
    encodeUtf8("model==pump;version=lt=2.0.0,(tags=in=(a,'b c'),lastSeen=gt=-24h)"),
    encodeUtf8('/3/0/9>=80 and endpoint=="p*" or presence!=expired'),
  ],
  run(bytes) {
    refuses(() => matches(parseQuery(textOf(bytes)), device, 0));
  },
};

export const campaignCron: FuzzTarget = {
  name: "campaign-cron",
  corpus: [encodeUtf8("*/15 0-6,22 1,15 jan-mar mon-fri"), encodeUtf8("0 2 * * 7")],
  run(bytes) {
    refuses(() => parseCron(textOf(bytes)));
  },
};

function refuses(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
}

/** What a gateway remembers of its server: the last order it took, the time of day, and its turn among its neighbours. */
import { AirCycle } from "@airlift/protocol/api/gateway";
import { readJson, replaceFile } from "./durable-file.ts";

export interface GatewayRecord {
  /** Number of the last order that was taken; 0 = none. */
  readonly lastOrder: number;
  /** Unix time that the gateway was sure of. */
  readonly lastUtcMs?: number;
  /** As the server last said; it holds while the server is away. */
  readonly turn?: AirCycle | undefined;
}

export class GatewayFile {
  /** Whether a gateway has run here before. */
  readonly wasThere: boolean;
  readonly #path: string;
  #record: GatewayRecord;

  /** What of it cannot be read counts as never known. The errors are those of node:fs. */
  constructor(path: string) {
    this.#path = path;
    const found = readJson(path);
    this.wasThere = found !== undefined;
    this.#record = recordOf(found);
  }

  get record(): GatewayRecord {
    return this.#record;
  }

  /** Durable when it returns; the errors are those of node:fs. */
  save(change: Partial<GatewayRecord>): void {
    this.#record = { ...this.#record, ...change };
    replaceFile(this.#path, JSON.stringify(this.#record));
  }
}

function recordOf(value: unknown): GatewayRecord {
  const found = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  const { lastOrder, lastUtcMs, turn } = found;
  return {
    lastOrder: typeof lastOrder === "number" ? lastOrder : 0,
    ...(typeof lastUtcMs === "number" && { lastUtcMs }),
    turn: AirCycle.safeParse(turn).data,
  };
}

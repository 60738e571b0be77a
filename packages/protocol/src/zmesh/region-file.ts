/** A region file: an operator's own table of sub-bands, where the defaults of `regions` do not fit the place or have aged. */
import { UsageError } from "../lib/errors.ts";
import { LONGEST_WINDOW_MS, type SubBand } from "./regions.ts";
import { type BandEdges, edgesIn, subBandFault } from "./sub-band-name.ts";

/** More sub-bands than any country has. */
const MOST_SUB_BANDS = 100;
const LONGEST_NAME = 64;

/**
 * Reads the JSON of a region file:
 *
 *     { "source": "who says so", "subBands": [{ "name": "868.0-868.6", "fromKhz": 868000, "toKhz": 868600, "powerMw": 25,
 *       "windowMs": 3600000, "budgetMs": 36000, "offMs": 0, "scope": "transmitter" }] }
 *
 * A name is of the form that `sub-band-name` reads, and says the same edges. `offMs` is 0 and `scope` "transmitter" unless given; "channel" wants a `channelCount` where channels are hopped over.
 *
 * @throws {UsageError} REGION with every mistake in `facts.problems`.
 */
export function decodeRegion(json: string): SubBand[] {
  const problems: string[] = [];
  const { source, subBands } = recordOf(parse(json, problems));
  if (typeof source !== "string" || source === "") problems.push("source: name the regulation or document");
  if (!Array.isArray(subBands) || subBands.length === 0 || subBands.length > MOST_SUB_BANDS) {
    problems.push(`subBands: a list of 1 … ${MOST_SUB_BANDS}`);
  }
  const bands = (Array.isArray(subBands) ? subBands.slice(0, MOST_SUB_BANDS) : []).map((one, index) =>
    toSubBand(recordOf(one), { at: `subBands[${index}]`, source: String(source), problems }),
  );
  const names = bands.map(({ name }) => name);
  if (new Set(names).size !== names.length) problems.push("subBands: two of one name");
  if (problems.length > 0) throw new UsageError("REGION", problems.join("\n"), { problems });
  return bands;
}

function parse(json: string, problems: string[]): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    problems.push(`not JSON: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

interface Place {
  readonly at: string;
  readonly source: string;
  readonly problems: string[];
}

function toSubBand(given: Record<string, unknown>, { at, source, problems }: Place): SubBand {
  const number = (key: string, least: number, fallback?: number): number => {
    const value = given[key] ?? fallback;
    if (typeof value === "number" && Number.isFinite(value) && value >= least) return value;
    problems.push(`${at}.${key}: a number from ${least} on`);
    return least;
  };
  const { name, scope = "transmitter" } = given;
  if (scope !== "transmitter" && scope !== "channel") problems.push(`${at}.scope: "transmitter" or "channel"`);
  const windowMs = number("windowMs", 1);
  const budgetMs = number("budgetMs", 0);
  if (windowMs > LONGEST_WINDOW_MS) problems.push(`${at}.windowMs: not more than a day`);
  if (budgetMs > windowMs) problems.push(`${at}.budgetMs: not more than the window`);
  const fromKhz = number("fromKhz", 1);
  const toKhz = number("toKhz", 1);
  if (toKhz <= fromKhz) problems.push(`${at}.toKhz: above fromKhz`);
  const fault = nameFault(String(name ?? ""), { fromKhz, toKhz });
  if (fault !== undefined) problems.push(`${at}.name: ${fault}`);
  return {
    name: String(name),
    fromKhz,
    toKhz,
    powerMw: number("powerMw", 0),
    limit: { windowMs, budgetMs, offMs: number("offMs", 0, 0) },
    scope: scope === "channel" ? "channel" : "transmitter",
    ...(given["channelCount"] !== undefined && { channelCount: number("channelCount", 1) }),
    source,
  };
}

function nameFault(name: string, { fromKhz, toKhz }: BandEdges): string | undefined {
  if (name.length > LONGEST_NAME) return `at most ${LONGEST_NAME} characters`;
  const edges = edgesIn(name);
  const isOther = edges !== undefined && (edges.fromKhz !== fromKhz || edges.toKhz !== toKhz);
  return subBandFault(name) ?? (isOther ? `${name} is not from ${fromKhz} to ${toKhz} kHz` : undefined);
}

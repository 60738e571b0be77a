/**
 * Which gateways broadcast an image, in which spans of time: every cell is covered, gateways that share a cell take turns, and no more is
 * planned than the law allows. Source: profile 7.
 */
import type { AirWindow } from "@airlift/protocol/api/gateway";
import { UsageError } from "@airlift/protocol/lib/errors";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { idealPackets } from "@airlift/protocol/zmesh/repair-plan";
import { lawfulWaitMs } from "./session-end.ts";

/** A gateway as a plan sees it. */
export interface PlanGateway {
  readonly id: string;
  readonly cells: readonly string[];
  readonly band: string;
  readonly rateBps: number;
  /** Share of packets a device loses. */
  readonly loss: number;
  /** Allowed in each sliding window, the reserve taken off; and what of it is used now. */
  readonly budgetMs: number;
  readonly usedMs: number;
  readonly windowMs: number;
}

/** A content as it travels. */
export interface PlanContent {
  /** K. */
  readonly dataCount: number;
  readonly payloadBytes: number;
}

export interface BroadcastNeed {
  /** In the order in which they are sent. */
  readonly contents: readonly PlanContent[];
  /** Devices by cell; null = it is not known where they are, and every gateway sends to them. */
  readonly devices: ReadonlyMap<string | null, number>;
  /** Octets of sealed commands for each device that is addressed alone, 0 for the others together. */
  readonly commandBytes: readonly number[];
  /** Between the beginnings of two packets. */
  readonly gapMs: number;
  /** In order and apart, at least one: nothing is sent outside of them. */
  readonly openings: readonly AirWindow[];
}

export interface SessionPlan {
  readonly gateway: PlanGateway;
  readonly cells: readonly string[];
  readonly deviceCount: number;
  /** Data and parity until the last device is complete, in the mean, of all contents. */
  readonly packetCount: number;
  readonly airtimeMs: number;
  /** Waits for the law included. */
  readonly durationMs: number;
  /** When the devices' turn begins: the first window's beginning. */
  readonly windows: readonly AirWindow[];
}

/** Begin ×3, End ×3, and four polls, of which two find nobody. */
const CONTROL_COUNT = 10;
/** What the code needs beyond the ideal one, for the device that is last. */
const CODE_OVERHEAD = 3;
/** A turn is planned longer than the mean says: nobody waits in vain for the end of it. */
const TURN_MARGIN = 1.5;
/** What the clocks of two gateways may differ by: each is right to half a round trip to the server. */
export const CLOCK_GUARD_MS = 500;
/** Windows that one order may carry. */
const MOST_WINDOWS = 256;

/**
 * One session for each gateway that is needed.
 *
 * @throws {UsageError} `NO_GATEWAY` when a cell has none · `AIRTIME_OVER_BUDGET` when the law does not allow it within the span, with
 *   `neededMs`, `allowedMs`, `budgetMs`, `windowMs`, `durationMs`, `spanMs` in the facts · `NO_OPENING`.
 */
export function planSessions(need: BroadcastNeed, gateways: readonly PlanGateway[]): SessionPlan[] {
  const chosen = chooseGateways(need.devices, gateways);
  const costs = chosen.map((one) => ({ ...one, ...costOf(need, one) }));
  const turns = turnsOf(costs.map(({ gateway }) => gateway));
  const turnMs = Array.from({ length: Math.max(...turns) + 1 }, () => 0);
  for (const [i, { durationMs }] of costs.entries()) {
    const turn = turns[i] ?? 0;
    turnMs[turn] = Math.max(turnMs[turn] ?? 0, durationMs);
  }
  const spanMs = need.openings.reduce((sum, { fromMs, untilMs }) => sum + untilMs - fromMs, 0);
  const allMs = turnMs.reduce((sum, one) => sum + one, 0);
  for (const one of costs) assertLawful(one, { spanMs, allMs });
  const packetsMs = costs.flatMap(({ gateway: { rateBps } }) =>
    need.contents.map(({ payloadBytes }) => airtimeMs(payloadBytes, rateBps)),
  );
  const guardMs = Math.ceil(CLOCK_GUARD_MS + Math.max(...packetsMs));
  return costs.map(({ gateway, cells, deviceCount, packetCount, airtimeMs: airtime, durationMs }, i) => ({
    gateway,
    cells,
    deviceCount,
    packetCount,
    airtimeMs: airtime,
    durationMs,
    windows: turnWindows(need.openings, { turnMs, guardMs }, turns[i] ?? 0),
  }));
}

interface Chosen {
  readonly gateway: PlanGateway;
  /** With devices that this gateway is to reach. */
  readonly cells: readonly string[];
  readonly deviceCount: number;
}

/** The fewest gateways that reach all: again and again the one that reaches most of those who are left. */
function chooseGateways(devices: ReadonlyMap<string | null, number>, gateways: readonly PlanGateway[]): Chosen[] {
  const lost = devices.get(null) ?? 0;
  const left = new Map([...devices].filter((entry): entry is [string, number] => entry[0] !== null && entry[1] > 0));
  const chosen: Chosen[] = [];
  const rest = gateways.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  while (left.size > 0) {
    const reach = (gateway: PlanGateway) => gateway.cells.reduce((sum, cell) => sum + (left.get(cell) ?? 0), 0);
    const best = rest.reduce<PlanGateway | undefined>(
      (most, one) => (reach(one) > (most === undefined ? 0 : reach(most)) ? one : most),
      undefined,
    );
    if (best === undefined) throw noGateway([...left.keys()]);
    const cells = best.cells.filter((cell) => left.has(cell));
    chosen.push({ gateway: best, cells, deviceCount: reach(best) + lost });
    for (const cell of cells) left.delete(cell);
    rest.splice(rest.indexOf(best), 1);
  }
  // Nobody knows where they are: whoever is not sending yet sends for them.
  if (lost > 0) for (const gateway of rest) chosen.push({ gateway, cells: [], deviceCount: lost });
  if (chosen.length === 0) throw noGateway([]);
  return chosen;
}

function costOf(
  { contents, commandBytes, gapMs }: BroadcastNeed,
  { gateway, deviceCount }: Chosen,
): Pick<SessionPlan, "packetCount" | "airtimeMs" | "durationMs"> {
  const { loss, rateBps } = gateway;
  let [packetCount, onAirMs, pacedMs] = [0, 0, 0];
  for (const { dataCount, payloadBytes } of contents) {
    const count = Math.ceil(idealPackets({ dataCount, loss }, deviceCount)) + (loss > 0 ? CODE_OVERHEAD : 0);
    const packetMs = airtimeMs(payloadBytes, rateBps);
    packetCount += count;
    onAirMs += (count + CONTROL_COUNT) * packetMs;
    pacedMs += (count + CONTROL_COUNT) * Math.max(gapMs, packetMs);
  }
  const commandsMs = commandBytes.reduce((sum, bytes) => sum + airtimeMs(bytes, rateBps), 0);
  const airtime = onAirMs + commandsMs;
  return { packetCount, airtimeMs: airtime, durationMs: pacedMs + commandsMs + lawfulWaitMs(airtime, gateway) };
}

/** Gateways that share a cell get different turns: 0, 1, … in their order. */
export function turnsOf(gateways: readonly Pick<PlanGateway, "cells">[]): number[] {
  const turns: number[] = [];
  for (const [i, gateway] of gateways.entries()) {
    const taken = new Set(gateways.slice(0, i).flatMap((other, k) => (overlap(gateway, other) ? [turns[k] ?? 0] : [])));
    let turn = 0;
    while (taken.has(turn)) turn += 1;
    turns.push(turn);
  }
  return turns;
}

/** Whether some device may hear both. */
export const overlap = (a: Pick<PlanGateway, "cells">, b: Pick<PlanGateway, "cells">): boolean =>
  a.cells.some((cell) => b.cells.includes(cell));

/** @throws {UsageError} NO_OPENING when each opening is over before this turn comes. */
function turnWindows(
  openings: readonly AirWindow[],
  lengths: { readonly turnMs: readonly number[]; readonly guardMs: number },
  turn: number,
): AirWindow[] {
  const windows = openings.flatMap((opening) => windowsOf(opening, lengths, turn)).slice(0, MOST_WINDOWS);
  if (windows.length > 0) return windows;
  throw new UsageError("NO_OPENING", "the download windows are too short for gateways that have to take turns", {
    turn,
  });
}

/** The turns one after the other with a guard behind each, and again, until the opening is over. */
function windowsOf(
  { fromMs, untilMs }: AirWindow,
  { turnMs, guardMs }: { readonly turnMs: readonly number[]; readonly guardMs: number },
  turn: number,
): AirWindow[] {
  if (turnMs.length === 1) return [{ fromMs, untilMs }];
  const lengths = turnMs.map((ms) => Math.ceil(ms * TURN_MARGIN) + guardMs);
  const periodMs = lengths.reduce((sum, ms) => sum + ms, 0);
  const offsetMs = lengths.slice(0, turn).reduce((sum, ms) => sum + ms, 0);
  const windows: AirWindow[] = [];
  for (let atMs = fromMs + offsetMs; atMs < untilMs && windows.length < MOST_WINDOWS; atMs += periodMs)
    windows.push({ fromMs: atMs, untilMs: Math.min(untilMs, atMs + (lengths[turn] ?? 0) - guardMs) });
  return windows;
}

function assertLawful(
  { gateway, airtimeMs: neededMs, durationMs }: Chosen & Pick<SessionPlan, "airtimeMs" | "durationMs">,
  { spanMs, allMs }: { readonly spanMs: number; readonly allMs: number },
): void {
  const { id, band, budgetMs, usedMs, windowMs } = gateway;
  if (allMs <= spanMs) return;
  const allowedMs = Math.max(0, budgetMs - usedMs) + Math.floor(spanMs / windowMs) * budgetMs;
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  throw new UsageError(
    "AIRTIME_OVER_BUDGET",
    `the broadcast wants ${seconds(neededMs)} of airtime at ${id}, and ${band} allows ${seconds(budgetMs)} in each ${seconds(windowMs)}, ` +
      `${seconds(usedMs)} of it used: it takes ${seconds(allMs)}, and there are ${seconds(spanMs)}`,
    { gatewayId: id, band, neededMs, allowedMs, budgetMs, usedMs, windowMs, durationMs, allTurnsMs: allMs, spanMs },
  );
}

const noGateway = (cells: readonly string[]): UsageError =>
  new UsageError(
    "NO_GATEWAY",
    cells.length === 0 ? "there is no gateway" : `no gateway reaches ${cells.slice(0, 5).join(", ")}`,
    { cells },
  );

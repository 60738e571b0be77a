/** When gateways that share a cell say commands, which are no broadcast's: each in its own part of a period that all of them know. Source: profile 7. */
import type { AirCycle } from "@airlift/protocol/api/gateway";
import { airtimeMs } from "@airlift/protocol/zmesh/airtime";
import { LONGEST_COMMAND_BYTES } from "@airlift/protocol/zmesh/command-channel";
import { CLOCK_GUARD_MS, overlap, type PlanGateway, turnsOf } from "./session-plan.ts";

/** In the field: a hundred commands and more fit into a turn, and who waits for the next one waits for seconds. */
const SHORTEST_TURN_MS = 2_000;
/** Commands that fit into a turn of the slowest, however slow it is: below two, a gateway may be late for each of its turns. */
const LEAST_COMMANDS = 2;

type Place = Pick<PlanGateway, "id" | "cells" | "rateBps">;

/** A gateway's turn among those it shares a cell with, and those who share one with these, and so on; undefined = it is alone. */
export function commandTurn(gateways: readonly Place[], id: string): AirCycle | undefined {
  const near = neighbourhoodOf(gateways, id);
  const turns = turnsOf(near);
  const place = near.findIndex((one) => one.id === id);
  const count = Math.max(0, ...turns) + 1;
  if (place < 0 || count === 1) return undefined;
  const longestMs = Math.max(...near.map(({ rateBps }) => airtimeMs(LONGEST_COMMAND_BYTES, rateBps)));
  const lengthMs = Math.ceil(Math.max(SHORTEST_TURN_MS, LEAST_COMMANDS * longestMs));
  const slotMs = lengthMs + CLOCK_GUARD_MS;
  return { periodMs: count * slotMs, fromMs: (turns[place] ?? 0) * slotMs, lengthMs };
}

/** By id, so that each of them finds the same. */
function neighbourhoodOf(gateways: readonly Place[], id: string): Place[] {
  const near = gateways.filter((one) => one.id === id);
  for (const one of near)
    for (const other of gateways) if (!near.includes(other) && overlap(one, other)) near.push(other);
  return near.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

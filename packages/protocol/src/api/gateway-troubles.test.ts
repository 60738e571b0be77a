import assert from "node:assert/strict";
import { test } from "node:test";
import type { GatewayState, LinkState } from "./gateway.ts";
import { gatewayTroubles } from "./gateway-troubles.ts";

const LINK: LinkState = {
  link: "kiss:/dev/ttyUSB0",
  isUp: true,
  sentCount: 0,
  heardCount: 0,
  refusedCount: 0,
  healedCount: 0,
};
const STATE: GatewayState = {
  version: "1",
  runId: "run",
  startedAtMs: 0,
  utcMs: 0,
  isClockTrusted: true,
  lastOrder: 0,
  links: [LINK],
  ledgers: [],
  sessions: [],
  waitingCount: 0,
  droppedCount: 0,
  rssBytes: 0,
};

const sentencesOf = (link: Partial<LinkState>, state: Partial<GatewayState> = {}): string[] =>
  gatewayTroubles({ ...STATE, ...state, links: [{ ...LINK, ...link }] }).map(({ sentence }) => sentence);

test("a gateway that is well, and one of an earlier version, have no troubles", () => {
  assert.deepEqual(sentencesOf({}), []);
  assert.deepEqual(sentencesOf({ heardCount: 1_000, foreignCount: 20, isMostlyForeign: false, lostCount: 0 }), []);
});

test("a link that is not there, frames that cannot be opened, reports that were refused, a modem that does not keep up: each in a sentence", () => {
  assert.deepEqual(
    sentencesOf(
      { isUp: false, heardCount: 9, foreignCount: 9, isMostlyForeign: true, lostCount: 3 },
      { setAside: { count: 2, reason: "of its name" } },
    ),
    [
      "finds its link not there: kiss:/dev/ttyUSB0",
      "hears frames it cannot open (wrong network key?): 9 of 9 at kiss:/dev/ttyUSB0",
      "set aside 2 reports that the server refused, the latest because of its name",
      "dropped 3 frames that the modem did not take in time: kiss:/dev/ttyUSB0",
    ],
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import { pino } from "pino";
import { TroubleLog } from "./trouble-log.ts";

function open() {
  const told: string[] = [];
  const refusals: string[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void told.push(JSON.parse(line).msg) });
  const place = { id: "mast", serverUrl: "https://updates.example", dataDir: "/data", band: "868.0-868.6" };
  const troubles = new TroubleLog({ ...place, log, refused: ({ message }) => void refusals.push(message) });
  return { troubles, told, refusals };
}

const away = new EnvironmentError("UNREACHABLE", "nobody there", {});
const refused = new PeerError("SERVER_REFUSED", "it answers 401", { status: 401 });

test("a server that is away is told once, and once when it is back", () => {
  const { troubles, told } = open();
  for (let i = 0; i < 2; i += 1) {
    troubles.failed(away);
    troubles.failed(away);
    troubles.answered(undefined);
    troubles.answered("868.0-868.6");
  }
  const round = ["the server cannot be reached: going on without it", "the server is back"];
  assert.deepEqual(told, [...round, ...round]);
});

test("a server that says no before it ever said yes wants another gateway; one that did is away", () => {
  const { troubles, told, refusals } = open();
  troubles.failed(refused);
  assert.deepEqual([refusals.length, told], [1, []]);
  troubles.answered(undefined);
  troubles.failed(refused);
  assert.deepEqual([refusals.length, told.length], [1, 1]);
});

test("another sub-band than the server plans for is told whenever it begins", () => {
  const { troubles, told } = open();
  for (const planned of ["869.4-869.65", "869.4-869.65", "868.0-868.6", "869.4-869.65"]) troubles.answered(planned);
  assert.equal(told.length, 2);
});

test("a disk that takes nothing is told once, until it does again", () => {
  const { troubles, told } = open();
  for (const problem of ["ENOSPC", "ENOSPC", undefined, "EIO"]) troubles.kept(problem);
  assert.equal(told.length, 2);
});

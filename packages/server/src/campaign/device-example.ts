/** A device for tests of the rules: registered, runs 1.0.0, has told nothing else. */
import type { Candidate } from "./device.ts";

export const exampleDevice = (endpoint: string, more: Partial<Candidate["device"]> = {}): Candidate["device"] => ({
  endpoint,
  manufacturer: null,
  model: null,
  version: "1.0.0",
  hardware: null,
  tags: [],
  presence: "registered",
  lastSeenAtMs: 0,
  signalDbm: null,
  cell: null,
  resources: {},
  timeZone: null,
  utcOffset: null,
  ...more,
});

/**
 * How much a transmitter may be on air, as data. These are defaults: an operator's own table replaces them.
 *
 * Sources: ETSI EN 300 220-2 V3.2.1 (2018-06), table B.1 and clause 4.3.3; CEPT/ERC Recommendation 70-03, annex 1;
 * FCC 47 CFR §15.247 (a)(1)(i).
 */

/** A budget of airtime in each sliding window. */
export interface AirtimeLimit {
  readonly windowMs: number;
  readonly budgetMs: number;
  /** Silence after each transmission; 0 = none is asked for. */
  readonly offMs: number;
}

/** A piece of spectrum with one limit for a transmitter. */
export interface SubBand {
  /** As an operator writes it: "868.0-868.6". */
  readonly name: string;
  readonly fromKhz: number;
  readonly toKhz: number;
  readonly powerMw: number;
  readonly limit: AirtimeLimit;
  /** `transmitter`: the budget is for all traffic in the sub-band. `channel`: for each channel alone; ≥ `channelCount` are hopped over. */
  readonly scope: "transmitter" | "channel";
  readonly channelCount?: number;
  readonly source: string;
}

const HOUR_MS = 3_600_000;
/** No law averages over more. */
export const LONGEST_WINDOW_MS = 24 * HOUR_MS;
const EN_300_220 = "ETSI EN 300 220-2 V3.2.1, table B.1";
const FCC = "FCC 47 CFR §15.247 (a)(1)(i)";

const dutyCycle = (share: number): AirtimeLimit => ({ windowMs: HOUR_MS, budgetMs: share * HOUR_MS, offMs: 0 });

const european = (range: readonly [fromKhz: number, toKhz: number], share: number, powerMw: number): SubBand => ({
  name: range.map((khz) => (khz / 1000).toFixed(Math.max(1, `${khz / 1000}`.split(".")[1]?.length ?? 0))).join("-"),
  fromKhz: range[0],
  toKhz: range[1],
  powerMw,
  limit: dutyCycle(share),
  scope: "transmitter",
  source: EN_300_220,
});

export const DEFAULT_SUB_BAND = "868.0-868.6";

/** All sub-bands that have a name. */
export const SUB_BANDS: readonly SubBand[] = [
  european([433_050, 434_790], 0.1, 10),
  european([863_000, 865_000], 0.001, 25),
  european([865_000, 868_000], 0.01, 25),
  european([868_000, 868_600], 0.01, 25),
  european([868_700, 869_200], 0.001, 25),
  european([869_400, 869_650], 0.1, 500),
  european([869_700, 870_000], 0.01, 25),
  { ...european([869_700, 870_000], 1, 5), name: "869.7-870.0/5mW" },
  {
    ...european([863_000, 870_000], 0, 25),
    name: "863.0-870.0/lbt",
    limit: { windowMs: HOUR_MS, budgetMs: 100_000, offMs: 100 },
    scope: "channel",
    source: "ETSI EN 300 220-2 V3.2.1, clause 4.5 (polite spectrum access), per 200 kHz",
  },
  {
    name: "902.0-928.0/50",
    fromKhz: 902_000,
    toKhz: 928_000,
    powerMw: 1000,
    limit: { windowMs: 20_000, budgetMs: 400, offMs: 0 },
    scope: "channel",
    channelCount: 50,
    source: FCC,
  },
  {
    name: "902.0-928.0/25",
    fromKhz: 902_000,
    toKhz: 928_000,
    powerMw: 250,
    limit: { windowMs: 10_000, budgetMs: 400, offMs: 0 },
    scope: "channel",
    channelCount: 25,
    source: FCC,
  },
];

/** The sub-band of this name, if there is one. */
export const subBandNamed = (name: string): SubBand | undefined => SUB_BANDS.find((band) => band.name === name);

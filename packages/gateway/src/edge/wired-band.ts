/** The "sub-band" of links that are no radio: multicast on a wire or within one machine. */
import type { SubBand } from "@airlift/protocol/zmesh/regions";
import { WIRED } from "@airlift/protocol/zmesh/sub-band-name";

const HOUR_MS = 3_600_000;

/** No law limits it; one frame at a time all the same. */
export const WIRED_BAND: SubBand = {
  name: WIRED,
  fromKhz: 0,
  toKhz: 1,
  powerMw: 0,
  limit: { windowMs: HOUR_MS, budgetMs: 2 * HOUR_MS, offMs: 0 },
  scope: "transmitter",
  source: "no radio",
};

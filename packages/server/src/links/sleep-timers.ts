/** What the network granted a sleeping device, from its Cellular Connectivity object (object 10). */
import { CODE } from "@airlift/protocol/coap/codes";
import { decodeUtf8 } from "@airlift/protocol/lib/bytes";
import { AirliftError } from "@airlift/protocol/lib/errors";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { readRequest } from "@airlift/protocol/lwm2m/operations";
import { pathOf } from "@airlift/protocol/lwm2m/path";
import { registeredObject } from "@airlift/protocol/lwm2m/registered-objects";
import type { SleepTimers } from "../fleet/presence.ts";
import type { Registration } from "../fleet/registration.ts";
import type { DeviceRequests } from "./device-requests.ts";

const CELLULAR_CONNECTIVITY_ID = 10;
/** Seconds, T3412 extended: the longest time between two of its signs of life to the network. */
const PSM_TIMER = 4;
/** Seconds, T3324: how long it can be reached after it fell idle. */
const ACTIVE_TIMER = 5;
/** One octet each: what was granted for LTE-M (WB-S1), and for NB-IoT (NB-S1). */
const EDRX = [8, 9] as const;

/** Cycles of extended DRX in S1 mode by the low half of the octet, milliseconds. @see 3GPP TS 24.008 §10.5.5.32 */
const EDRX_CYCLES_MS: readonly number[] = [
  5_120, 10_240, 20_480, 40_960, 61_440, 81_920, 102_400, 122_880, 143_360, 163_840, 327_680, 655_360, 1_310_720,
  2_621_440, 5_242_880, 10_485_760,
];

/** Resources of object 10 by path, as they are kept with the device: seconds, and the octet of eDRX as a number. */
export type SleepResources = Readonly<Record<string, number | null>>;

/**
 * What a device in queue mode tells of its sleep, null where it tells nothing; `undefined` for any other device.
 *
 * @see OMA object 10, resources 4, 5, 8 and 9; 3GPP TS 24.008 §10.5.7.3, §10.5.7.4a
 */
export async function readSleepTimers(
  requests: Pick<DeviceRequests, "request">,
  device: Registration,
): Promise<SleepResources | undefined> {
  const cellular = registeredObject(device.objects, CELLULAR_CONNECTIVITY_ID);
  const instance = cellular?.instances[0];
  if (!device.queueMode || instance === undefined) return undefined;
  const told: Record<string, number | null> = {};
  for (const resource of [PSM_TIMER, ACTIVE_TIMER, ...EDRX]) {
    const path = pathOf(CELLULAR_CONNECTIVITY_ID, instance, resource);
    told[keyOf(resource)] = (await readNumber(requests, device, { path, isOctet: resource >= EDRX[0] })) ?? null;
  }
  return told;
}

/** The timers that such resources mean: a period of PSM before one of eDRX, whose pages come the more often. */
export function sleepTimersOf(resources: Readonly<Record<string, unknown>>): SleepTimers {
  const numberAt = (resource: number): number | undefined => {
    const value = resources[keyOf(resource)];
    return typeof value === "number" ? value : undefined;
  };
  const secondsMs = (resource: number): number | undefined => {
    const seconds = numberAt(resource);
    return seconds === undefined ? undefined : seconds * 1000;
  };
  const edrx = EDRX.map(numberAt).find((octet) => octet !== undefined);
  const cycleMs = edrx === undefined ? undefined : EDRX_CYCLES_MS[edrx & 0x0f];
  return { awakeMs: secondsMs(ACTIVE_TIMER), periodMs: secondsMs(PSM_TIMER) || cycleMs };
}

/** There is one modem: whichever instance tells, it is kept as the first. */
const keyOf = (resource: number): string => `/${CELLULAR_CONNECTIVITY_ID}/0/${resource}`;

interface Wanted {
  readonly path: ReturnType<typeof pathOf>;
  readonly isOctet: boolean;
}

/** A resource as a whole number; `undefined` when the device does not tell. */
async function readNumber(
  requests: Pick<DeviceRequests, "request">,
  device: Registration,
  { path, isOctet }: Wanted,
): Promise<number | undefined> {
  const format = isOctet ? CONTENT_FORMATS.opaque : CONTENT_FORMATS.text;
  try {
    const { code, payload } = await requests.request(device, readRequest(path, format));
    if (code !== CODE.content) return undefined;
    if (isOctet) return payload.length === 1 ? payload[0] : undefined;
    const text = decodeUtf8(payload);
    return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
  } catch (error) {
    if (error instanceof AirliftError) return undefined;
    throw error;
  }
}

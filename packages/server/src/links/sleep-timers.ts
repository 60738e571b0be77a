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

/**
 * The timers of a device in queue mode that has the object, absent ones undefined; `undefined` for any other device.
 *
 * @see OMA object 10, resources 4 and 5; 3GPP TS 24.008 §10.5.7.3, §10.5.7.4a
 */
export async function readSleepTimers(
  requests: Pick<DeviceRequests, "request">,
  device: Registration,
): Promise<SleepTimers | undefined> {
  const cellular = registeredObject(device.objects, CELLULAR_CONNECTIVITY_ID);
  if (!device.queueMode || cellular?.instances[0] === undefined) return undefined;
  const [instance] = cellular.instances;
  const awakeMs = await readSeconds(requests, device, pathOf(CELLULAR_CONNECTIVITY_ID, instance, ACTIVE_TIMER));
  const periodMs = await readSeconds(requests, device, pathOf(CELLULAR_CONNECTIVITY_ID, instance, PSM_TIMER));
  return { awakeMs, periodMs };
}

/** A resource in milliseconds; `undefined` when the device does not tell. */
async function readSeconds(
  requests: Pick<DeviceRequests, "request">,
  device: Registration,
  path: ReturnType<typeof pathOf>,
): Promise<number | undefined> {
  try {
    const { code, payload } = await requests.request(device, readRequest(path, CONTENT_FORMATS.text));
    const text = code === CODE.content ? decodeUtf8(payload) : undefined;
    return text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) * 1000 : undefined;
  } catch (error) {
    if (error instanceof AirliftError) return undefined;
    throw error;
  }
}

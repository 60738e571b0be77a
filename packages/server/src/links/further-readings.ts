/** What is read of a device beside its report: its radio, and how it sleeps. */
import type { Registration } from "../fleet/registration.ts";
import type { DeviceStore } from "../store/ports.ts";
import type { DeviceLink } from "./device-link.ts";
import type { DeviceRequests } from "./device-requests.ts";
import type { PresenceWatch } from "./presence-watch.ts";
import { readSleepTimers, sleepTimersOf } from "./sleep-timers.ts";

export interface FurtherReadingsParts {
  readonly link: Pick<DeviceLink, "readRadio">;
  readonly requests: DeviceRequests;
  readonly presence: Pick<PresenceWatch, "feed">;
  readonly devices: Pick<DeviceStore, "queueReport">;
  /** Something new is known of the device. */
  onDevice(endpoint: string): void;
}

/** Reads them, and puts them where they are used. Rejects as `DeviceLink.readRadio`. */
export async function readFurther(registration: Registration, parts: FurtherReadingsParts): Promise<void> {
  const { link, requests, presence, devices, onDevice } = parts;
  const { endpoint } = registration;
  const radio = await link.readRadio(registration);
  if (radio !== undefined && devices.queueReport({ endpoint, ...radio })) onDevice(endpoint);
  const timers = await readSleepTimers(requests, registration);
  if (timers === undefined) return;
  presence.feed({ kind: "timers", endpoint, timers: sleepTimersOf(timers) });
  devices.queueReport({ endpoint, resources: timers });
}

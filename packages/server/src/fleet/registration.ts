/** What the server knows of a registered device. */
import type { RegisteredObjects } from "@airlift/protocol/lwm2m/registered-objects";
import type { Transport } from "./sender.ts";

/** What the server knows of a device because it registered (LwM2M 1.2 §6.4.3): a plain value, saved as it is. */
export interface Registration {
  /** Last segment of the location: `/rd/<id>`. */
  readonly id: string;
  readonly endpoint: string;
  /** Where the device was heard last: "192.0.2.7:56830", "[2001:db8::7]:56830". */
  readonly address: string;
  /** How it registered, and is asked. */
  readonly transport: Transport;
  readonly lifetimeS: number;
  /** "1.0", "1.1", "1.2". */
  readonly lwm2mVersion: string;
  /** Binding mode letters, "U", "UQ". */
  readonly binding: string;
  readonly queueMode: boolean;
  readonly objects: RegisteredObjects;
  readonly registeredAtMs: number;
  readonly lastSeenAtMs: number;
  /** Another server, which the device spoke to last: this one stands in for it, and the device may not know it. Absent = this one. */
  readonly home?: string | undefined;
}

/** What a Register request asks for, once it is checked. */
export type RegistrationRequest = Pick<
  Registration,
  "endpoint" | "lifetimeS" | "lwm2mVersion" | "binding" | "queueMode" | "objects"
>;

/** What an Update request changes; an absent field stays. */
export type RegistrationChange = Partial<Pick<Registration, "lifetimeS" | "binding" | "queueMode" | "objects">>;

/** When a registration ends if nothing more is heard, in wall-clock milliseconds. */
export function expiresAtMs(registration: Registration): number {
  return registration.lastSeenAtMs + registration.lifetimeS * 1000;
}

/**
 * Whether a device is still where it was asked. When it is not, an answer from there tells nothing of it: another device may have the
 * address by now.
 */
export const isStillAt = (asked: Registration, now: Registration | undefined): boolean =>
  now !== undefined && now.id === asked.id && now.address === asked.address;

/** Whether `kept` knows more of a device than `known`: it came to another server meanwhile, which stands in for its home or is it. */
export const isOutdated = (known: Registration | undefined, kept: Registration): boolean =>
  known === undefined ||
  known.lastSeenAtMs < kept.lastSeenAtMs ||
  (known.lastSeenAtMs === kept.lastSeenAtMs && known.home !== kept.home);

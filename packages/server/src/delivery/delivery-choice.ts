/** Which way an image goes to one device, by what the device says it can do. */
import type { DeliveryMethod } from "@airlift/protocol/update/device-update";
import type { DeviceReport } from "./report.ts";

/** A way to deliver: the server writes the package, or the device fetches it over one of the server's doors. */
export type DeliveryChoice =
  /** `base64`: as text, to a device that refuses octets. */
  { readonly kind: "push"; readonly encoding?: "base64" } | { readonly kind: "pull"; readonly scheme: PullScheme };

export type PullScheme = "coap" | "coaps" | "coap+tcp" | "coaps+tcp" | "http" | "https";

/** Firmware Update Protocol Support, /5/0/8. */
const PROTOCOLS: Readonly<Record<PullScheme, number>> = {
  coap: 0,
  coaps: 1,
  http: 2,
  https: 3,
  "coap+tcp": 4,
  "coaps+tcp": 5,
};

/** What was asked for, and over which schemes this server can serve this device. */
export interface DeliveryWish {
  readonly by: DeliveryMethod;
  /** The favourite first. */
  readonly schemes: readonly PullScheme[];
}

/** Firmware Update Delivery Method, /5/0/9. */
const PULL_ONLY = 0;
const PUSH_ONLY = 1;

/**
 * The way to deliver, or `undefined` when what is asked for and what the device supports have nothing in common.
 *
 * `auto` prefers pull: a device that is pushed to may be unable to answer anything else meanwhile. Protocol numbers that
 * are unknown are ignored, and a device that names none speaks CoAP as it registered (object 5, resource 8).
 */
export function chooseDelivery(
  { by, schemes }: DeliveryWish,
  firmware: NonNullable<DeviceReport["firmware"]>,
): DeliveryChoice | undefined {
  const canPush = firmware.deliveryMethod !== PULL_ONLY;
  const canPull = firmware.deliveryMethod !== PUSH_ONLY;
  const { protocols } = firmware;
  const scheme = schemes.find((one) =>
    protocols === null ? one.startsWith("coap") : protocols.includes(PROTOCOLS[one]),
  );
  if (by !== "push" && canPull && scheme !== undefined) return { kind: "pull", scheme };
  if (by !== "pull" && canPush) return { kind: "push" };
  return undefined;
}

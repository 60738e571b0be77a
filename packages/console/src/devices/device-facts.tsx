/** What a device is and said of itself. */
import type { Device } from "@airlift/protocol/api/schemas";
import type { ReactNode } from "react";
import { Clipped } from "../parts/clipped.tsx";
import { Ago, deviceTime, Moment } from "../parts/instants.tsx";
import { useNow } from "../parts/now.ts";

type Fact = readonly [name: string, value: ReactNode];

export function DeviceFacts({ device }: { readonly device: Device }) {
  const { signal, battery, cell, node, firmware } = device;
  const facts: readonly Fact[] = [
    ["Version", device.version],
    ["Manufacturer", device.manufacturer],
    ["Model", device.model],
    ["Hardware", device.hardware],
    ["Last seen", <Ago key="seen" at={device.lastSeenAt} />],
    ["Registered", <Moment key="registered" at={device.registeredAt} />],
    ["Its own time", <OwnTime key="time" device={device} />],
    ["Address", `${device.address} (${device.transport})`],
    ["LwM2M", `${device.lwm2mVersion}, binding ${device.binding}, lifetime ${device.lifetimeS} s`],
    ["Takes images by", firmware && deliveryWords(firmware.deliveryMethod)],
    ...optional("Signal", signal, "dBm"),
    ...optional("Battery", battery, "%"),
    ...optional("Cell", cell),
    ...optional(
      "Failed since the last success",
      device.failureCount || null,
      device.failureCount === 1 ? "time" : "times",
    ),
    ...optional("Server", node),
    ["Objects", <Clipped key="objects" text={device.objects.join(" ")} length={200} />],
  ];
  return (
    <dl className="pairs">
      {facts.map(([name, value]) => (
        <div key={name} className="pair">
          <dt>{name}</dt>
          <dd>{typeof value === "string" ? <Clipped text={value} length={200} /> : (value ?? "–")}</dd>
        </div>
      ))}
    </dl>
  );
}

const optional = (name: string, value: string | number | null, unit = ""): Fact[] =>
  value === null ? [] : [[name, `${value} ${unit}`]];

/** Firmware Update Delivery Method, /5/0/9. */
const deliveryWords = (method: number | null): string =>
  method === null ? "not told" : (["pull", "push", "pull or push"][method] ?? `method ${method}`);

function OwnTime({ device }: { readonly device: Device }) {
  const nowMs = useNow();
  const time = deviceTime(nowMs, device);
  if (time === undefined) return "its zone is not known";
  return `${time} (${device.timezone ?? device.utcOffset})`;
}

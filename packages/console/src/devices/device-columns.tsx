/** What the table of devices can show, and what it says in a file. */
import type { Device } from "@airlift/protocol/api/schemas";
import { Ago } from "../parts/instants.tsx";
import { RowLink } from "../parts/row-link.tsx";
import { Presence } from "../parts/states.tsx";
import type { Column } from "../parts/virtual-rows.tsx";

export interface DeviceColumn extends Column<Device> {
  /** As the API calls it: in a file, and among the columns that a viewer chose. */
  readonly key: string;
  /** As a file has it. */
  readonly text: (device: Device) => string;
}

type Plain = string | number | null;

/** More than this of a text is nobody's to see in a cell. */
const SHOWN_LENGTH = 200;

/** A column that shows what it would write into a file. */
const plain = (key: string, name: string, width: string, value: (device: Device) => Plain): DeviceColumn => ({
  key,
  name,
  width,
  text: (device) => `${value(device) ?? ""}`,
  cell: (device) => {
    const text = `${value(device) ?? ""}`.slice(0, SHOWN_LENGTH);
    return text === "" ? <span className="quiet">–</span> : <span title={text}>{text}</span>;
  },
});

const instant = (key: string, name: string, value: (device: Device) => string): DeviceColumn => ({
  key,
  name,
  width: "8rem",
  text: value,
  cell: (device) => <Ago at={value(device)} />,
});

export const DEVICE_COLUMNS: readonly DeviceColumn[] = [
  {
    key: "endpoint",
    name: "Endpoint",
    width: "minmax(14rem, 2fr)",
    onCard: "title",
    text: ({ endpoint }) => endpoint,
    cell: ({ endpoint }) => <RowLink path={`/devices/${encodeURIComponent(endpoint)}`} text={endpoint} />,
  },
  {
    key: "presence",
    name: "Presence",
    width: "9rem",
    onCard: "mark",
    text: ({ presence }) => presence,
    cell: (device) => <Presence device={device} />,
  },
  plain("version", "Version", "8rem", ({ version }) => version),
  plain("manufacturer", "Manufacturer", "minmax(9rem, 1fr)", ({ manufacturer }) => manufacturer),
  plain("model", "Model", "minmax(9rem, 1fr)", ({ model }) => model),
  plain("hardware", "Hardware", "8rem", ({ hardware }) => hardware),
  plain("tags", "Tags", "minmax(9rem, 1fr)", ({ tags }) => tags.join(" ")),
  instant("lastSeenAt", "Last seen", ({ lastSeenAt }) => lastSeenAt),
  instant("registeredAt", "Registered", ({ registeredAt }) => registeredAt),
  plain("failureCount", "Failures", "7rem", ({ failureCount }) => failureCount),
  plain("signal", "Signal, dBm", "8rem", ({ signal }) => signal),
  plain("battery", "Battery, %", "8rem", ({ battery }) => battery),
  plain("cell", "Cell", "8rem", ({ cell }) => cell),
  plain("transport", "Transport", "8rem", ({ transport }) => transport),
  plain("address", "Address", "12rem", ({ address }) => address),
  plain("lifetimeS", "Lifetime, s", "8rem", ({ lifetimeS }) => lifetimeS),
  plain("note", "Note", "minmax(12rem, 2fr)", ({ note }) => note),
];

export const USUAL_COLUMNS: readonly string[] = [
  "endpoint",
  "presence",
  "version",
  "manufacturer",
  "model",
  "tags",
  "lastSeenAt",
];

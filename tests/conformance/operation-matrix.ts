/** The matrix of docs/lwm2m.md, made from the rows that are tested. */
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import type { Lwm2mVersion } from "@airlift/protocol/lwm2m/registration";
import type { Transport } from "@airlift/server/fleet/sender";
import { OPERATION_ROWS, type OperationRow } from "./operation-rows.ts";

interface TransportColumn {
  readonly transport: Transport;
  readonly name: string;
  readonly versions: readonly Lwm2mVersion[];
}

/** Where every row is run. LwM2M 1.0 knows no CoAP over TCP (LwM2M Transport 1.1 §6.3). */
export const TRANSPORTS: readonly TransportColumn[] = [
  { transport: "udp", name: "UDP", versions: ["1.0", "1.1", "1.2"] },
  { transport: "dtls", name: "DTLS", versions: ["1.0", "1.1", "1.2"] },
  { transport: "tcp", name: "TCP", versions: ["1.1", "1.2"] },
  { transport: "tls", name: "TLS", versions: ["1.1", "1.2"] },
];

const NAMES: ReadonlyMap<number, string> = new Map([
  [CONTENT_FORMATS.text, "text"],
  [CONTENT_FORMATS.opaque, "opaque"],
  [CONTENT_FORMATS.cbor, "CBOR"],
  [CONTENT_FORMATS.senmlJson, "SenML JSON"],
  [CONTENT_FORMATS.senmlCbor, "SenML CBOR"],
  [CONTENT_FORMATS.tlv, "TLV"],
  [CONTENT_FORMATS.lwm2mJson, "JSON"],
  [CONTENT_FORMATS.lwm2mCbor, "LwM2M CBOR"],
]);

export function formatName(format: number | undefined): string {
  return format === undefined ? "as chosen" : (NAMES.get(format) ?? String(format));
}

/** The table in Markdown, without a line break at its end. */
export function formatMatrix(): string {
  const head = "| Operation | LwM2M Core 1.2 | 1.0 | 1.1 | 1.2 | Transports |\n|---|---|---|---|---|---|";
  const rows = OPERATION_ROWS.map((row) => {
    const { operation, clause, versions, formats } = row;
    const cells = (["1.0", "1.1", "1.2"] as const).map((version) =>
      versions.includes(version) ? formats(version).map(formatName).join(", ") : "–",
    );
    return `| ${operation} | §${clause} | ${cells.join(" | ")} | ${transportsOf(row)} |`;
  });
  return [head, ...rows].join("\n");
}

/** The transports over which a row is run in at least one version. */
function transportsOf({ versions }: OperationRow): string {
  const shared = TRANSPORTS.filter((column) => column.versions.some((version) => versions.includes(version)));
  return shared.map(({ name }) => name).join(", ");
}

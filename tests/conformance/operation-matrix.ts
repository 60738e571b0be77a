/** The matrix of docs/lwm2m.md, made from the rows that are tested. */
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { OPERATION_ROWS } from "./operation-rows.ts";

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
  const head = "| Operation | LwM2M Core 1.2 | 1.0 | 1.1 | 1.2 |\n|---|---|---|---|---|";
  const rows = OPERATION_ROWS.map(({ operation, clause, versions, formats }) => {
    const cells = (["1.0", "1.1", "1.2"] as const).map((version) =>
      versions.includes(version) ? formats(version).map(formatName).join(", ") : "–",
    );
    return `| ${operation} | §${clause} | ${cells.join(" | ")} |`;
  });
  return [head, ...rows].join("\n");
}

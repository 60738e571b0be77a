/** All benchmarks, one table: `npm run bench -- [--rounds 3] [--only TEXT] [--json | --markdown]`. */
import { parseArgs } from "node:util";
import { COAP_ROWS } from "./coap.ts";
import { CONSOLE_ROWS } from "./console.ts";
import { DEVICE_ROWS } from "./device.ts";
import { DTLS_ROWS } from "./dtls.ts";
import { MESH_ROWS } from "./mesh.ts";
import { type BenchRow, formatMarkdown, formatTable, measureRows } from "./report.ts";
import { SERVER_ROWS } from "./server.ts";
import { TRANSPORT_ROWS } from "./transports.ts";

/** Every row of the table; a new subject adds its rows here. */
const ROWS: readonly BenchRow[] = [
  ...COAP_ROWS,
  ...DTLS_ROWS,
  ...TRANSPORT_ROWS,
  ...SERVER_ROWS,
  ...DEVICE_ROWS,
  ...CONSOLE_ROWS,
  ...MESH_ROWS,
];

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    json: { type: "boolean", default: false },
    markdown: { type: "boolean", default: false },
  },
});
const rows = ROWS.filter(({ name, group }) => `${group} ${name}`.includes(values.only));
const results = await measureRows(rows, Number(values.rounds));
const format = values.markdown ? formatMarkdown : formatTable;
console.log(values.json ? JSON.stringify(results) : format(results));

/** Every operation × version × format of the matrix, our server against our device over UDP. */
import { after, before, describe, test } from "node:test";
import { OperationBench } from "./operation-bench.ts";
import { formatName } from "./operation-matrix.ts";
import { OPERATION_ROWS } from "./operation-rows.ts";

let bench: OperationBench;
before(async () => {
  bench = await OperationBench.open();
});
after(async () => await bench.close());

for (const version of ["1.0", "1.1", "1.2"] as const) {
  describe(`LwM2M ${version}`, () => {
    const endpoint = `device-${version}`;
    before(async () => void (await bench.device(endpoint, version)));
    for (const row of OPERATION_ROWS.filter(({ versions }) => versions.includes(version))) {
      for (const format of row.formats(version)) {
        test(`§${row.clause}: ${row.operation}, ${formatName(format)}`, () =>
          row.run({ bench, endpoint, version, format }));
      }
    }
  });
}

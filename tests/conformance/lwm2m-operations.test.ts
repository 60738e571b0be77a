/** Every operation × version × transport × format of the matrix, our server against our device. */
import { after, before, describe, test } from "node:test";
import { OperationBench } from "./operation-bench.ts";
import { formatName, TRANSPORTS } from "./operation-matrix.ts";
import { OPERATION_ROWS } from "./operation-rows.ts";

for (const { transport, name, versions } of TRANSPORTS) {
  describe(name, () => {
    let bench: OperationBench;
    before(async () => {
      bench = await OperationBench.open(undefined, transport);
    });
    after(async () => await bench.close());
    for (const version of versions) {
      describe(`LwM2M ${version}`, () => {
        const endpoint = `device-${version}`;
        before(async () => void (await bench.device(endpoint, version)));
        for (const row of OPERATION_ROWS.filter((each) => each.versions.includes(version))) {
          for (const format of row.formats(version)) {
            test(`§${row.clause}: ${row.operation}, ${formatName(format)}`, () =>
              row.run({ bench, endpoint, version, format }));
          }
        }
      });
    }
  });
}

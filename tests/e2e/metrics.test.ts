/** The figures of a whole server against their documentation. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { loadConfig } from "@airlift/server/config";
import { startServer } from "@airlift/server/main";
import { startScratchDatabase } from "@airlift/server/store/scratch-database";
import { pino } from "pino";

const DOCUMENT = readFileSync(join(import.meta.dirname, "../../docs/metrics.md"), "utf8");

test("the server has the metrics that are documented, with their labels, and no others", async () => {
  const database = await startScratchDatabase();
  const flags = { data: undefined, dataDir: join(database.folder, "data"), databaseUrl: database.url, noAuth: true };
  const ports = { coapPort: "0", coapTcpPort: "0", httpPort: "0", hosts: ["127.0.0.1"] };
  const config = loadConfig({ flags: { ...flags, ...ports }, environment: {} });
  const server = await startServer(config, pino({ level: "silent" }));
  try {
    await fetch(`${server.httpUrl}/healthz`);
    const text = await (await fetch(`${server.httpUrl}/metrics`)).text();
    const served = [...text.matchAll(/^# HELP (\S+)/gm)].map(([, name]) => name);
    const rows = [...DOCUMENT.matchAll(/^\| `(\w+)` \|([^|]*)\|/gm)];
    assert.deepEqual(served.toSorted(), rows.map(([, name]) => name).toSorted());
    const labels = new Map(
      rows.map(([, name, list = ""]) => [name, [...list.matchAll(/`(\w+)`/g)].map(([, one]) => one)]),
    );
    for (const [, name = "", list = ""] of text.matchAll(/^(\w+?)(?:_bucket|_sum|_count)?\{([^}]*)\}/gm))
      for (const [, label] of list.matchAll(/(\w+)="/g))
        if (label !== "le")
          assert.ok(labels.get(name)?.includes(label), `${name} has no label ${label} in the document`);
    assert.match(text, /^airlift_campaigns\{state="running"\} 0$/m);
  } finally {
    await server.close();
    await database.stop();
  }
});

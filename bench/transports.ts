/** One pull of 8 MiB by our client from our server, over each transport that a device may fetch packages with. */
import { startChild } from "./children.ts";
import type { BenchRow, Figures } from "./report.ts";

async function pull(scheme: string): Promise<Figures> {
  const server = startChild("transport-server.ts");
  try {
    const ports = await server.next<Record<string, number>>();
    const client = startChild("transport-pull.ts", [scheme, String(ports[scheme])]);
    const cpuSeconds = async (): Promise<number> => {
      server.send("usage");
      return server.next<number>();
    };
    await client.next();
    const before = await cpuSeconds();
    const figures = await client.next<Record<string, number>>();
    return { ...figures, serverCpuMilliseconds: ((await cpuSeconds()) - before) * 1e3 };
  } finally {
    server.stop();
  }
}

const GROUP = "Pull of 8 MiB";
const row = (scheme: string): BenchRow => ({
  name: `airlift: 8 MiB over ${scheme}`,
  group: GROUP,
  compare: "megabytesPerSecond",
  measure: () => pull(scheme),
});

export const TRANSPORT_ROWS: readonly BenchRow[] = ["coap", "coap+tcp", "http"].map(row);

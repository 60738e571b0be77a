/** The load of our server on one that is built from Leshan's libraries. */
import { freePort } from "../tests/interop/dtls-peers.ts";
import { runLeshan, skipWithoutLeshan } from "../tests/interop/leshan-peers.ts";
import { startChild } from "./children.ts";
import type { Figures } from "./report.ts";

export interface LeshanLoad {
  readonly seconds: number;
  readonly deviceCount: number;
}

/**
 * Registration updates, of registrations that are in memory only. A virtual machine gets the same load once before it is
 * measured, to compile what is used. Leshan has a thread for each core, ours has one for all: CPU seconds are the fair figure.
 *
 * @returns `undefined`, and says so, where Leshan or Java is missing.
 */
export async function measureLeshan({ seconds, deviceCount }: LeshanLoad): Promise<Figures | undefined> {
  const why = skipWithoutLeshan();
  if (why !== false) {
    process.stderr.write(`skipped: ${why}\n`);
    return undefined;
  }
  const port = await freePort();
  const leshan = runLeshan("LeshanLoad", [String(port)]);
  try {
    await leshan.told("ready");
    const cpuSeconds = async (): Promise<number> => {
      leshan.say("usage");
      return Number((await leshan.told("cpu ")).slice("cpu ".length));
    };
    const startLoad = () => startChild("registration-load.ts", [port, seconds, deviceCount].map(String));
    const warming = startLoad();
    await warming.next();
    await warming.next();
    await warming.ended;
    const load = startLoad();
    await load.next();
    const before = await cpuSeconds();
    const { requestsPerSecond, count, lost } = await load.next<{
      requestsPerSecond: number;
      count: number;
      lost: number;
    }>();
    const serverCpuSeconds = (await cpuSeconds()) - before;
    return {
      updatesPerSecond: requestsPerSecond,
      perServerCpuSecond: count / serverCpuSeconds,
      serverCpuMicroseconds: (serverCpuSeconds * 1e6) / count,
      serverCpuSeconds,
      lost,
    };
  } finally {
    await leshan.stop();
  }
}

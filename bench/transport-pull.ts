/** Child process: our client, that pulls the image of `transport-server.ts` once to warm up and once to be measured. */
import { createRequest } from "@airlift/protocol/coap/exchange";
import { openCoapTcp } from "@airlift/runtime/coap-tcp";
import { openCoapUdp } from "@airlift/runtime/coap-udp";
import { pullHttp } from "@airlift/runtime/http-ranges";
import { udpPeer } from "@airlift/runtime/udp";

const [scheme = "", portText = ""] = process.argv.slice(2);
const target = { host: "127.0.0.1", port: Number(portText) };
const SIZE_BYTES = 8 * 2 ** 20;
const REQUEST = createRequest("get", "/image");

/** Counts, and looks at the ends of each piece. */
class Sink {
  receivedBytes = 0;

  write(bytes: Uint8Array): void {
    const offset = this.receivedBytes;
    if (bytes[0] !== (offset & 0xff) || bytes.at(-1) !== ((offset + bytes.length - 1) & 0xff))
      throw new Error(`wrong octets at ${offset}`);
    this.receivedBytes += bytes.length;
  }
}

const pulls: Record<string, (sink: Sink) => Promise<unknown>> = {
  coap: async (sink) => {
    const client = await openCoapUdp({ host: target.host });
    await client.download(udpPeer(target.host, target.port), REQUEST, sink);
    await client.close();
  },
  "coap+tcp": async (sink) => {
    const client = await openCoapTcp();
    await client.download(await client.connect(target), REQUEST, sink);
    await client.close();
  },
  http: (sink) => pullHttp({ uri: `http://${target.host}:${target.port}/image`, write: (bytes) => sink.write(bytes) }),
};

async function pull(): Promise<void> {
  const sink = new Sink();
  await pulls[scheme]?.(sink);
  if (sink.receivedBytes !== SIZE_BYTES) throw new Error(`got ${sink.receivedBytes} octets`);
}

await pull();
process.send?.("warm");
const cpuBefore = process.cpuUsage();
const startMs = performance.now();
await pull();
const seconds = (performance.now() - startMs) / 1000;
const { user, system } = process.cpuUsage(cpuBefore);
process.send?.({ megabytesPerSecond: SIZE_BYTES / 1e6 / seconds, clientCpuMilliseconds: (user + system) / 1e3 });
process.disconnect?.();

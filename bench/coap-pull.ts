/** Child process: our client, that pulls the image `parallel` times at once and checks every octet; `rounds` times over. */
import { createRequest } from "@airlift/protocol/coap/exchange";
import { openCoapUdp } from "@airlift/runtime/coap-udp";
import { udpPeer } from "@airlift/runtime/udp";

const [port = 0, parallel = 1, sockets = 1] = process.argv.slice(2).map(Number);
const peer = udpPeer("127.0.0.1", port);
// Downloads from one socket share its NSTART towards the server; as many devices would, each has its own place.
const nstart = Math.ceil(parallel / sockets);
const clients = await Promise.all(
  Array.from({ length: sockets }, () =>
    openCoapUdp({ host: "127.0.0.1", endpoint: { nstart, exchangesPerPeer: nstart } }),
  ),
);
const SIZE_BYTES = 2 ** 20;

let retransmissionCount = 0;
async function pull(i: number): Promise<void> {
  let received = 0;
  const client = clients[i % sockets];
  const sink = {
    write: (bytes: Uint8Array, offset: number) => {
      if (bytes[0] !== (offset & 0xff) || bytes.at(-1) !== ((offset + bytes.length - 1) & 0xff))
        throw new Error(`wrong octets at ${offset}`);
      received += bytes.length;
    },
  };
  let mine = 0;
  const result = await client?.download(peer, createRequest("get", "/image"), sink, {
    onProgress: (progress) => {
      mine = progress.retransmissionCount;
    },
  });
  retransmissionCount += mine;
  if (result?.sizeBytes !== SIZE_BYTES || received !== SIZE_BYTES) throw new Error(`got ${received} octets`);
}

await pull(0);
process.send?.("warm");
const startMs = performance.now();
await Promise.all(Array.from({ length: parallel }, (_, i) => pull(i)));
const seconds = (performance.now() - startMs) / 1000;
process.send?.({
  megabytesPerSecond: (parallel * SIZE_BYTES) / 1e6 / seconds,
  blocksPerSecond: (parallel * SIZE_BYTES) / 1024 / seconds,
  retransmissionCount,
});
await Promise.all(clients.map((client) => client.close()));
process.disconnect?.();

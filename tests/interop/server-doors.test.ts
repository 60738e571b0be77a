/** libcoap's clients (Debian's `libcoap3-bin`) at the server's own secured doors: they register, and fetch an image. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import { loadServerIdentity } from "@airlift/server/links/server-identity";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";
import { MemoryCredentials } from "../e2e/memory-credentials.ts";
import { Folder, HOST, KEY, KEY_TEXT, Program, skipWithout } from "./dtls-peers.ts";

const folder = new Folder();
const image = randomBytes(100_000);
const credentials = new MemoryCredentials();
let scratch: ScratchStores;
let server: Lwm2mServer;
let imageId: string;

before(async () => {
  scratch = await openScratchStores();
  const place = { host: HOST };
  server = await Lwm2mServer.open({
    stores: scratch.stores,
    log: pino({ level: "silent" }),
    dtls: place,
    tls: place,
    credentials,
    identity: await loadServerIdentity({ dataDir: scratch.folder, certificateFile: null, keyFile: null }),
    publicHost: null,
    httpPort: () => 0,
  });
  const name = { manufacturer: "Example", model: "Pump", version: "1.1.0", hardware: [] };
  imageId = (await scratch.stores.images.add(Readable.from([image]), name)).image.id;
});
after(async () => {
  await server.close();
  await scratch.close();
});

for (const flavour of ["openssl", "gnutls"])
  for (const transport of ["dtls", "tls"] as const) {
    const program = `/usr/bin/coap-client-${flavour}`;
    const scheme = transport === "dtls" ? "coaps" : "coaps+tcp";

    test(`coap-client-${flavour} registers over ${scheme} and fetches an image`, {
      skip: skipWithout(program),
    }, async () => {
      const endpoint = `${flavour}-${transport}`;
      credentials.psks.set(endpoint, { key: KEY, endpoint });
      const ask = async (path: string, ...parts: readonly string[]): Promise<string> => {
        const secret = ["-u", endpoint, "-k", KEY_TEXT, "-B", "10"];
        const uri = `${scheme}://${HOST}:${server.addressOf(transport)?.port}${path}`;
        const client = new Program(program, [...secret, ...parts, uri]);
        await client.ended;
        return client.output;
      };
      const links = folder.place("links", "</3/0>,</5/0>");
      await ask("/rd?lwm2m=1.1&lt=60&b=U", "-m", "post", "-t", "40", "-f", links);
      await scratch.stores.devices.flush();
      const device = await scratch.stores.devices.get(endpoint);
      assert.deepEqual([device?.presence, device?.transport], ["registered", transport]);
      assert.match(await ask(`/rd?lwm2m=1.1&lt=60&ep=somebody-else`, "-m", "post", "-t", "40", "-f", links), /4\.03/);
      const out = join(folder.path, endpoint);
      await ask(`/fw/${imageId}`, "-m", "get", "-o", out);
      assert.deepEqual(readFileSync(out), image);
    });
  }

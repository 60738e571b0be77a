/** libcoap's and OpenSSL's clients (Debian's `libcoap3-bin`, `openssl`) at the server's own secured doors. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { Lwm2mServer } from "@airlift/server/links/lwm2m-server";
import { loadServerIdentity, type ServerIdentity } from "@airlift/server/links/server-identity";
import { openScratchStores, type ScratchStores } from "@airlift/server/store/scratch-stores";
import { pino } from "pino";
import { MemoryCredentials } from "../e2e/memory-credentials.ts";
import { Folder, HOST, KEY, KEY_HEX, KEY_TEXT, Program, pem, skipWithout } from "./dtls-peers.ts";

const folder = new Folder();
const chain = pem("server").certificatePem + pem("issuer").certificatePem;
const file = {
  authority: folder.place("authority.pem", pem("authority").certificatePem),
  device: folder.place("device.pem", pem("device").certificatePem),
  deviceKey: folder.place("device.key", pem("device").keyPem),
  stranger: folder.place("stranger.pem", pem("stranger").certificatePem),
  strangerKey: folder.place("stranger.key", pem("stranger").keyPem),
};
const image = randomBytes(100_000);
const credentials = new MemoryCredentials();
let scratch: ScratchStores;
let server: Lwm2mServer;
let certified: Lwm2mServer;
let imageId: string;

before(async () => {
  scratch = await openScratchStores();
  const identity = await loadServerIdentity({ dataDir: scratch.folder, certificateFile: null, keyFile: null });
  const certificate = { chainPem: chain, keyPem: pem("server").keyPem };
  credentials.trust(pem("authority").certificatePem);
  server = await openServer(identity);
  certified = await openServer({ ...identity, certificate, isForDtls: true });
  const name = { manufacturer: "Example", model: "Pump", version: "1.1.0", hardware: [] };
  imageId = (await scratch.stores.images.add(Readable.from([image]), name)).image.id;
});
after(async () => {
  await server.close();
  await certified.close();
  await scratch.close();
});

function openServer(identity: ServerIdentity): Promise<Lwm2mServer> {
  const place = { host: HOST };
  return Lwm2mServer.open({
    stores: scratch.stores,
    log: pino({ level: "silent" }),
    ...{ dtls: place, tls: place, credentials, identity },
    publicHost: null,
    httpPort: () => 0,
  });
}

/** A request of `coap-client`: what it printed. */
async function coapClient(flavour: string, uri: string, ...parts: readonly string[]): Promise<string> {
  const client = new Program(`/usr/bin/coap-client-${flavour}`, ["-B", "10", ...parts, uri]);
  await client.ended;
  return client.output;
}

for (const flavour of ["openssl", "gnutls"])
  for (const transport of ["dtls", "tls"] as const) {
    const program = `/usr/bin/coap-client-${flavour}`;
    const scheme = transport === "dtls" ? "coaps" : "coaps+tcp";

    test(`coap-client-${flavour} registers over ${scheme} and fetches an image`, {
      skip: skipWithout(program),
    }, async () => {
      const endpoint = `${flavour}-${transport}`;
      credentials.psks.set(endpoint, { key: KEY, endpoint });
      const ask = (path: string, ...parts: readonly string[]): Promise<string> => {
        const uri = `${scheme}://${HOST}:${server.addressOf(transport)?.port}${path}`;
        return coapClient(flavour, uri, "-u", endpoint, "-k", KEY_TEXT, ...parts);
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

    test(`coap-client-${flavour} registers over ${scheme} with its certificate, under its name alone`, {
      skip: skipWithout(program),
    }, async () => {
      const endpoint = "device-7";
      const shown = ["-c", file.device, "-j", file.deviceKey, "-C", file.authority];
      const post = ["-m", "post", "-t", "40", "-f", folder.place("links", "</3/0>,</5/0>")];
      const uri = (path: string) => `${scheme}://${HOST}:${certified.addressOf(transport)?.port}${path}`;
      await coapClient(flavour, uri("/rd?lwm2m=1.1&lt=60&b=U"), ...shown, ...post);
      await scratch.stores.devices.flush();
      const device = await scratch.stores.devices.get(endpoint);
      assert.deepEqual([device?.presence, device?.transport], ["registered", transport]);
      assert.match(await coapClient(flavour, uri("/rd?lwm2m=1.1&lt=60&ep=device-8"), ...shown, ...post), /4\.03/);
      const out = join(folder.path, `${flavour}-${transport}-certified`);
      await coapClient(flavour, uri(`/fw/${imageId}`), ...shown, "-m", "get", "-o", out);
      assert.deepEqual(readFileSync(out), image);
    });
  }

const skip = skipWithout("/usr/bin/openssl");

/** What `openssl s_client` says of a connection that the server's first message has come over. */
async function connected(at: Lwm2mServer, ...parts: readonly string[]): Promise<string> {
  const address = `${HOST}:${at.addressOf("tls")?.port}`;
  const client = new Program("openssl", ["s_client", "-connect", address, "-alpn", "coap", ...parts]);
  try {
    await client.prints(/Verify return code|alert|errno|unexpected eof/);
    return client.output;
  } finally {
    await client.stop();
  }
}

test("openssl s_client at coaps+tcp: PSK", { skip }, async () => {
  credentials.psks.set("s-client", { key: KEY, endpoint: "s-client" });
  for (const cipher of ["PSK-AES128-GCM-SHA256", "PSK-AES128-CCM8"]) {
    const psk = ["-tls1_2", "-cipher", `${cipher}:@SECLEVEL=0`, "-psk_identity", "s-client", "-psk"];
    const output = await connected(server, ...psk, KEY_HEX);
    assert.match(output, new RegExp(`Cipher is ${cipher}`));
    assert.match(output, /ALPN protocol: coap/);
    assert.match(await connected(server, ...psk, "00".repeat(16)), /alert/);
  }
});

test("openssl s_client at coaps+tcp: certificates, over TLS 1.2 and 1.3", { skip }, async () => {
  const shown = ["-cert", file.device, "-key", file.deviceKey, "-CAfile", file.authority, "-verify_return_error"];
  for (const version of ["-tls1_2", "-tls1_3"])
    assert.match(await connected(certified, version, ...shown), /Verify return code: 0 \(ok\)/);
  const strange = ["-cert", file.stranger, "-key", file.strangerKey];
  // node:tls checks after the handshake, and hangs up without an alert.
  for (const parts of [strange, []])
    assert.match(await connected(certified, "-tls1_2", ...parts), /unexpected eof|alert|errno/);
});

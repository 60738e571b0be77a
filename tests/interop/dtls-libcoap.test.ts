/** CoAP over DTLS with libcoap on OpenSSL and on GnuTLS (Debian's `libcoap3-bin`), in both roles. */
import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { test } from "node:test";
import { suiteByName } from "@airlift/protocol/dtls/suites";
import {
  Folder,
  freePort,
  HOST,
  IDENTITY,
  KEY,
  KEY_TEXT,
  lines,
  type OurServer,
  ourGet,
  ourServer,
  Program,
  pem,
  skipWithout,
  until,
} from "./dtls-peers.ts";

/** The form in which GnuTLS takes raw keys: both halves, the private one as SEC 1. */
const sec1 = (name: string): string => {
  const text = createPrivateKey(pem(name).keyPem).export({ type: "sec1", format: "pem" });
  return `${pem(name).publicPem}${text}`;
};

const folder = new Folder();
const file = {
  authority: folder.place("authority.pem", pem("authority").certificatePem),
  chain: folder.place("chain.pem", pem("server").certificatePem + pem("issuer").certificatePem),
  serverKey: folder.place("server.key", pem("server").keyPem),
  device: folder.place("device.pem", pem("device").certificatePem),
  deviceKey: folder.place("device.key", pem("device").keyPem),
  deviceRpk: folder.place("device.rpk", sec1("device")),
  serverRpk: folder.place("server.rpk", sec1("server")),
};
const serverCertificate = {
  chainPem: pem("server").certificatePem + pem("issuer").certificatePem,
  keyPem: pem("server").keyPem,
};

async function withServer(server: Promise<OurServer>, run: (server: OurServer) => Promise<void>): Promise<void> {
  const opened = await server;
  try {
    await run(opened);
  } finally {
    await opened.node.close();
  }
}

async function coapClient(flavour: string, port: number, ...parts: readonly string[]): Promise<string> {
  const program = new Program(`/usr/bin/coap-client-${flavour}`, [
    ...["-m", "get", "-B", "10", ...parts],
    `coaps://${HOST}:${port}/`,
  ]);
  await program.ended;
  return program.output;
}

async function withCoapServer(
  flavour: string,
  parts: readonly string[],
  run: (port: number) => Promise<void>,
): Promise<void> {
  // The port that is asked for is that of `coap:`; `coaps:` is the next one.
  const port = await freePort();
  const program = new Program(`/usr/bin/coap-server-${flavour}`, ["-A", HOST, "-p", String(port), "-v", "7", ...parts]);
  try {
    await program.prints(/created DTLS endpoint/);
    await run(port + 1);
  } finally {
    await program.stop();
  }
}

for (const flavour of ["openssl", "gnutls"]) {
  const skip = skipWithout(`/usr/bin/coap-client-${flavour}`, `/usr/bin/coap-server-${flavour}`);

  test(`libcoap on ${flavour} as client: PSK`, { skip }, async () => {
    await withServer(ourServer({ psk: (identity) => (identity === IDENTITY ? KEY : undefined) }), async ({ dtls }) => {
      const output = await coapClient(flavour, dtls.address.port, "-u", IDENTITY, "-k", KEY_TEXT);
      assert.match(output, /hello psk device-7/);
    });
  });

  test(`libcoap on ${flavour} as client: the key comes later, and a wrong key or identity is named`, {
    skip,
  }, async () => {
    const psk = async (identity: string) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return identity === IDENTITY ? KEY : undefined;
    };
    await withServer(ourServer({ psk }), async ({ dtls, events }) => {
      assert.match(await coapClient(flavour, dtls.address.port, "-u", IDENTITY, "-k", KEY_TEXT), /hello psk/);
      await coapClient(flavour, dtls.address.port, "-u", IDENTITY, "-k", "another key", "-B", "3");
      await coapClient(flavour, dtls.address.port, "-u", "nobody", "-k", KEY_TEXT, "-B", "3");
      const wrong = `the peer's key for PSK identity "${IDENTITY}" is not the one known here`;
      const unknown = 'no key is known for the PSK identity "nobody"';
      await until(
        () => lines(events).includes(wrong) && lines(events).includes(unknown),
        5_000,
        () => lines(events).join("; "),
      );
    });
  });

  test(`libcoap on ${flavour} as client: certificates both ways`, { skip }, async () => {
    const trust = { certificatesPem: pem("authority").certificatePem };
    await withServer(ourServer({ certificate: serverCertificate, trust }), async ({ dtls, events }) => {
      const known = ["-c", file.device, "-j", file.deviceKey, "-C", file.authority];
      const output = await coapClient(flavour, dtls.address.port, ...known);
      assert.match(output, /hello x509 device-7/, `${output} ${lines(events)}`);
    });
  });

  test(`libcoap on ${flavour} as server: PSK with AES-CCM-8 and AES-GCM`, { skip }, async () => {
    await withCoapServer(flavour, ["-k", KEY_TEXT], async (port) => {
      for (const name of ["TLS_PSK_WITH_AES_128_CCM_8", "TLS_PSK_WITH_AES_128_GCM_SHA256"]) {
        const suite = suiteByName(name);
        // OpenSSL leaves CCM with a short tag to those who lower its security level, which libcoap does not.
        if (!suite || (flavour === "openssl" && suite.protection === "ccm8")) continue;
        const { response, peer } = await ourGet(port, { psk: { identity: IDENTITY, key: KEY } }, { suites: [suite] });
        assert.match(Buffer.from(response.payload).toString(), /libcoap/);
        assert.equal(peer?.suiteName, name);
      }
    });
  });

  test(`libcoap on ${flavour} as server: it is silent about a wrong key, and we say what that means`, {
    skip,
  }, async () => {
    await withCoapServer(flavour, ["-k", KEY_TEXT], async (port) => {
      const timing = { retransmitMs: 200, maxRetransmitMs: 400, retransmissions: 5, suspicionMs: 200, lookUpMs: 1_000 };
      await assert.rejects(
        ourGet(port, { psk: { identity: IDENTITY, key: new Uint8Array(16) } }, { timing }),
        /the server does not answer the proof for PSK identity "device-7"/,
      );
    });
  });

  test(`libcoap on ${flavour} as server: certificates both ways`, { skip }, async () => {
    await withCoapServer(flavour, ["-c", file.chain, "-j", file.serverKey, "-R", file.authority], async (port) => {
      const { response, peer } = await ourGet(port, {
        certificate: { chainPem: pem("device").certificatePem, keyPem: pem("device").keyPem },
        // On OpenSSL it sends its own certificate alone.
        trust: { certificatesPem: pem("authority").certificatePem + pem("issuer").certificatePem, host: HOST },
      });
      assert.match(Buffer.from(response.payload).toString(), /libcoap/);
      assert.deepEqual([peer?.identity.kind, peer?.identity.name], ["x509", "airlift.test"]);
    });
  });
}

const skipRpk = skipWithout("/usr/bin/coap-client-gnutls", "/usr/bin/coap-server-gnutls");

test("libcoap on gnutls as client: raw public keys both ways (RFC 7250)", { skip: skipRpk }, async () => {
  const seen: string[] = [];
  const rpk = (fingerprint: string) => {
    seen.push(fingerprint);
    return "pump-3";
  };
  await withServer(ourServer({ rpk: { keyPem: pem("server").keyPem }, trust: { rpk } }), async ({ dtls, events }) => {
    const output = await coapClient("gnutls", dtls.address.port, "-M", file.deviceRpk);
    assert.match(output, /hello rpk pump-3/, `${output} ${lines(events)}`);
    assert.equal(seen.length, 1);
  });
});

test("libcoap on gnutls as server: raw public keys both ways (RFC 7250)", { skip: skipRpk }, async () => {
  await withCoapServer("gnutls", ["-M", file.serverRpk], async (port) => {
    const { response, peer } = await ourGet(port, {
      rpk: { keyPem: pem("device").keyPem },
      trust: { rpkPem: pem("server").publicPem },
    });
    assert.match(Buffer.from(response.payload).toString(), /libcoap/);
    assert.equal(peer?.identity.kind, "rpk");
  });
});

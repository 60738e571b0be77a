/** DTLS with OpenSSL's own client and server, in both roles. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { suiteByName } from "@airlift/protocol/dtls/suites";
import { openDtlsServer } from "@airlift/runtime/dtls";
import { openDtlsClient } from "@airlift/runtime/dtls-client";
import type { DtlsClientCredential, DtlsServerCredentials } from "@airlift/runtime/dtls-credentials";
import { Folder, freePort, HOST, IDENTITY, KEY, KEY_HEX, Program, pem, skipWithout, until } from "./dtls-peers.ts";

const skip = skipWithout("/usr/bin/openssl");
const folder = new Folder();
const file = {
  authority: folder.place("authority.pem", pem("authority").certificatePem),
  issuer: folder.place("issuer.pem", pem("issuer").certificatePem),
  server: folder.place("server.pem", pem("server").certificatePem),
  serverKey: folder.place("server.key", pem("server").keyPem),
  device: folder.place("device.pem", pem("device").certificatePem),
  deviceKey: folder.place("device.key", pem("device").keyPem),
};

const PSK_SUITES = [
  ["PSK-AES128-CCM8", "TLS_PSK_WITH_AES_128_CCM_8"],
  ["PSK-AES128-GCM-SHA256", "TLS_PSK_WITH_AES_128_GCM_SHA256"],
  ["PSK-AES128-CBC-SHA256", "TLS_PSK_WITH_AES_128_CBC_SHA256"],
] as const;
const CERTIFICATE_SUITES = [
  ["ECDHE-ECDSA-AES128-CCM8", "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"],
  ["ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"],
] as const;

/** Datagrams so small that a chain of certificates takes several. */
const limitsOf = (name: string) => {
  const suite = suiteByName(name);
  return { suites: suite ? [suite] : [], datagramBytes: 400 };
};

/** Our server; s_client sends a line, and gets it back turned round. */
async function asServer(
  credentials: DtlsServerCredentials,
  suite: readonly [string, string],
  parts: readonly string[],
  more: readonly string[] = [],
): Promise<string> {
  const server = await openDtlsServer({ udp: { host: HOST }, credentials, limits: limitsOf(suite[1]) });
  server.open({
    onDatagram: (peer, bytes) => {
      const turned = `${Buffer.from(bytes).toString().trim().split("").reverse().join("")} ${peer.identity.kind} ${peer.isResumed}\n`;
      server.send(peer, new Uint8Array(Buffer.from(turned)), false);
    },
    onUnreachable: () => {},
  });
  const address = `${HOST}:${server.address.port}`;
  const client = new Program("openssl", [
    ...["s_client", "-dtls1_2", "-connect", address, "-cipher", `${suite[0]}:@SECLEVEL=0`, ...parts, ...more],
  ]);
  try {
    await client.prints(/Verify return code/);
    client.say("airlift\n");
    await client.prints(/tfilria/);
    return client.output;
  } finally {
    await client.stop();
    await server.close();
  }
}

/** Our client; s_server shows what it gets, and sends a line. */
async function asClient(
  credential: DtlsClientCredential,
  suite: readonly [string, string],
  parts: readonly string[],
): Promise<{ output: string; suiteName: string | undefined; name: string | undefined }> {
  const port = await freePort();
  const server = new Program("openssl", [
    ...["s_server", "-dtls1_2", "-accept", `${HOST}:${port}`, "-cipher", `${suite[0]}:@SECLEVEL=0`, ...parts],
  ]);
  await server.prints(/ACCEPT/);
  const why: string[] = [];
  const client = await openDtlsClient({
    server: { address: HOST, port },
    host: HOST,
    credential,
    limits: limitsOf(suite[1]),
    onEvent: (event) => void ("why" in event && why.push(event.why)),
  });
  let received = "";
  client.open({
    onDatagram: (_, bytes) => {
      received += Buffer.from(bytes).toString();
    },
    onUnreachable: () => {},
  });
  try {
    client.send(client.server, new Uint8Array(Buffer.from("airlift says hello\n")), false);
    await until(
      () => /airlift says hello/.test(server.output),
      10_000,
      () => `${why.join("; ")} ${server.output}`,
    );
    server.say("and back\n");
    await until(
      () => received === "and back\n",
      5_000,
      () => `got ${received}`,
    );
    const { session } = client.server;
    return { output: server.output, suiteName: session?.suiteName, name: session?.identity.name };
  } finally {
    await client.close();
    await server.stop();
  }
}

const psk = (identity: string) => (identity === IDENTITY ? KEY : undefined);
const pskParts = ["-psk_identity", IDENTITY, "-psk", KEY_HEX];

for (const suite of PSK_SUITES) {
  test(`openssl as client: ${suite[0]}, with cookie and Extended Master Secret`, { skip }, async () => {
    const output = await asServer({ psk }, suite, pskParts);
    assert.match(output, new RegExp(`Cipher is ${suite[0]}`));
    assert.match(output, /Extended master secret: yes/);
    assert.match(output, /Secure Renegotiation IS supported/);
  });

  test(`openssl as server: ${suite[0]}`, { skip }, async () => {
    const credential = { psk: { identity: IDENTITY, key: KEY } };
    const { suiteName } = await asClient(credential, suite, ["-nocert", "-listen", ...pskParts]);
    assert.equal(suiteName, suite[1]);
  });
}

const ownCertificate = {
  chainPem: pem("server").certificatePem + pem("issuer").certificatePem,
  keyPem: pem("server").keyPem,
};
const trust = { certificatesPem: pem("authority").certificatePem };

for (const suite of CERTIFICATE_SUITES) {
  test(`openssl as client: ${suite[0]}, certificates both ways, in small fragments`, { skip }, async () => {
    const parts = ["-cert", file.device, "-key", file.deviceKey, "-CAfile", file.authority, "-verify_return_error"];
    const small = ["-mtu", "400", "-verify_hostname", "airlift.test"];
    const output = await asServer({ certificate: ownCertificate, trust }, suite, parts, small);
    assert.match(output, /Verify return code: 0/);
    assert.match(output, /tfilria x509/);
  });

  test(`openssl as server: ${suite[0]}, certificates both ways, in small fragments`, { skip }, async () => {
    const device = { chainPem: pem("device").certificatePem, keyPem: pem("device").keyPem };
    const credential = { certificate: device, trust: { ...trust, host: "airlift.test" } };
    const own = ["-cert", file.server, "-key", file.serverKey, "-cert_chain", file.issuer];
    const { name, output } = await asClient(credential, suite, [
      ...own,
      ...["-CAfile", file.authority, "-Verify", "2", "-verify_return_error", "-mtu", "400"],
    ]);
    assert.equal(name, "airlift.test");
    assert.match(output, /device-7/);
  });
}

test("openssl as client: a client without a certificate is refused where one is required", { skip }, async () => {
  const why: string[] = [];
  const server = await openDtlsServer({
    udp: { host: HOST },
    credentials: { certificate: ownCertificate, trust },
    onEvent: (event) => void ("why" in event && why.push(event.why)),
  });
  server.open({ onDatagram: () => {}, onUnreachable: () => {} });
  const client = new Program("openssl", ["s_client", "-dtls1_2", "-connect", `${HOST}:${server.address.port}`]);
  try {
    await client.prints(/alert handshake failure/);
    assert.deepEqual(why, ["the peer sent no certificate, and one is required here"]);
  } finally {
    await client.stop();
    await server.close();
  }
});

test("openssl as client: a session is resumed by its id", { skip }, async () => {
  const server = await openDtlsServer({ udp: { host: HOST }, credentials: { psk } });
  const resumed: boolean[] = [];
  server.open({ onDatagram: (peer) => void resumed.push(peer.isResumed), onUnreachable: () => {} });
  const address = `${HOST}:${server.address.port}`;
  const store = `${folder.path}/session.pem`;
  try {
    for (const how of ["-sess_out", "-sess_in"]) {
      const suite = ["-cipher", "PSK-AES128-GCM-SHA256:@SECLEVEL=0"];
      const client = new Program("openssl", [
        "s_client",
        "-dtls1_2",
        "-connect",
        address,
        ...suite,
        ...pskParts,
        how,
        store,
      ]);
      await client.prints(/Verify return code/);
      client.say("x\n");
      const count = resumed.length + 1;
      await until(
        () => resumed.length === count,
        5_000,
        () => client.output,
      );
      client.say("Q\n");
      await client.ended;
    }
    assert.deepEqual(resumed, [false, true]);
  } finally {
    await server.close();
  }
});

test("openssl as client: renegotiation is refused, which is the end for openssl", { skip }, async () => {
  const why: string[] = [];
  const server = await openDtlsServer({
    udp: { host: HOST },
    credentials: { psk },
    onEvent: (event) => void ("why" in event && why.push(event.why)),
  });
  server.open({ onDatagram: () => {}, onUnreachable: () => {} });
  const suite = ["-cipher", "PSK-AES128-CCM8:@SECLEVEL=0"];
  const address = `${HOST}:${server.address.port}`;
  const client = new Program("openssl", ["s_client", "-dtls1_2", "-connect", address, ...suite, ...pskParts]);
  try {
    await client.prints(/Verify return code/);
    client.say("R\n");
    await client.prints(/no renegotiation/i);
    await until(
      () => why.length === 1,
      5_000,
      () => client.output,
    );
    assert.match(why[0] ?? "", /the peer (ended|closed) the session/);
  } finally {
    await client.stop();
    await server.close();
  }
});

/** As the DTLS of constrained devices, tinydtls among them, that know no RFC 7627. */
const WITHOUT_EXTENDED_MASTER_SECRET = `openssl_conf = start
[start]
ssl_conf = settings
[settings]
system_default = default
[default]
Options = -ExtendedMasterSecret
`;

test("openssl without Extended Master Secret: taken in both roles, and refused where it is required", {
  skip,
}, async (t) => {
  const before = process.env["OPENSSL_CONF"];
  process.env["OPENSSL_CONF"] = folder.place("openssl.cnf", WITHOUT_EXTENDED_MASTER_SECRET);
  t.after(() => {
    if (before === undefined) delete process.env["OPENSSL_CONF"];
    else process.env["OPENSSL_CONF"] = before;
  });
  const suite = PSK_SUITES[0];
  assert.match(await asServer({ psk }, suite, pskParts), /Extended master secret: no/);
  const credential = { psk: { identity: IDENTITY, key: KEY } };
  const { suiteName } = await asClient(credential, suite, ["-nocert", ...pskParts]);
  assert.equal(suiteName, suite[1]);
  const why: string[] = [];
  const strict = await openDtlsServer({
    udp: { host: HOST },
    credentials: { psk },
    limits: { ...limitsOf(suite[1]), requireExtendedMasterSecret: true },
    onEvent: (event) => void ("why" in event && why.push(event.why)),
  });
  strict.open({ onDatagram: () => {}, onUnreachable: () => {} });
  const client = new Program("openssl", [
    ...["s_client", "-dtls1_2", "-connect", `${HOST}:${strict.address.port}`],
    ...["-cipher", `${suite[0]}:@SECLEVEL=0`, ...pskParts],
  ]);
  t.after(() => Promise.all([client.stop(), strict.close()]));
  await until(
    () => /Extended Master Secret/i.test(why.join("; ")),
    5_000,
    () => `${why.join("; ")} ${client.output}`,
  );
});

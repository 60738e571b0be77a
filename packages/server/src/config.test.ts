import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { UsageError } from "@airlift/protocol/lib/errors";
import { isLoopbackHost } from "./config/loopback.ts";
import { loadConfig } from "./config.ts";

const problemsOf = (run: () => unknown): readonly string[] => {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof UsageError);
    assert.equal(error.code, "CONFIG");
    return error.facts["problems"] as string[];
  }
  throw new Error("it was accepted");
};

test("without any setting the server listens for CoAP everywhere and for HTTP on loopback", () => {
  const config = loadConfig({ flags: { noAuth: true }, environment: {} });
  assert.deepEqual(config.hosts, ["0.0.0.0"]);
  assert.equal(config.httpHost, "127.0.0.1");
  assert.deepEqual([config.coapPort, config.httpPort, config.databaseUrl], [5683, 8080, null]);
  assert.deepEqual([config.coapsPort, config.coapTcpPort, config.coapsTcpPort], [5684, 5683, 5684]);
  assert.ok(Object.isFrozen(config));
});

test("RFC 8323 §8: ports that are not named lie beside those that are; a door that is off moves none of them", () => {
  const portsOf = (flags: Record<string, unknown>) => {
    const config = loadConfig({ flags: { noAuth: true, ...flags }, environment: {} });
    return [config.coapPort, config.coapsPort, config.coapTcpPort, config.coapsTcpPort];
  };
  assert.deepEqual(portsOf({ coapPort: "7000" }), [7000, 7001, 7000, 7001]);
  assert.deepEqual(portsOf({ coapPort: "off" }), [null, 5684, 5683, 5684]);
  assert.deepEqual(portsOf({ coapPort: "0", coapTcpPort: "off" }), [0, 0, null, 5684]);
  assert.deepEqual(portsOf({ coapPort: "65535", coapsPort: "9" }), [65535, 9, 65535, 0]);
});

test("doors of one server that would need the same port are told, both by name", () => {
  const load = (flags: Record<string, unknown>) => () =>
    loadConfig({ flags: { noAuth: true, ...flags }, environment: {} });
  const another = "give one of them another";
  assert.deepEqual(problemsOf(load({ httpPort: "5683" })), [
    `--coap-tcp-port (that of --coap-port) and --http-port are both TCP port 5683: ${another}`,
  ]);
  assert.deepEqual(problemsOf(load({ httpPort: "7001", coapPort: "off", coapTcpPort: "7000" })), [
    `--coaps-tcp-port (the one after --coap-tcp-port) and --http-port are both TCP port 7001: ${another}`,
  ]);
  assert.deepEqual(problemsOf(load({ coapsPort: "5683", coapsTcpPort: "5683" })), [
    `--coap-port and --coaps-port are both UDP port 5683: ${another}`,
    `--coap-tcp-port (that of --coap-port) and --coaps-tcp-port are both TCP port 5683: ${another}`,
  ]);
  const shared = { httpPort: "5683" };
  for (const hosts of [["::"], ["192.0.2.1", "127.0.0.1"]])
    assert.equal(problemsOf(load({ ...shared, hosts })).length, 1);
  for (const free of [
    { hosts: ["192.0.2.1"] },
    { hosts: ["::1"] },
    { coapTcpPort: "off" },
    { coapPort: "0", httpPort: "0" },
  ])
    assert.ok(load({ ...shared, ...free })());
});

test("half a server certificate, and a policy that is none, are told", () => {
  const problems = problemsOf(() =>
    loadConfig({
      flags: { noAuth: true, tlsCertFile: "x.pem", plainDevices: "some", coapsPort: "on" },
      environment: {},
    }),
  );
  assert.equal(problems.length, 3);
  for (const place of ["--tls-cert and --tls-key", "--plain-devices", '--coaps-port: "on" is not a whole number'])
    assert.ok(
      problems.some((problem) => problem.includes(place)),
      place,
    );
});

test("a flag wins over the environment, and the environment over the file", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "config-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "airlift.json");
  writeFileSync(file, JSON.stringify({ httpPort: 1, coapPort: 2, publicHost: "fw.example" }));
  const config = loadConfig({
    flags: { config: file, httpPort: "11", noAuth: true },
    environment: { AIRLIFT_HTTP_PORT: "12", AIRLIFT_COAP_PORT: "13" },
  });
  assert.deepEqual([config.httpPort, config.coapPort, config.publicHost], [11, 13, "fw.example"]);
});

test("all mistakes of all sources are reported at once, each with its place", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "config-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "airlift.json");
  writeFileSync(file, JSON.stringify({ htpPort: 1, noAuth: "perhaps" }));
  const problems = problemsOf(() =>
    loadConfig({
      flags: { config: file, coapPort: "70000", httpHost: "0.0.0.0" },
      environment: { DATABASE_URL: "mysql://user:secret@host/db" },
    }),
  );
  assert.equal(problems.length, 5);
  for (const place of ['"htpPort"', '"noAuth"', "--coap-port", "--http-host", "DATABASE_URL"])
    assert.ok(
      problems.some((problem) => problem.includes(place)),
      place,
    );
  assert.ok(!problems.join().includes("secret"));
});

test("without tokens HTTP stays on this machine; with them it leaves it under TLS, or when the operator says so", () => {
  const flagsOf = (flags: Record<string, unknown>) => ({ flags, environment: {} });
  const refused = (flags: Record<string, unknown>) => problemsOf(() => loadConfig(flagsOf(flags)))[0] ?? "";
  const everywhere = { httpHost: "0.0.0.0" };
  assert.equal(loadConfig(flagsOf({})).noAuth, false);
  assert.match(refused({ ...everywhere, noAuth: true }), /anybody there may do everything/);
  assert.match(refused({ ...everywhere, noAuth: true, insecureHttp: true }), /anybody there may do everything/);
  assert.match(refused(everywhere), /in the clear: give --tls-cert and --tls-key, or --insecure-http/);
  const tls = { tlsCertFile: "cert.pem", tlsKeyFile: "key.pem" };
  assert.equal(loadConfig(flagsOf({ ...everywhere, ...tls })).tlsCertFile, join(process.cwd(), "cert.pem"));
  assert.ok(loadConfig(flagsOf({ ...everywhere, insecureHttp: true })).insecureHttp);
  assert.match(refused({ tlsCertFile: "cert.pem" }), /belong together/);
  assert.ok(loadConfig({ flags: {}, environment: { AIRLIFT_NO_AUTH: "1" } }).noAuth);
});

test("proxies are addresses or networks; the master key is in no message", () => {
  const environment = { AIRLIFT_TRUSTED_PROXY: "10.0.0.1,fd00::/8" };
  assert.deepEqual(loadConfig({ flags: {}, environment }).trustedProxies, ["10.0.0.1", "fd00::/8"]);
  for (const one of ["proxy.example", "10.0.0.1/"])
    assert.match(problemsOf(() => loadConfig({ flags: { trustedProxies: [one] }, environment: {} }))[0] ?? "", /proxy/);
  const mistaken = { AIRLIFT_MASTER_KEY: "5ec2e7", AIRLIFT_HTTP_PORT: "x" };
  assert.ok(
    !problemsOf(() => loadConfig({ flags: {}, environment: mistaken }))
      .join()
      .includes("5ec2e7"),
  );
});

test("a configuration file that is missing or broken is one mistake, not a crash", () => {
  assert.match(
    problemsOf(() => loadConfig({ flags: { config: "/nonexistent.json" }, environment: {} }))[0] ?? "",
    /there is no such file/,
  );
});

test("loopback is told from the rest", () => {
  for (const host of ["127.0.0.1", "127.8.8.8", "::1", "localhost"]) assert.ok(isLoopbackHost(host), host);
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.com"]) assert.ok(!isLoopbackHost(host), host);
});

test("a sign-in provider is named whole, over https or on this machine, and not without sign-in", () => {
  const flags = { oidcIssuer: "https://login.example", oidcClientId: "airlift", oidcClientSecretFile: "oidc.secret" };
  const config = loadConfig({ flags, environment: { AIRLIFT_OIDC_ROLE_CLAIM: "realm_access.roles" } });
  assert.deepEqual([config.oidcIssuer, config.oidcRoleClaim], ["https://login.example", "realm_access.roles"]);
  assert.equal(
    loadConfig({ flags: { ...flags, oidcIssuer: "http://127.0.0.1:9" }, environment: {} }).oidcNameClaim,
    "preferred_username",
  );
  for (const [wrong, pattern] of [
    [{ oidcClientId: undefined }, /belong together/],
    [{ oidcIssuer: "http://login.example" }, /https:/],
    [{ noAuth: true }, /nobody is asked to sign in/],
  ] as const)
    assert.throws(() => loadConfig({ flags: { ...flags, ...wrong }, environment: {} }), pattern);
});

test("records are kept for a time with its unit, or for ever", () => {
  const load = (flags: Record<string, unknown>) => loadConfig({ flags, environment: {} });
  const kept = load({ keepEvents: "90d", keepUpdates: "forever", keepExchanges: "12h", keepRequests: "2w" });
  const { keepEvents, keepUpdates, keepExchanges, keepRequests, keepCampaignTargets } = kept;
  const hours = [keepEvents, keepExchanges, keepRequests, keepCampaignTargets].map((ms) => Number(ms) / 3_600_000);
  assert.deepEqual(hours, [2160, 12, 336, 8760]);
  assert.equal(keepUpdates, null);
  for (const wrong of ["90", "0d", "1y", "-1d", 90])
    assert.throws(() => load({ keepEvents: wrong }), /--keep-events.*neither a time/);
});

test("values of the role claim are given roles, and what is no role is told", () => {
  const config = (oidcRoles: unknown) => loadConfig({ flags: { noAuth: true, oidcRoles }, environment: {} });
  assert.deepEqual(
    [...config(["cn=fleet=operator", "ops=admin"]).oidcRoles],
    [
      ["cn=fleet", "operator"],
      ["ops", "admin"],
    ],
  );
  for (const wrong of ["fleet", "fleet=root", "fleet=gateway", "=admin"])
    assert.match(problemsOf(() => config([wrong])).join(), /^--oidc-role: ".*" is not of the form CLAIMVALUE=ROLE/);
});

/** From an empty folder to a guarded server over https, by the command line alone: tokens, device keys, certificates, the master key. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { connect, type PeerCertificate } from "node:tls";
import { fileURLToPath } from "node:url";
import { type Authority, createAuthority, skipWithoutOpenssl } from "../certificates.ts";

const CLI = fileURLToPath(new URL("../../packages/cli/src/main.ts", import.meta.url));
const skip = skipWithoutOpenssl();
const folder = mkdtempSync(join(tmpdir(), "doors-"));
const file = (name: string): string => join(folder, name);
const data = file("data");
let authority: Authority;
let server: ChildProcess;
let said = "";
let url = "";
let token = "";

before(async () => {
  if (skip !== false) return;
  authority = createAuthority(folder);
  useCertificate("first");
  await startServer();
  token = readFileSync(join(data, "first-admin-token"), "utf8").trim();
});
after(async () => {
  await stopServer();
  rmSync(folder, { recursive: true });
});

/** What a renewal does: both files are written over. */
function useCertificate(name: string): void {
  const { certificatePath, keyPath } = authority.issue(name);
  copyFileSync(certificatePath, file("tls.pem"));
  copyFileSync(keyPath, file("tls.key"));
}

async function startServer(): Promise<void> {
  const ports = ["--host", "127.0.0.1", "--coap-port", "0", "--http-port", "0"];
  const tls = ["--http-host", "0.0.0.0", "--tls-cert", file("tls.pem"), "--tls-key", file("tls.key")];
  server = spawn(process.execPath, [CLI, "serve", "--data", data, ...ports, ...tls, "--json"]);
  server.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  let line = "";
  while (!line.includes("\n")) {
    const [chunk] = await Promise.race([once(server.stdout as NodeJS.ReadableStream, "data"), once(server, "close")]);
    if (server.exitCode !== null) throw new Error(said);
    line += chunk;
  }
  url = (JSON.parse(line) as { httpUrl: string }).httpUrl.replace("0.0.0.0", "127.0.0.1");
}

async function stopServer(): Promise<void> {
  if (server === undefined || server.exitCode !== null) return;
  server.kill("SIGTERM");
  await once(server, "close");
}

const ENVIRONMENT = { PATH: "/usr/bin:/bin" };

async function run(args: readonly string[], input = "", environment = {}) {
  const child = spawn(process.execPath, [CLI, ...args], { env: { ...ENVIRONMENT, AIRLIFT_URL: url, ...environment } });
  const texts = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    texts.out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    texts.err += text;
  });
  child.stdin.end(input);
  const [code] = await once(child, "close");
  return { code: code as number, ...texts };
}
const airlift = (...args: string[]) => run(args, "", { AIRLIFT_TOKEN: token, AIRLIFT_CA: authority.certificatePath });
async function json(...args: string[]) {
  const { code, out, err } = await airlift(...args, "--json");
  assert.equal(code, 0, err);
  return JSON.parse(out);
}

test("the first token is in a file for its owner alone, and the log says where, not what", { skip }, async () => {
  assert.match(token, /^airlift_[\w-]{43}$/);
  assert.equal(statSync(join(data, "first-admin-token")).mode & 0o777, 0o600);
  assert.equal(statSync(join(data, "master.key")).mode & 0o777, 0o600);
  assert.match(said, /first-admin-token/);
  assert.match(said, /master\.key.*keep a copy of it/);
  assert.ok(!said.includes(token));
});

test("a command wants the server's authority and a token, and says which of them is missing", { skip }, async () => {
  const stranger = await run(["devices"], "", { AIRLIFT_TOKEN: token });
  assert.deepEqual([stranger.code, stranger.out], [1, ""]);
  assert.match(stranger.err, /UNREACHABLE/);
  const nobody = await run(["devices", "--ca", authority.certificatePath]);
  assert.match(nobody.err, /give --token.*\(TOKEN_MISSING\)/);
  assert.deepEqual(await json("devices"), []);
});

test("tokens of less may do less, until they are revoked", { skip }, async () => {
  const made = await json("token", "create", "--role", "viewer", "--name", "wall", "--expires", "90d");
  const asViewer = (...args: string[]) => run([...args, "--token", made.token, "--ca", authority.certificatePath]);
  assert.equal((await asViewer("devices")).code, 0);
  const refused = await asViewer("device-key", "add", "pump");
  assert.deepEqual([refused.code, refused.out], [1, ""]);
  assert.match(refused.err, /wants the role admin.*\(ROLE_REFUSED\)/);
  assert.match((await airlift("token", "list")).out, new RegExp(`^${made.id} +wall +viewer +good`, "m"));
  assert.equal((await json("token", "revoke", made.id)).name, "wall");
  assert.match((await asViewer("devices")).err, /TOKEN_REFUSED/);
});

test("a device's key is made, listed without itself, replaced and removed", { skip }, async () => {
  const made = await json("device-key", "add", "pump");
  assert.match(made.key, /^[0-9a-f]{32}$/);
  const rotated = await json("device-key", "rotate", "pump", "--overlap", "7d");
  const listed = await airlift("device-key", "list", "pump", "--json");
  assert.deepEqual(
    JSON.parse(listed.out).map(({ state }: { state: string }) => state),
    ["ending", "active"],
  );
  await json("device-key", "remove", "pump", made.id);
  assert.equal((await json("device-key", "list", "pump")).length, 1);
  const shown = await airlift("device-show", "pump");
  for (const text of [listed.out, said, shown.out, shown.err])
    for (const { key } of [made, rotated]) assert.ok(!text.includes(key));
  const unknown = await airlift("device-key", "allow-plain", "pump");
  assert.match(unknown.err, /no device has registered as pump \(UNKNOWN_DEVICE\)/);
  const wrong = await airlift("device-key", "add", "pump", "--key", "zz");
  assert.equal(wrong.code, 2);
});

test("an import tells each line that is wrong, and the same file again adds what is missing", { skip }, async () => {
  const lines = [
    "endpoint,identity,key",
    ...Array.from({ length: 450 }, (_, n) => `meter-${n},meter-${n},${`${n}`.padStart(32, "0")}`),
    "meter-x,meter-1,00000000000000000000000000000000",
    '{"endpoint":"meter-y","identity":"meter-y","key":"11111111111111111111111111111111","purpose":"bootstrap"}',
    "{not json",
  ];
  writeFileSync(file("keys.csv"), lines.join("\n"));
  const first = await airlift("device-key", "import", file("keys.csv"), "--json");
  assert.equal(first.code, 1);
  const { added, unchanged, refused } = JSON.parse(first.out);
  assert.deepEqual([added, unchanged, refused.map(({ line }: { line: number }) => line)], [451, 0, [452, 454]]);
  assert.match(first.err, /^line 452: /m);
  const again = JSON.parse((await airlift("device-key", "import", file("keys.csv"), "--json")).out);
  assert.deepEqual([again.added, again.unchanged, again.refused.length], [0, 451, 2]);
});

test("an authority of device certificates is believed until it is removed", { skip }, async () => {
  const added = await json("authority", "add", authority.certificatePath);
  assert.deepEqual(
    (await json("authority", "list")).map(({ subject }: { subject: string }) => subject),
    ["ca"],
  );
  await json("authority", "remove", added.fingerprint);
  assert.deepEqual(await json("authority", "list"), []);
  const secret = await airlift("authority", "add", file("tls.key"));
  assert.match(secret.err, /private key/);
});

test("a fresh master key is in the file, and the server goes on with it", { skip }, async () => {
  const old = readFileSync(join(data, "master.key"), "utf8");
  const done = await json("master-key", "rotate");
  assert.ok(done.reencryptedCount >= 452);
  assert.notEqual(readFileSync(join(data, "master.key"), "utf8"), old);
});

test("a renewed certificate is served from SIGHUP on; one without its key is not", { skip }, async () => {
  const before = await peerCertificate();
  copyFileSync(authority.issue("unfit").certificatePath, file("tls.pem"));
  server.kill("SIGHUP");
  await untilSaid(/stays as it is/);
  assert.equal((await peerCertificate()).fingerprint256, before.fingerprint256);
  useCertificate("renewed");
  server.kill("SIGHUP");
  await untilSaid(/was read again/);
  assert.equal((await peerCertificate()).subject.CN, "renewed");
  const { headers } = await fetchThere("/healthz");
  assert.match(headers["strict-transport-security"] ?? "", /max-age=\d+/);
});

test("TLS 1.1 is refused", { skip }, async () => {
  const { hostname, port } = new URL(url);
  const options = { host: hostname, port: Number(port), ca: authority.certificate, maxVersion: "TLSv1.1" } as const;
  const socket = connect({ ...options, minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" });
  const [error] = await once(socket, "error");
  assert.match((error as { code: string }).code, /ALERT_PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/);
});

test("who lost every token makes one in the data folder, with the server stopped; another master key does not start", {
  skip,
}, async () => {
  const busy = await airlift("token", "create", "--role", "admin", "--data", data);
  assert.match(busy.err, /another airlift serve uses/);
  await stopServer();
  const made = await airlift("token", "create", "--role", "admin", "--name", "again", "--data", data);
  assert.equal(made.code, 0, made.err);
  const wrong = await run(["serve", "--data", data, "--http-port", "0", "--coap-port", "0"], "", {
    AIRLIFT_MASTER_KEY: "ab".repeat(32),
  });
  assert.equal(wrong.code, 2);
  assert.match(wrong.err, /^airlift: device keys in the database are encrypted under master key/m);
  await startServer();
  token = made.out.trim();
  assert.equal((await json("token", "list"))[0].name, "again");
});

async function untilSaid(pattern: RegExp): Promise<void> {
  while (!pattern.test(said)) await once(server.stderr as NodeJS.ReadableStream, "data");
}

async function peerCertificate(): Promise<PeerCertificate> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), ca: authority.certificate });
  await once(socket, "secureConnect");
  const certificate = socket.getPeerCertificate();
  socket.destroy();
  return certificate;
}

async function fetchThere(path: string): Promise<{ headers: Record<string, string> }> {
  const { get } = await import("node:https");
  const [answer] = await once(get(url + path, { ca: authority.certificate, agent: false }), "response");
  answer.resume();
  return answer;
}

/** A server as a process, at its most talkative, with devices of every kind: no key is in its log, its database or an answer. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createUpdateAgent, type UpdateAgent } from "@airlift/device/agent";
import type { AgentEvent, UpdateAgentOptions } from "@airlift/device/agent-options";
import { createCredentialFile } from "@airlift/device/node/credential-file";
import { ACCESS } from "@airlift/server/api/access";
import { type ScratchDatabase, startScratchDatabase } from "@airlift/server/store/scratch-database";
import pg from "pg";
import { createMemoryDevice } from "./memory-handlers.ts";

const CLI = join(import.meta.dirname, "../../packages/cli/src/main.ts");
const HOST = "127.0.0.1";
const image = randomBytes(30_000).fill(0x11, 0, 1);

let database: ScratchDatabase;
let server: ChildProcess;
let said = "";
let httpUrl = "";
let coapsUrl = "";
let token = "";
const agents: UpdateAgent[] = [];
/** By what they are for: octets, as they are kept. */
const secrets = new Map<string, Buffer>();

before(async () => {
  database = await startScratchDatabase();
  const places = ["--host", HOST, "--coap-port", "0", "--http-port", "0", "--database-url", database.url];
  const data = join(database.folder, "data");
  server = spawn(process.execPath, [CLI, "serve", "--data", data, ...places, "--log-level", "trace", "--json"]);
  for (const stream of [server.stdout, server.stderr])
    stream?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  while (!/^\{"httpUrl".*\n/m.test(said)) {
    await Promise.race([once(server.stdout as NodeJS.ReadableStream, "data"), once(server, "close")]);
    assert.equal(server.exitCode, null, said);
  }
  const line = said.split("\n").find((each) => each.startsWith('{"httpUrl"')) ?? "{}";
  const started = JSON.parse(line) as { httpUrl: string; coapUrls: string[] };
  httpUrl = started.httpUrl;
  coapsUrl = started.coapUrls.find((url) => url.startsWith("coaps://")) ?? assert.fail(line);
  token = readFileSync(join(data, "first-admin-token"), "utf8").trim();
  const secretFiles = ["master.key", "server-key.pem"] as const;
  const [master, own] = secretFiles.map((name) => readFileSync(join(data, name), "utf8"));
  secrets.set("token", Buffer.from(token));
  secrets.set("master key", Buffer.from(master?.trim() ?? "", "hex"));
  secrets.set("server's private key", privateOctets(own ?? ""));
});
after(async () => {
  await Promise.all(agents.map((agent) => agent.close()));
  server.kill("SIGTERM");
  if (server.exitCode === null) await once(server, "close");
  await database.stop();
});

const privateOctets = (pem: string): Buffer => Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64");

async function ask<T>(path: string, body?: object | Uint8Array): Promise<T> {
  const isBinary = body instanceof Uint8Array;
  const answer = await fetch(httpUrl + path, {
    method: body === undefined ? "GET" : "POST",
    headers: {
      authorization: `Bearer ${token}`,
      ...(body && { "content-type": isBinary ? "application/octet-stream" : "application/json" }),
    },
    ...(body && { body: isBinary ? Buffer.from(body) : JSON.stringify(body) }),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
  return JSON.parse(text) as T;
}

interface Made {
  readonly identity: string;
  readonly key: string;
}

async function pskFrom(what: string, path: string, body: object) {
  const { identity, key } = await ask<Made>(path, body);
  secrets.set(what, Buffer.from(key, "hex"));
  return { identity, key: Uint8Array.from(Buffer.from(key, "hex")) };
}

/** An agent that has registered. */
async function started(endpoint: string, options: Partial<UpdateAgentOptions>): Promise<UpdateAgent> {
  const device = createMemoryDevice();
  const registered = Promise.withResolvers<void>();
  const agent = createUpdateAgent({
    ...{ endpoint, handlers: device.handlers, store: device.store },
    identity: { manufacturer: "Example", model: "Pump", serialNumber: "7", firmwareVersion: "1.0.0" },
    onEvent: (event: AgentEvent) => {
      if (event.kind === "registered") registered.resolve();
      if (event.kind === "registrationFailed") registered.reject(new Error(event.reason));
    },
    ...options,
  });
  agents.push(agent);
  await agent.start();
  await registered.promise;
  return agent;
}

test("devices with keys of every kind are bootstrapped, updated and given new keys", async () => {
  const place = (endpoint: string) => `/api/v1/devices/${endpoint}/credentials`;
  const old = await pskFrom("first key", place("with-psk"), { kind: "psk" });
  const first = await started("with-psk", { server: coapsUrl, credentials: { psk: old } });

  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const keyPem = `${privateKey.export({ type: "pkcs8", format: "pem" })}`;
  secrets.set("device's private key", privateOctets(keyPem));
  const publicKeyPem = `${publicKey.export({ type: "spki", format: "pem" })}`;
  await ask(place("with-rpk"), { kind: "rpk", publicKeyPem });
  const rpkPem = readFileSync(join(database.folder, "data", "server-key.pub.pem"), "utf8");
  await started("with-rpk", { server: coapsUrl, credentials: { rpk: { keyPem }, trust: { rpkPem } } });

  const factory = await pskFrom("factory key", place("fresh"), { kind: "psk", purpose: "bootstrap" });
  const store = createCredentialFile(join(database.folder, "fresh"));
  const bootstrap = { server: coapsUrl, credentials: { psk: factory }, store };
  await started("fresh", { bootstrap });
  const given = (await store.load()).former ?? (await store.load()).untried;
  assert.ok(given);
  const octets = given.flatMap(({ value }) => (value instanceof Uint8Array && value.length >= 16 ? [value] : []));
  assert.ok(octets.length > 0);
  for (const [number, value] of octets.entries()) secrets.set(`bootstrapped ${number}`, Buffer.from(value));

  const { id: imageId } = await ask<{ id: string }>(
    "/api/v1/images?manufacturer=Example&model=Pump&version=2.0.0",
    image,
  );
  for (const endpoint of ["with-psk", "with-rpk", "fresh"]) {
    const { id } = await ask<{ id: string }>("/api/v1/updates", { endpoint, imageId, by: "pull", apply: false });
    for (let state = ""; state !== "waitingToApply"; await new Promise((resolve) => setTimeout(resolve, 50))) {
      state = (await ask<{ state: string }>(`/api/v1/updates/${id}`)).state;
      assert.ok(!["failed", "refused", "cancelled"].includes(state), state);
    }
  }
  const next = await pskFrom("second key", `${place("with-psk")}/rotate`, { credential: { kind: "psk" } });
  await first.close();
  await started("with-psk", { server: coapsUrl, credentials: { psk: next } });
  await ask("/api/v1/tokens", { name: "wall", role: "viewer" }).then((made) =>
    secrets.set("second token", Buffer.from((made as { token: string }).token)),
  );
});

/** As text, in hex of either case, and in base64 of either alphabet. */
function findsIn(text: string): string[] {
  return [...secrets].flatMap(([what, octets]) =>
    [octets.toString("latin1"), octets.toString("hex"), octets.toString("base64").replace(/=+$/, "")]
      .flatMap((form) => [form, form.toUpperCase(), form.replaceAll("+", "-").replaceAll("/", "_")])
      .some((form) => text.includes(form))
      ? [what]
      : [],
  );
}

test("no key is in a line of the log", () => {
  assert.ok(secrets.size >= 9, [...secrets.keys()].join());
  assert.match(said, /"level":10|"level":20|"level":30/);
  assert.deepEqual(findsIn(said), []);
});

/** Of a stream of events what comes at once: those that were. */
async function textOf(answer: Response): Promise<string> {
  if (!answer.headers.get("content-type")?.startsWith("text/event-stream")) return await answer.text();
  let text = "";
  for await (const chunk of answer.body ?? []) {
    text += Buffer.from(chunk).toString("latin1");
    if (text.length > 0) break;
  }
  return text;
}

test("no key is in any answer to a GET", async () => {
  const ids = {
    ":endpoint": ["with-psk", "with-rpk", "fresh"],
    ":id": (await ask<{ items: { id: string }[] }>("/api/v1/updates")).items.map(({ id }) => id),
  };
  const routes = Object.keys(ACCESS).flatMap((route) => (route.startsWith("GET /") ? [route.slice(4)] : []));
  const paths = routes.flatMap((route) => {
    if (route.includes("/assets/") || route.includes(":image")) return [];
    const named = route.replace("/resources/*", "/resources/0/0").replace("discover", "discover?path=/3");
    if (named.includes(":endpoint")) return ids[":endpoint"].map((name) => named.replace(":endpoint", name));
    if (named.includes(":id")) return ids[":id"].map((id) => named.replace(":id", id));
    return [named];
  });
  let count = 0;
  for (const path of paths) {
    const answer = await fetch(httpUrl + path, { headers: { authorization: `Bearer ${token}` } });
    assert.deepEqual(findsIn(await textOf(answer)), [], path);
    if (answer.ok) count += 1;
  }
  assert.ok(count > 20, `${count} answers`);
});

test("no key is in the database: neither an event, nor an exchange, nor a row of any table", async (t) => {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  t.after(() => client.end());
  const { rows } = await client.query<{ name: string }>(
    "select quote_ident(table_name) as name from information_schema.tables where table_schema = 'public'",
  );
  assert.ok(rows.length > 8);
  let rowCount = 0;
  for (const { name } of rows) {
    const found = await client.query<{ row: string }>(`select row_to_json(t)::text as row from ${name} t`);
    rowCount += found.rows.length;
    for (const { row } of found.rows) assert.deepEqual(findsIn(row), [], name);
  }
  assert.ok(rowCount > 30, `${rowCount} rows`);
});

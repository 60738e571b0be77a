import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { get } from "node:http";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { ROLES, type Role } from "@airlift/protocol/api/credentials";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type FastifyInstance, fastify, type HTTPMethods, type InjectOptions } from "fastify";
import pg from "pg";
import { pino } from "pino";
import { exampleRegistration, openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { ACCESS, isAllowed, requireRoles } from "./access.ts";
import { createApi } from "./create-api.ts";
import { listen } from "./listen.ts";
import type { FleetCommands, MeshCommands, OperationCommands } from "./ports.ts";

let scratch: ScratchStores;
let api: FastifyInstance;
const logged: string[] = [];
const log = pino({ level: "trace" }, { write: (line: string) => void logged.push(line) });
const tokens = new Map<Role, string>();

const fleet: FleetCommands = {
  isHere: () => true,
  asleepSinceMs: () => undefined,
  reachabilityOf: () => ({ awake: "unknown", awakeUntil: null, nextExpectedAt: null, reachability: "" }),
  queue: { submit: async () => "1", cancel: async () => {}, list: async () => [] },
};
/** Whoever is let through is told that there is no such device. */
const operations = new Proxy({} as OperationCommands, {
  get: () => () => {
    throw new UsageError("DEVICE_GONE", "the device is not registered");
  },
});
const mesh = operations as unknown as MeshCommands;
/** A gateway's token names the gateway, and each route is asked for one of this name. */
const nameOf = (role: Role): string => (role === "gateway" ? "nothing" : role);
const commands = {
  isRunning: () => true,
  start: async () => {},
  apply: async () => {},
  cancel: async () => {},
  onFetched: () => {},
};
const config = { httpHost: "0.0.0.0", publicHost: null, maxImageBytes: 1000, noAuth: false };

before(async () => {
  scratch = await openScratchStores();
  for (const role of ROLES) tokens.set(role, (await scratch.stores.tokens.create({ role, name: nameOf(role) })).token);
  scratch.stores.devices.queueSave([exampleRegistration("pump")]);
  await scratch.stores.devices.flush();
});
beforeEach(async () => {
  api = await createApi({ config, stores: scratch.stores, commands, fleet, operations, mesh, log });
});
afterEach(async () => await api.close());
after(async () => {
  await scratch.close();
});

const ask = async (options: InjectOptions, token?: string) => {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await api.inject({
    ...options,
    headers: { host: "fleet.example", ...authorization, ...options.headers },
  });
  const isJson = answer.body !== "" && `${answer.headers["content-type"]}`.includes("json");
  return { status: answer.statusCode, headers: answer.headers, text: answer.body, body: isJson ? answer.json() : {} };
};
const routes = Object.entries(ACCESS).map(([route, least]) => {
  const [method = "", pattern = ""] = route.split(" ");
  return { method: method as HTTPMethods & "GET", url: pattern.replaceAll(/:\w+/g, "nothing"), route, least };
});

describe("the table of roles", () => {
  test("has every route that is registered, and none that is not", async () => {
    const registered: string[] = [];
    const described = JSON.parse((await ask({ url: "/api/v1/openapi.json" })).text);
    for (const { method, url, route } of routes)
      if (api.hasRoute({ method, url: route.split(" ")[1] ?? "" })) registered.push(route);
      else assert.fail(`${url} is not registered`);
    for (const [path, methods] of Object.entries(described.paths))
      for (const method of Object.keys(methods as object)) {
        const route = `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1").replaceAll("{*}", "*")}`;
        assert.ok(registered.includes(route), route);
        const { security, "x-role": role } = described.paths[path][method];
        assert.equal(role, ACCESS[route]);
        assert.equal(security.length > 0, ACCESS[route] !== "open", route);
      }
    assert.ok(described.components.securitySchemes.token);
  });

  test("keeps a server from starting that has a route without a role", () => {
    const app = fastify({ exposeHeadRoutes: false });
    const refuseMissing = requireRoles(app);
    app.get("/healthz", async () => ({}));
    refuseMissing();
    app.get("/api/v1/secrets", async () => ({}));
    app.route({ method: ["PUT", "PATCH"], url: "/api/v1/others", handler: async () => ({}) });
    assert.throws(refuseMissing, (error: Error & { code: string }) => {
      assert.equal(error.code, "ROUTE_WITHOUT_ROLE");
      assert.match(error.message, /GET \/api\/v1\/secrets, PUT \/api\/v1\/others, PATCH \/api\/v1\/others/);
      return true;
    });
  });
});

test("every route × nobody and every role: 401, 403, or the handler's own answer", async () => {
  // These would take away what the other rows are asked with, or never end.
  const skipped = new Set(["POST /api/v1/master-key/rotate", "GET /api/v1/events"]);
  for (const { method, url, route, least } of routes) {
    const nobody = await ask({ method, url });
    if (least === "open") assert.ok(![401, 403].includes(nobody.status), `${route}: ${nobody.status}`);
    else {
      assert.deepEqual([nobody.status, nobody.body.code], [401, "TOKEN_MISSING"], route);
      assert.equal(nobody.headers["www-authenticate"], 'Bearer realm="airlift"');
    }
    for (const role of ROLES) {
      const allowed = isAllowed(role, least);
      if (allowed && skipped.has(route)) continue;
      const answer = await ask({ method, url }, tokens.get(role));
      if (route.includes("session")) continue;
      const isRefused = answer.status === 403 && answer.body.code === "ROLE_REFUSED";
      assert.equal(isRefused, !allowed, `${role} ${route}: ${answer.status}`);
      assert.notEqual(answer.status, 401, route);
    }
  }
});

describe("tokens", () => {
  test("a token that is revoked, expired, cut, of another form or shown in another way is refused, and nothing else is told", async () => {
    const { tokens: store } = scratch.stores;
    const revoked = await store.create({ role: "viewer" });
    await ask({ url: "/api/v1/devices" }, revoked.token);
    await store.revoke(revoked.id);
    const good = tokens.get("admin") ?? "";
    const refused = [
      revoked.token,
      good.slice(0, -1),
      `${good}x`,
      good.toUpperCase(),
      "airlift_",
      "",
      "x".repeat(10_000),
    ];
    for (const token of refused) {
      const answer = await ask({ url: "/api/v1/devices", remoteAddress: "192.0.2.9" }, token);
      assert.deepEqual([answer.status, answer.body.code], [401, "TOKEN_REFUSED"], token.slice(0, 60));
    }
    const basic = await ask({
      url: "/api/v1/devices",
      headers: { authorization: `Basic ${good}` },
      remoteAddress: "192.0.2.9",
    });
    assert.equal(basic.status, 401);
    const short = await store.create({ role: "viewer", expiresInS: 1 });
    const { expiresAt } = short;
    assert.ok(expiresAt !== null);
    const client = new pg.Client({ connectionString: scratch.database.url });
    await client.connect();
    await client.query("update api_tokens set expires_at = now() where id = $1", [short.id]);
    await client.end();
    assert.equal((await ask({ url: "/api/v1/devices", remoteAddress: "192.0.2.9" }, short.token)).status, 401);
  });

  test("are made, listed and revoked by an administrator; the text is told once", async () => {
    const admin = tokens.get("admin");
    const made = await ask(
      { method: "POST", url: "/api/v1/tokens", payload: { role: "operator", name: "ci", expiresInS: 3600 } },
      admin,
    );
    assert.equal(made.status, 201);
    assert.match(made.body.token, /^airlift_[\w-]{43}$/);
    assert.equal((await ask({ url: "/api/v1/session" }, made.body.token)).body.name, "ci");
    const list = await ask({ url: "/api/v1/tokens" }, admin);
    assert.equal(list.body.items[0].name, "ci");
    assert.ok(list.body.items[0].lastUsedAt !== null);
    assert.ok(!list.text.includes(made.body.token));
    await ask({ method: "DELETE", url: `/api/v1/tokens/${made.body.id}` }, admin);
    assert.equal((await ask({ url: "/api/v1/session", remoteAddress: "192.0.2.10" }, made.body.token)).status, 401);
  });

  test("the first one is made once, for an empty database alone", async () => {
    let text = "";
    const keep = async (made: string) => {
      text = made;
    };
    assert.equal(await scratch.stores.tokens.createFirst(keep), undefined);
    assert.equal(text, "");
  });
});

test("a listener to events hears no more when its token is revoked", async () => {
  const made = await scratch.stores.tokens.create({ role: "viewer" });
  const url = await listen(api, "127.0.0.1", 0);
  const headers = { authorization: `Bearer ${made.token}` };
  const [answer] = await once(get(`${url}/api/v1/events`, { headers, agent: false }), "response");
  assert.equal(answer.statusCode, 200);
  await once(answer, "data");
  answer.on("error", () => {});
  answer.resume();
  const closed = new Promise((resolve) => answer.once("close", resolve));
  await scratch.stores.tokens.revoke(made.id);
  await closed;
});

test("an Idempotency-Key gives nobody the answer that was another's", async () => {
  const second = await scratch.stores.tokens.create({ role: "admin", name: "second" });
  const request = {
    method: "POST",
    url: "/api/v1/tokens",
    headers: { "idempotency-key": "whose" },
    payload: { role: "viewer" },
  } as const;
  assert.equal((await ask(request, tokens.get("admin"))).status, 201);
  assert.equal((await ask(request, second.token)).body.code, "IDEMPOTENCY_KEY_REUSED");
});

describe("a flood of bad tokens", () => {
  const guess = () => `airlift_${randomBytes(32).toString("base64url")}`;

  test("meets 429 with Retry-After after a few, without a look into the database, and does not lock out who was in", async (t) => {
    const remoteAddress = "198.51.100.7";
    await ask({ url: "/api/v1/devices", remoteAddress }, tokens.get("viewer"));
    const look = t.mock.method(scratch.stores.tokens, "holderOf");
    const statuses: number[] = [];
    for (let n = 0; n < 50; n += 1)
      statuses.push((await ask({ url: "/api/v1/devices", remoteAddress }, guess())).status);
    assert.deepEqual(
      statuses.slice(0, 11),
      Array.from({ length: 11 }, () => 401),
    );
    assert.ok(statuses.slice(11).every((status) => status === 429));
    assert.equal(look.mock.callCount(), 11);
    const waiting = await ask({ url: "/api/v1/devices", remoteAddress }, guess());
    assert.equal(waiting.body.code, "TOO_MANY_ATTEMPTS");
    assert.ok(Number(waiting.headers["retry-after"]) >= 1);
    assert.equal((await ask({ url: "/api/v1/devices", remoteAddress }, tokens.get("viewer"))).status, 200);
    assert.equal((await ask({ url: "/api/v1/devices", remoteAddress: "198.51.100.8" }, guess())).status, 401);
    const signIn = { method: "POST", url: "/api/v1/session", remoteAddress, payload: { token: guess() } } as const;
    assert.equal((await ask(signIn)).status, 429);
  });

  test("behind a proxy counts for the sender that the proxy names, and for nobody's word else", async () => {
    const second = await createApi({
      config: { ...config, trustedProxies: ["10.0.0.1"] },
      stores: scratch.stores,
      commands,
      fleet,
      operations,
      log,
      attempts: { freeCount: 0 },
    });
    const statusOf = async (remoteAddress: string, sender: string) => {
      const headers = { authorization: `Bearer ${guess()}`, "x-forwarded-for": sender };
      return (await second.inject({ url: "/api/v1/devices", remoteAddress, headers })).statusCode;
    };
    assert.deepEqual(
      [await statusOf("10.0.0.1", "203.0.113.1"), await statusOf("10.0.0.1", "203.0.113.1")],
      [401, 429],
    );
    assert.equal(await statusOf("10.0.0.1", "203.0.113.2"), 401);
    assert.deepEqual(
      [await statusOf("10.0.0.9", "203.0.113.3"), await statusOf("10.0.0.9", "203.0.113.4")],
      [401, 429],
    );
    await second.close();
  });
});

describe("a browser's session", () => {
  const signIn = async (role: Role, headers = {}) =>
    await ask({ method: "POST", url: "/api/v1/session", payload: { token: tokens.get(role) }, headers });
  const cookieOf = (answer: Awaited<ReturnType<typeof signIn>>) =>
    `${answer.headers["set-cookie"]}`.split(";")[0] ?? "";

  test("is a cookie out of reach for scripts and other sites, secure where the page is", async () => {
    const answer = await signIn("operator", { origin: "https://fleet.example" });
    assert.equal(answer.status, 201);
    assert.match(
      `${answer.headers["set-cookie"]}`,
      /^__Host-airlift_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=431\d\d; Secure$/,
    );
    assert.ok(!answer.text.includes(cookieOf(answer).split("=")[1] ?? ""));
    assert.doesNotMatch(`${(await signIn("operator")).headers["set-cookie"]}`, /Secure/);
  });

  test("has its token's role, and ends with a sign-out or with the token", async () => {
    const cookie = cookieOf(await signIn("viewer"));
    assert.equal((await ask({ url: "/api/v1/session", headers: { cookie } })).body.role, "viewer");
    assert.equal((await ask({ url: "/api/v1/tokens", headers: { cookie } })).status, 403);
    const origin = "http://fleet.example";
    await ask({ method: "DELETE", url: "/api/v1/session", headers: { cookie, origin } });
    assert.equal((await ask({ url: "/api/v1/session", headers: { cookie } })).status, 401);
    const made = await scratch.stores.tokens.create({ role: "viewer" });
    const own = await ask({ method: "POST", url: "/api/v1/session", payload: { token: made.token } });
    const second = { cookie: `${own.headers["set-cookie"]}`.split(";")[0] ?? "" };
    assert.equal((await ask({ url: "/api/v1/session", headers: second })).status, 200);
    await scratch.stores.tokens.revoke(made.id);
    assert.equal((await ask({ url: "/api/v1/session", headers: second })).status, 401);
  });

  test("changes nothing on the word of another site's page", async () => {
    const cookie = cookieOf(await signIn("admin"));
    const change = { method: "POST", url: "/api/v1/tokens", payload: { role: "viewer" } } as const;
    const statusOf = async (headers: Record<string, string>) =>
      (await ask({ ...change, headers: { cookie, ...headers } })).status;
    assert.equal(await statusOf({ origin: "https://evil.example" }), 403);
    assert.equal(await statusOf({ "sec-fetch-site": "cross-site" }), 403);
    assert.equal(await statusOf({ "sec-fetch-site": "same-site", origin: "http://fleet.example" }), 403);
    assert.equal(await statusOf({ origin: "null" }), 403);
    assert.equal(await statusOf({}), 403);
    assert.equal(await statusOf({ origin: "http://fleet.example" }), 201);
  });
});

test("answers carry headers that keep a page from being framed, sniffed or scripted from elsewhere", async () => {
  for (const url of ["/", "/api/v1/openapi.json", "/api/v1/devices"]) {
    const { headers } = await ask({ url });
    assert.match(`${headers["content-security-policy"]}`, /default-src '(self|none)'.*frame-ancestors 'none'/);
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["x-frame-options"], "DENY");
    assert.equal(headers["referrer-policy"], "no-referrer");
    assert.equal(headers["strict-transport-security"], undefined, "without TLS it would lock people out");
  }
});

test("device keys and tokens are in one answer, and in no log, event, other answer or row, however they are written", async () => {
  const admin = tokens.get("admin");
  const secrets: Buffer[] = [];
  const texts: string[] = [];
  const post = async (url: string, payload: object, key?: string) =>
    await ask({ method: "POST", url, payload, headers: key === undefined ? {} : { "idempotency-key": key } }, admin);
  const made = await post("/api/v1/devices/pump/credentials", { kind: "psk" }, "made-once");
  assert.equal(made.status, 201);
  const replayed = await post("/api/v1/devices/pump/credentials", { kind: "psk" }, "made-once");
  assert.deepEqual([replayed.headers["idempotency-replayed"], replayed.body], ["true", made.body]);
  secrets.push(Buffer.from(made.body.key, "hex"));
  const rotated = await post("/api/v1/devices/pump/credentials/rotate", { credential: { kind: "psk" }, overlapS: 60 });
  secrets.push(Buffer.from(rotated.body.key, "hex"));
  const given = randomBytes(16);
  const answers = [
    await post("/api/v1/devices/pump/credentials", { kind: "psk", identity: "given", key: given.toString("hex") }),
    await post("/api/v1/devices/other/credentials", { kind: "psk", identity: "given", key: given.toString("hex") }),
    await post("/api/v1/devices/pump/credentials", { kind: "psk", key: `${given.toString("hex")}zz` }),
    await post("/api/v1/devices/pump/credentials", { kind: "psk", key: given.toString("hex"), more: 1 }),
    await post("/api/v1/credentials", {
      items: [
        { endpoint: "many", credential: { kind: "psk", identity: "many", key: given.toString("hex") } },
        { endpoint: "many", credential: { kind: "psk", identity: "many", key: `${given.toString("hex")}0` } },
      ],
    }),
  ];
  assert.deepEqual(
    answers.map(({ status }) => status),
    [201, 409, 400, 400, 200],
  );
  texts.push(...answers.map(({ text }) => text));
  secrets.push(given);
  const token = await post("/api/v1/tokens", { role: "viewer" }, "token-once");
  assert.ok((await post("/api/v1/tokens", { role: "viewer" }, "token-once")).body.token === token.body.token);
  for (const { method, url, route } of routes)
    if (method === "GET" && route !== "GET /api/v1/events")
      texts.push((await ask({ url: url.replace("nothing", "pump") }, admin)).text);
  const [listed] = (await ask({ url: "/api/v1/devices/pump/credentials" }, admin)).body.items;
  assert.deepEqual(Object.keys(listed).sort(), [
    ...["createdAt", "endpoint", "endsAt", "fingerprint", "id", "identity", "kind", "lastUsedAt", "purpose", "state"],
  ]);
  const { events } = scratch.stores;
  texts.push(JSON.stringify(await events.after({ afterId: 0 }, 10_000)), logged.join(""), await dump());
  assert.ok(logged.length > 0);
  const everything = texts.join("\n");
  for (const secret of secrets)
    for (const writing of ["hex", "base64", "base64url", "latin1"] as const)
      assert.ok(!everything.toLowerCase().includes(secret.toString(writing).toLowerCase()), writing);
  for (const text of [token.body.token, ...tokens.values()]) assert.ok(!everything.includes(text));
});

async function dump(): Promise<string> {
  const client = new pg.Client({ connectionString: scratch.database.url });
  await client.connect();
  const tables = [
    "device_credentials",
    "certificate_authorities",
    "api_tokens",
    "api_sessions",
    "kept_answers",
    "events",
  ];
  const texts: string[] = [];
  for (const name of tables)
    for (const { text } of (await client.query(`select row_to_json(t)::text as text from ${name} t`)).rows)
      texts.push(text);
  await client.end();
  // A bytea column is hex in this text; the same octets as they are.
  const raw = texts.flatMap((text) =>
    [...text.matchAll(/\\\\x([0-9a-f]+)/g)].map(([, hex = ""]) => Buffer.from(hex, "hex").toString("latin1")),
  );
  return [...texts, ...raw].join("\n");
}

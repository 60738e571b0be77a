import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { ROLES, type Role } from "@airlift/protocol/api/credentials";
import type { FastifyInstance, InjectOptions } from "fastify";
import { pino } from "pino";
import { exampleRegistration, openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { createApi } from "./create-api.ts";
import type { FleetCommands } from "./ports.ts";

const fleet: FleetCommands = {
  isHere: () => true,
  reachabilityOf: () => ({ awake: "unknown", awakeUntil: null, nextExpectedAt: null, reachability: "" }),
  asleepSinceMs: () => undefined,
  queue: { submit: async () => "1", cancel: async () => {}, list: async () => [] },
};
const commands = {
  isRunning: () => true,
  start: async () => {},
  apply: async () => {},
  cancel: async () => {},
  onFetched: () => {},
};
const config = { httpHost: "0.0.0.0", publicHost: null, maxImageBytes: 1000, noAuth: false };
const log = pino({ level: "silent" });
const tokens = new Map<Role, string>();

let scratch: ScratchStores;
let api: FastifyInstance;
before(async () => {
  scratch = await openScratchStores();
  for (const role of ROLES) tokens.set(role, (await scratch.stores.tokens.create({ role, name: `a ${role}` })).token);
  scratch.stores.devices.queueSave([exampleRegistration("pump")]);
  await scratch.stores.devices.flush();
});
beforeEach(async () => {
  api = await createApi({ config, stores: scratch.stores, commands, fleet, log });
});
afterEach(async () => await api.close());
after(() => scratch.close());

async function ask(options: InjectOptions, role?: Role) {
  const authorization = role === undefined ? {} : { authorization: `Bearer ${tokens.get(role)}` };
  const answer = await api.inject({ ...options, headers: { ...authorization, ...options.headers } });
  return { status: answer.statusCode, headers: answer.headers, body: answer.body === "" ? {} : answer.json() };
}

/** The lines since the last look, oldest first: status, sender and action. */
let seen = 0;
async function newLines(): Promise<unknown[][]> {
  const { body } = await ask({ url: "/api/v1/audit?limit=1000&order=asc" }, "admin");
  const fresh = body.items.slice(seen);
  seen = body.items.length;
  return fresh.map((line: Record<string, unknown>) => [line["outcome"], line["who"], line["action"]]);
}

test("every change that was asked for is a line, and what was refused for its role; looking is none", async () => {
  await newLines();
  const payload = { tags: ["canary"], note: "the note is secret" };
  await ask({ method: "PATCH", url: "/api/v1/devices/pump?note=also-secret", payload }, "operator");
  await ask({ method: "PATCH", url: "/api/v1/devices/pump", payload }, "viewer");
  await ask({ url: "/api/v1/devices/pump" }, "viewer");
  await ask({ url: "/api/v1/tokens" }, "operator");
  await ask({ method: "PATCH", url: "/api/v1/devices/pump", payload });
  await ask({ method: "DELETE", url: "/api/v1/tokens/nobody" }, "admin");
  assert.deepEqual(await newLines(), [
    [200, "a operator", "PATCH /api/v1/devices/pump"],
    [403, "a viewer", "PATCH /api/v1/devices/pump"],
    [403, "a operator", "GET /api/v1/tokens"],
    [404, "a admin", "DELETE /api/v1/tokens/nobody"],
  ]);
  const { body } = await ask({ url: "/api/v1/audit" }, "admin");
  assert.ok(!JSON.stringify(body).includes("secret"));
  assert.deepEqual(
    [body.items[0].role, body.items[0].peer, typeof body.items[0].hash],
    ["admin", "127.0.0.1", "string"],
  );
});

test("signing in is a line with the name of the token; a token that is no good is one without", async () => {
  await newLines();
  const signIn = (token?: string) => ask({ method: "POST", url: "/api/v1/session", payload: { token } });
  assert.equal((await signIn(tokens.get("operator"))).status, 201);
  assert.equal((await signIn(`airlift_${"x".repeat(43)}`)).status, 401);
  assert.deepEqual(await newLines(), [
    [201, "a operator", "POST /api/v1/session"],
    [401, "-", "POST /api/v1/session"],
  ]);
  await api.inject({ url: "/api/v1/devices", headers: { authorization: `Bearer airlift_${"y".repeat(43)}` } });
  await ask({ url: "/api/v1/devices" });
  assert.deepEqual(await newLines(), [[401, "-", "GET /api/v1/devices"]], "a guess is a line, forgetting is none");
});

test("what waits is written when the server closes", async () => {
  const { audit } = scratch.stores;
  await ask({ method: "DELETE", url: "/api/v1/tokens/last" }, "admin");
  assert.ok(audit.waitingRows > 0);
  await audit.flush();
  assert.equal(audit.waitingRows, 0);
});

test("a checkpoint is checked, and old lines are cut by an administrator with a line that says so", async () => {
  const verification = async (since = "") => (await ask({ url: `/api/v1/audit/verification${since}` }, "admin")).body;
  const { isWhole, checkpoint, firstId } = await verification();
  assert.deepEqual([isWhole, firstId], [true, 1]);
  assert.equal((await verification(`?since=${checkpoint}`)).isWhole, true);
  const other = await verification(`?since=${checkpoint.replace(/.$/, (last: string) => (last === "0" ? "1" : "0"))}`);
  assert.deepEqual([other.isWhole, other.brokenAtId], [false, Number.parseInt(checkpoint, 10)]);
  const cutBefore = (before: string) => ({ method: "POST", url: "/api/v1/audit/cut", payload: { before } }) as const;
  assert.equal((await ask(cutBefore("2999-01-01T00:00:00Z"), "admin")).body.code, "AUDIT_CUT");
  const cut = cutBefore(new Date().toISOString());
  assert.equal((await ask(cut, "approver")).status, 403);
  const { body } = await ask(cut, "admin");
  assert.ok(body.cutCount > 3);
  const after = await verification(`?since=${checkpoint}`);
  assert.deepEqual([after.isWhole, after.firstId], [true, Number.parseInt(body.checkpoint, 10) + 1]);
});

test("webhooks: the secret is told once, addresses are checked, and everything can be seen and taken back", async () => {
  const url = "https://hooks.example/airlift";
  const created = await ask({ method: "POST", url: "/api/v1/webhooks", payload: { url, note: "on call" } }, "admin");
  assert.equal(created.status, 201);
  assert.match(created.body.secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  const { id } = created.body;
  const list = await ask({ url: "/api/v1/webhooks" }, "admin");
  assert.ok(!JSON.stringify(list.body).includes("whsec_"));
  assert.equal((await ask({ url: `/api/v1/webhooks/${id}` }, "approver")).status, 403);
  for (const wrong of ["http://hooks.example/", "https://127.0.0.1/", "https://[::1]/", "https://localhost/"]) {
    const answer = await ask({ method: "POST", url: "/api/v1/webhooks", payload: { url: wrong } }, "admin");
    assert.deepEqual([answer.status, answer.body.code], [422, "WEBHOOK_URL"], wrong);
    const edit = await ask({ method: "PATCH", url: `/api/v1/webhooks/${id}`, payload: { url: wrong } }, "admin");
    assert.equal(edit.status, 422);
  }
  const live = { url, kinds: ["update.progress"] };
  assert.equal((await ask({ method: "POST", url: "/api/v1/webhooks", payload: live }, "admin")).status, 400);
  const edited = await ask(
    { method: "PATCH", url: `/api/v1/webhooks/${id}`, payload: { kinds: ["image.added"], isEnabled: false } },
    "admin",
  );
  assert.deepEqual([edited.body.kinds, edited.body.isEnabled, edited.body.note], [["image.added"], false, "on call"]);
  const test = () => ask({ method: "POST", url: `/api/v1/webhooks/${id}/test` }, "admin");
  assert.equal((await test()).body.code, "WEBHOOK_RESTS");
  await ask({ method: "PATCH", url: `/api/v1/webhooks/${id}`, payload: { isEnabled: true } }, "admin");
  const tested = await test();
  assert.deepEqual([tested.status, tested.body.state], [202, "waiting"]);
  const { body: metrics } = {
    body: await api.inject({ url: "/metrics", headers: { authorization: `Bearer ${tokens.get("viewer")}` } }),
  };
  assert.match(metrics.body, /airlift_webhook_deliveries\{state="waiting"\} 1/);
  assert.match(metrics.body, /airlift_audit_waiting \d/);
  const deliveries = await ask({ url: `/api/v1/webhooks/${id}/deliveries?state=dead` }, "admin");
  assert.deepEqual(deliveries.body.items, []);
  const replay = await ask({ method: "POST", url: `/api/v1/webhooks/${id}/replay`, payload: {} }, "admin");
  assert.deepEqual(replay.body, { count: 0 });
  assert.equal((await ask({ method: "DELETE", url: `/api/v1/webhooks/${id}` }, "admin")).status, 204);
  assert.equal((await ask({ url: `/api/v1/webhooks/${id}` }, "admin")).status, 404);
});

test("a webhook is changed under its ETag, and an answer that is told again has its ETag and place", async () => {
  const payload = { url: "https://hooks.example.com/again" };
  const add = () =>
    ask({ method: "POST", url: "/api/v1/webhooks", payload, headers: { "idempotency-key": "one-webhook" } }, "admin");
  const created = await add();
  const told = await add();
  assert.deepEqual(told.body, created.body);
  for (const name of ["etag", "location", "content-type"])
    assert.equal(told.headers[name], created.headers[name], name);
  const path = `${created.headers["location"]}`;
  const edit = (note: string, etag: string) =>
    ask({ method: "PATCH", url: path, payload: { note }, headers: { "if-match": etag } }, "admin");
  const seen = `${(await ask({ url: path }, "admin")).headers["etag"]}`;
  assert.equal(seen, created.headers["etag"]);
  const changed = await edit("mine", seen);
  assert.equal(changed.status, 200);
  assert.equal((await edit("theirs", seen)).status, 412);
  assert.equal((await edit("theirs", "W/x")).body.code, "ETAG_MISMATCH");
  const known = await ask({ method: "POST", url: `${path}/replay`, payload: { deliveryIds: ["nobody"] } }, "admin");
  assert.deepEqual([known.status, known.body.code], [404, "UNKNOWN_DELIVERY"]);
  const never = await ask(
    { method: "POST", url: "/api/v1/webhooks", payload: { ...payload, campaignId: "nobody" } },
    "admin",
  );
  assert.equal(never.body.code, "UNKNOWN_CAMPAIGN");
  const secret = await ask(
    { method: "POST", url: "/api/v1/webhooks", payload: { url: "https://me:hunter2@hooks.example.com/" } },
    "admin",
  );
  assert.ok(secret.status === 422 && !JSON.stringify(secret.body).includes("hunter2"));
  assert.equal((await edit("mine again", `${changed.headers["etag"]}`)).status, 200);
  assert.equal((await ask({ method: "DELETE", url: path }, "admin")).status, 204);
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { get, request as httpRequest, ServerResponse } from "node:http";
import { after, before, describe, test } from "node:test";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import type { FastifyInstance, InjectOptions } from "fastify";
import { pino } from "pino";
import { exampleRegistration, openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { createApi } from "./create-api.ts";
import { listen } from "./listen.ts";
import type { FleetCommands, UpdateCommands } from "./ports.ts";

let scratch: ScratchStores;
let api: FastifyInstance;
let url: string;
const commanded: string[] = [];

const commands: UpdateCommands = {
  isRunning: () => true,
  start: async (update) => void commanded.push(`start ${update.endpoint}`),
  apply: async () => {
    throw new UsageError("UPDATE_STATE", "it does not wait to be applied");
  },
  cancel: async (id) => {
    await scratch.stores.updates.transition(id, { state: "cancelled", sentence: "cancelled by the operator" });
  },
  onFetched: () => {},
};

const fleet: FleetCommands = {
  isHere: () => true,
  asleepSinceMs: () => undefined,
  reachabilityOf: () => ({
    awake: "asleep",
    awakeUntil: null,
    nextExpectedAt: "2026-03-01T12:05:00.000Z",
    reachability: "asleep",
  }),
  queue: {
    submit: async (endpoint, { path }, { ttlS } = {}) => `${endpoint} ${path} ${ttlS}`,
    cancel: async (_, id) => {
      throw new UsageError("REQUEST_SENT", `${id} is on its way`);
    },
    list: (endpoint) => scratch.stores.requests.list(endpoint),
  },
};

before(async () => {
  scratch = await openScratchStores();
  const config = { httpHost: "127.0.0.1", publicHost: "fw.example", maxImageBytes: 2 ** 20, noAuth: true };
  const log = pino({ level: "silent" });
  api = await createApi({
    config,
    stores: scratch.stores,
    commands,
    fleet,
    log,
    feed: { heartbeatMs: 20, bufferBytes: 4096 },
  });
  url = await listen(api, "127.0.0.1", 0);
  scratch.stores.devices.queueSave(["alpha", "beta", "gamma"].map((endpoint) => exampleRegistration(endpoint)));
  await scratch.stores.devices.flush();
});
after(async () => {
  await api.close();
  await scratch.close();
});

const ask = async (options: InjectOptions) => {
  const answer = await api.inject({ ...options, headers: { host: "127.0.0.1:8080", ...options.headers } });
  const isJson = `${answer.headers["content-type"]}`.includes("json");
  return { status: answer.statusCode, headers: answer.headers, body: isJson ? answer.json() : answer.body };
};
const content = Buffer.from(Uint8Array.from({ length: 100_000 }, (_, i) => i ^ (i >> 8)));
const addImage = async (version: string, payload: Buffer | undefined = content, headers = {}) =>
  await ask({
    method: "POST",
    url: `/api/v1/images?manufacturer=Example&model=Sensor&version=${version}&hardware=a&hardware=b`,
    headers: { "content-type": "application/octet-stream", ...headers },
    ...(payload && { payload }),
  });
const createUpdate = async (endpoint: string, headers = {}) => {
  const image = await addImage("1.0.0");
  return await ask({ method: "POST", url: "/api/v1/updates", headers, payload: { endpoint, imageId: image.body.id } });
};

describe("images", () => {
  test("an upload is 201 with its place, the same again 200, other bytes of that version 409", async () => {
    const first = await addImage("1.0.0");
    assert.equal(first.status, 201);
    assert.equal(first.headers["location"], `/api/v1/images/${first.body.id}`);
    assert.deepEqual(first.body.hardware, ["a", "b"]);
    assert.equal(first.body.sizeBytes, content.length);
    assert.equal((await addImage("1.0.0")).status, 200);
    const other = await addImage("1.0.0", Buffer.from("other"));
    assert.deepEqual([other.status, other.body.code], [409, "IMAGE_CONFLICT"]);
    assert.match(`${other.headers["content-type"]}`, /^application\/problem\+json/);
    const { warnings, delta, ...image } = first.body;
    assert.deepEqual([warnings, delta], [[], null]);
    assert.deepEqual((await ask({ url: `/api/v1/images/${image.id}` })).body, image);
    assert.deepEqual((await ask({ url: "/api/v1/images?limit=1" })).body, { items: [image], next: null });
  });

  test("empty, oversized, nameless and wrongly typed uploads get one clear problem each", async () => {
    const tooLarge = await addImage("9", Buffer.alloc(2 ** 20 + 1));
    assert.deepEqual([tooLarge.status, tooLarge.body.code], [413, "IMAGE_TOO_LARGE"]);
    const empty = await addImage("9", Buffer.alloc(0));
    assert.deepEqual([empty.status, empty.body.code], [422, "IMAGE_EMPTY"]);
    const nameless = await ask({
      method: "POST",
      url: "/api/v1/images",
      payload: "x",
      headers: { "content-type": "application/octet-stream" },
    });
    assert.deepEqual([nameless.status, nameless.body.code], [400, "VALIDATION"]);
    assert.equal(nameless.body.facts.problems.length, 3);
    const text = await addImage("9", content, { "content-type": "text/csv" });
    assert.deepEqual([text.status, text.body.code], [415, "MEDIA_TYPE"]);
  });

  test("an upload without a length that turns out too large is told so over a real connection", async () => {
    const path = "/api/v1/images?manufacturer=E&model=M&version=chunked";
    const request = httpRequest(url + path, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
    });
    for (let n = 0; n < 40; n += 1) request.write(Buffer.alloc(64 * 1024));
    request.end();
    const [answer] = await once(request, "response");
    assert.equal(answer.statusCode, 413);
    answer.resume();
  });
});

describe("uploads in pieces", () => {
  const begin = async (sizeBytes: number, version = "3.0.0") =>
    await ask({
      method: "POST",
      url: "/api/v1/uploads",
      payload: { manufacturer: "Example", model: "Sensor", version, sizeBytes },
    });
  const piece = async (id: string, offset: number, payload: Buffer) =>
    await ask({
      method: "PATCH",
      url: `/api/v1/uploads/${id}`,
      headers: { "content-type": "application/octet-stream", "upload-offset": `${offset}` },
      payload,
    });
  const finish = async (id: string) => await ask({ method: "POST", url: `/api/v1/uploads/${id}/finish` });

  test("pieces in order make the image, once; a wrong offset is told the right one, and nothing is lost", async () => {
    const { status, body } = await begin(content.length);
    assert.deepEqual([status, body.offset], [201, 0]);
    assert.equal((await piece(body.id, 0, content.subarray(0, 60_000))).body.offset, 60_000);
    const wrong = await piece(body.id, 0, content);
    assert.deepEqual([wrong.status, wrong.body.code, wrong.body.facts.offset], [409, "UPLOAD_OFFSET", 60_000]);
    const early = await finish(body.id);
    assert.deepEqual([early.status, early.body.code], [409, "UPLOAD_INCOMPLETE"]);
    assert.equal((await piece(body.id, 60_000, content.subarray(60_000))).body.offset, content.length);
    const made = await finish(body.id);
    assert.deepEqual([made.status, made.body.sizeBytes, made.body.version], [201, content.length, "3.0.0"]);
    // Whoever did not hear it asks again, and hears the same; the upload itself takes no more.
    const again = await finish(body.id);
    assert.deepEqual([again.status, again.body], [made.status, made.body]);
    assert.equal((await ask({ url: `/api/v1/uploads/${body.id}` })).body.offset, content.length);
    assert.equal((await piece(body.id, 0, content)).body.code, "UPLOAD_OFFSET");
    assert.equal((await piece(body.id, content.length, content)).body.code, "UNKNOWN_UPLOAD");
    assert.equal((await ask({ method: "DELETE", url: `/api/v1/uploads/${body.id}` })).status, 204);
    assert.equal((await finish(body.id)).body.code, "UNKNOWN_UPLOAD");
  });

  test("a connection that breaks in the middle of a piece leaves what had arrived", async () => {
    const { id } = (await begin(content.length, "3.0.1")).body;
    const cut = httpRequest(`${url}/api/v1/uploads/${id}`, {
      method: "PATCH",
      headers: { "content-type": "application/octet-stream", "upload-offset": "0", "content-length": content.length },
    });
    cut.on("error", () => {});
    await new Promise<void>((resolve) => cut.write(content.subarray(0, 20_000), () => resolve()));
    let { offset } = (await ask({ url: `/api/v1/uploads/${id}` })).body;
    while (offset < 20_000) ({ offset } = (await ask({ url: `/api/v1/uploads/${id}` })).body);
    cut.destroy();
    let rest = await piece(id, 20_000, content.subarray(20_000));
    while (rest.body.code === "UPLOAD_BUSY") {
      // An answer without I/O lets none happen: the server has to see the broken connection.
      await new Promise((resolve) => setImmediate(resolve));
      rest = await piece(id, 20_000, content.subarray(20_000));
    }
    assert.equal(rest.body.offset, content.length);
    assert.equal((await finish(id)).status, 201);
  });

  test("more than was announced, more than is allowed, a foreign id and an upload given up are refused by name", async () => {
    const { id } = (await begin(10)).body;
    assert.equal((await piece(id, 0, Buffer.alloc(11))).body.code, "IMAGE_TOO_LARGE");
    assert.equal((await begin(2 ** 20 + 1)).status, 413);
    assert.equal((await ask({ url: "/api/v1/uploads/..%2f..%2fetc" })).status, 404);
    assert.equal((await ask({ method: "DELETE", url: `/api/v1/uploads/${id}` })).status, 204);
    assert.equal((await ask({ url: `/api/v1/uploads/${id}` })).body.code, "UNKNOWN_UPLOAD");
  });
});

describe("firmware over HTTP", () => {
  const path = async () => `/firmware/${(await addImage("1.0.0")).body.id}`;

  test("the whole, its parts and its resumption are the same bytes under one strong tag", async () => {
    const whole = await api.inject({ url: await path(), headers: { host: "127.0.0.1" } });
    assert.deepEqual(whole.rawPayload, content);
    const etag = `${whole.headers["etag"]}`;
    assert.match(etag, /^"[0-9a-f]{16}"$/);
    for (const [range, start, end] of [
      ["bytes=0-9", 0, 10],
      ["bytes=99990-", 99_990, 100_000],
      ["bytes=-5", 99_995, 100_000],
      ["bytes=70000-70999", 70_000, 71_000],
    ] as const) {
      const part = await api.inject({ url: await path(), headers: { host: "127.0.0.1", range, "if-range": etag } });
      assert.equal(part.statusCode, 206);
      assert.equal(part.headers["content-range"], `bytes ${start}-${end - 1}/100000`);
      assert.deepEqual(part.rawPayload, content.subarray(start, end));
    }
  });

  test("HEAD, 304, 412, 416 and an unknown image", async () => {
    const target = await path();
    const head = await ask({ method: "HEAD", url: target, headers: { range: "bytes=0-1" } });
    assert.deepEqual([head.status, head.headers["content-length"], head.body], [200, "100000", ""]);
    const etag = `${head.headers["etag"]}`;
    assert.equal((await ask({ url: target, headers: { "if-none-match": etag } })).status, 304);
    const changed = await ask({ url: target, headers: { "if-match": '"other"', range: "bytes=5-" } });
    assert.deepEqual([changed.status, changed.body.code], [412, "ETAG_MISMATCH"]);
    const beyond = await ask({ url: target, headers: { range: "bytes=100000-" } });
    assert.deepEqual([beyond.status, beyond.headers["content-range"]], [416, "bytes */100000"]);
    assert.equal((await ask({ url: "/firmware/none" })).body.code, "UNKNOWN_IMAGE");
  });
});

describe("the inventory", () => {
  test("a query finds, counts and shows devices; one that cannot be read is 400", async () => {
    const query = encodeURIComponent("endpoint=in=(alpha,gamma)");
    const found = await ask({ url: `/api/v1/devices?query=${query}&sort=-endpoint` });
    assert.deepEqual(
      found.body.items.map(({ endpoint }: { endpoint: string }) => endpoint),
      ["gamma", "alpha"],
    );
    const preview = await ask({ url: `/api/v1/device-preview?query=${query}` });
    assert.deepEqual([preview.body.count, preview.body.isExact, preview.body.sample.length], [2, true, 2]);
    const bad = await ask({ url: "/api/v1/devices?query=colour%3D%3Dred" });
    assert.deepEqual([bad.status, bad.body.code], [400, "QUERY_FIELD"]);
  });

  test("tags and notes are changed under their ETag, and imported by the thousand", async () => {
    const first = await ask({ url: "/api/v1/devices/beta" });
    const edit = { method: "PATCH", url: "/api/v1/devices/beta", payload: { tags: ["pier", "cold"] } } as const;
    const headers = { "if-match": `${first.headers["etag"]}` };
    const changed = await ask({ ...edit, headers });
    assert.deepEqual([changed.status, changed.body.tags], [200, ["cold", "pier"]]);
    assert.notEqual(changed.headers["etag"], first.headers["etag"]);
    assert.equal((await ask({ ...edit, headers })).status, 412);
    const lines = [{ endpoint: "beta", note: "leaks" }, { endpoint: "nobody" }];
    const imported = await ask({ method: "POST", url: "/api/v1/device-import", payload: { lines } });
    assert.deepEqual(imported.body, { unknown: ["nobody"] });
    const { body } = await ask({ url: "/api/v1/devices/beta" });
    assert.deepEqual([body.note, body.tags], ["leaks", ["cold", "pier"]]);
  });
});

describe("devices and updates", () => {
  test("devices page by endpoint, and one that never registered is 404", async () => {
    const first = await ask({ url: "/api/v1/devices?limit=2" });
    assert.deepEqual(
      first.body.items.map(({ endpoint }: { endpoint: string }) => endpoint),
      ["alpha", "beta"],
    );
    const second = await ask({ url: `/api/v1/devices?limit=2&cursor=${first.body.next}` });
    assert.deepEqual([second.body.items.length, second.body.next], [1, null]);
    assert.deepEqual((await ask({ url: "/api/v1/devices/nobody" })).body.code, "UNKNOWN_DEVICE");
    const refused = {
      kind: "device.refused",
      endpoint: "tried",
      sentence: "a registration was refused with 4.12",
    } as const;
    await scratch.stores.events.append(refused);
    assert.match(
      (await ask({ url: "/api/v1/devices/tried" })).body.detail,
      /^no device tried has registered; .* 4\.12$/,
    );
    assert.equal((await ask({ url: "/api/v1/devices?cursor=!" })).status, 400);
    assert.equal((await ask({ url: "/api/v1/devices?limit=0" })).body.code, "VALIDATION");
  });

  test("an update is created, handed to the engine, shown, cancelled, and stands in the device's timeline", async () => {
    const created = await createUpdate("alpha");
    assert.deepEqual(
      [created.status, created.body.state, created.body.by, created.body.apply],
      [201, "queued", "auto", true],
    );
    assert.ok(commanded.includes("start alpha"));
    const again = await createUpdate("alpha");
    assert.deepEqual([again.status, again.body.id], [200, created.body.id]);
    assert.match(again.body.sentence, /^queued: Example Sensor 1\.0\.0 \(for \d+ s\)$/);
    const { imageId } = created.body;
    const payload = { endpoint: "alpha", imageId, apply: false };
    const other = await ask({ method: "POST", url: "/api/v1/updates", payload });
    assert.deepEqual(
      [other.status, other.body.code, other.body.facts.updateId],
      [409, "UPDATE_RUNNING", created.body.id],
    );
    const place = `/api/v1/updates/${created.body.id}`;
    const early = await ask({ method: "POST", url: `${place}/apply` });
    assert.deepEqual([early.status, early.body.code], [409, "UPDATE_STATE"]);
    assert.equal((await ask({ method: "POST", url: `${place}/cancel` })).body.state, "cancelled");
    assert.equal((await ask({ url: place })).body.state, "cancelled");
    assert.equal((await ask({ url: "/api/v1/updates?endpoint=alpha&state=cancelled" })).body.items.length, 1);
    assert.equal((await ask({ url: "/api/v1/devices/alpha" })).body.updateId, created.body.id);
    const timeline = await ask({ url: "/api/v1/devices/alpha/events" });
    assert.deepEqual(
      timeline.body.items.map(({ facts }: { facts: { state: string } }) => facts.state),
      ["cancelled", "queued"],
    );
    assert.equal((await ask({ method: "POST", url: "/api/v1/updates/none/cancel" })).status, 404);
    assert.deepEqual((await ask({ url: `${place}/exchanges` })).body, { items: [] });
    assert.equal((await createUpdate("nobody")).body.code, "UNKNOWN_DEVICE");
  });

  test("an image of another make is refused until it is forced", async () => {
    const { devices } = scratch.stores;
    devices.queueSave([exampleRegistration("stranger")]);
    devices.queueReport({ endpoint: "stranger", manufacturer: "Other", model: "Sensor" });
    await devices.flush();
    const refused = await createUpdate("stranger");
    assert.deepEqual([refused.status, refused.body.code], [409, "IMAGE_MISMATCH"]);
    assert.match(refused.body.detail, /its manufacturer is Other, the image's is Example/);
    const { id: imageId } = (await addImage("1.0.0")).body;
    const payload = { endpoint: "stranger", imageId, force: true };
    assert.equal((await ask({ method: "POST", url: "/api/v1/updates", payload })).status, 201);
    const nonsense = { ...payload, target: "software" };
    assert.equal((await ask({ method: "POST", url: "/api/v1/updates", payload: nonsense })).body.code, "VALIDATION");
  });

  test("an update that ended without success is begun again as its next attempt; one that runs is not", async () => {
    const { devices, updates, exchanges } = scratch.stores;
    devices.queueSave([exampleRegistration("tries")]);
    const { body } = await createUpdate("tries");
    const retry = { method: "POST", url: `/api/v1/updates/${body.id}/retry` } as const;
    assert.deepEqual((await ask(retry)).body.code, "UPDATE_STATE");
    for (const attempt of [1, 2, 3, 4, 5]) {
      for (let number = (attempt - 1) * 250 + 1; number <= attempt * 250; number += 1)
        exchanges.queue(body.id, {
          attempt,
          number,
          at: new Date(0).toISOString(),
          request: "GET /5/0",
          answer: "2.05",
          tookMs: 7,
          retransmissionCount: 0,
          transfer: null,
        });
      await exchanges.flush();
      await updates.transition(body.id, { state: "failed", failure: "timedOut", sentence: "failed" });
      const again = (await ask(retry)).body;
      assert.deepEqual(
        [again.state, again.failure, again.attempt, again.finishedAt],
        ["queued", null, attempt + 1, null],
      );
    }
    assert.equal(commanded.filter((one) => one === "start tries").length, 6);
    const kept = (await ask({ url: `/api/v1/updates/${body.id}/exchanges` })).body.items;
    assert.deepEqual([kept.length, kept[0].number, kept.at(-1).number], [600, 551, 1250]);
    assert.deepEqual([...new Set(kept.map((one: { attempt: number }) => one.attempt))], [3, 4, 5]);
    assert.equal(await exchanges.newestNumber(body.id), 1250);
  });

  test("a device that registered a moment ago can be updated at once", async () => {
    scratch.stores.devices.queueSave([exampleRegistration("newcomer")]);
    assert.equal((await createUpdate("newcomer")).status, 201);
  });

  test("a request repeated with its Idempotency-Key is answered again, not done again; another body is 422", async () => {
    const headers = { "idempotency-key": "one-update" };
    const first = await createUpdate("beta", headers);
    const second = await createUpdate("beta", headers);
    assert.deepEqual([second.status, second.body], [201, first.body]);
    assert.equal(second.headers["idempotency-replayed"], "true");
    assert.equal(commanded.filter((line) => line === "start beta").length, 1);
    const other = await createUpdate("gamma", headers);
    assert.deepEqual([other.status, other.body.code], [422, "IDEMPOTENCY_KEY_REUSED"]);
    assert.equal((await createUpdate("beta", { "idempotency-key": "with space" })).body.code, "IDEMPOTENCY_KEY");
  });
});

test("a refusal is not kept for an Idempotency-Key: what stood in the way may be gone", async (t) => {
  const headers = { "idempotency-key": "in-a-moment" };
  scratch.stores.devices.queueSave([exampleRegistration("patient")]);
  const inTheWay = [
    new UsageError("UPDATE_TAKEN", "another server has just taken it"),
    new UsageError("QUEUE_FULL", "too many requests wait"),
    new EnvironmentError("DATABASE_AWAY", "gone in between"),
  ];
  const statuses: number[] = [];
  for (const error of inTheWay) {
    const create = t.mock.method(scratch.stores.updates, "create", () => Promise.reject(error));
    statuses.push((await createUpdate("patient", headers)).status);
    create.mock.restore();
  }
  assert.deepEqual(statuses, [409, 429, 503]);
  const done = await createUpdate("patient", headers);
  assert.deepEqual([done.status, done.headers["idempotency-replayed"]], [201, undefined]);
  const repeated = await createUpdate("patient", headers);
  assert.deepEqual([repeated.body, repeated.headers["idempotency-replayed"]], [done.body, "true"]);
});

describe("who may ask", () => {
  test("another host name, a foreign origin and a cross-site post are refused; our own page is not", async () => {
    assert.equal((await ask({ url: "/healthz", headers: { host: "evil.example" } })).body.code, "HOST_REFUSED");
    assert.equal((await ask({ url: "/healthz", headers: { host: "fw.example:8080" } })).status, 200);
    assert.equal((await ask({ url: "/healthz", headers: { host: "[::1]:8080" } })).status, 200);
    for (const headers of [{ origin: "http://evil.example" }, { origin: "null" }, { "sec-fetch-site": "cross-site" }])
      assert.equal((await createUpdate("gamma", headers)).body.code, "ORIGIN_REFUSED");
    const own = { origin: "http://127.0.0.1:8080", "sec-fetch-site": "same-origin" };
    assert.equal((await createUpdate("gamma", own)).status, 201);
  });

  test("text that the database cannot hold finds nothing, and is no mistake of ours", async () => {
    for (const path of ["/api/v1/updates/a%00", "/firmware/a%00", "/api/v1/devices/a%00"])
      assert.equal((await ask({ url: path })).status, 404, path);
    assert.deepEqual((await ask({ url: "/api/v1/updates?endpoint=a%00" })).body.items, []);
  });

  test("broken JSON, unknown routes and unknown methods are problems with a code", async () => {
    const broken = await ask({
      method: "POST",
      url: "/api/v1/updates",
      payload: "{",
      headers: { "content-type": "application/json" },
    });
    assert.deepEqual([broken.status, broken.body.code], [400, "BAD_REQUEST"]);
    assert.deepEqual((await ask({ url: "/nothing" })).body.code, "NO_SUCH_ROUTE");
    for (const path of ["/api/v1/devices/%ff", `/api/v1/devices/${"x".repeat(400)}`])
      assert.deepEqual((await ask({ url: path })).body.code, "BAD_REQUEST");
    assert.deepEqual((await ask({ method: "DELETE", url: "/api/v1/devices" })).body.code, "NO_SUCH_ROUTE");
  });
});

test("a name that holds U+0000, which no text of the database can, is a name that is not there", async () => {
  for (const path of ["updates/x%00", "devices/x%00", "devices/x%00/events"])
    assert.equal((await ask({ url: `/api/v1/${path}` })).status, 404, path);
  assert.equal((await ask({ url: "/firmware/%00" })).status, 404);
  assert.deepEqual((await ask({ url: "/api/v1/updates?endpoint=x%00" })).body.items, []);
  const cursor = Buffer.from("\0").toString("base64url");
  assert.equal((await ask({ url: `/api/v1/devices?cursor=${cursor}` })).body.code, "CURSOR");
});

test("the console comes under a policy without inline code, has none, and answers a browser at each of its addresses", async () => {
  const page = await ask({ url: "/" });
  assert.match(`${page.headers["content-security-policy"]}`, /default-src 'none'; script-src 'self'; style-src 'self'/);
  assert.doesNotMatch(page.body, /<style|style=|<script>|\son[a-z]+=/);
  const [, script] = /<script type="module"[^>]* src="([^"]+)"/.exec(page.body) ?? [];
  assert.equal((await ask({ url: `${script}` })).headers["cache-control"], "public, max-age=31536000, immutable");
  const browser = { accept: "text/html,*/*;q=0.8" };
  assert.equal((await ask({ url: "/devices/urn:dev:a.b", headers: browser })).body, page.body);
  assert.equal((await ask({ url: "/api/v1/nothing", headers: browser })).status, 404);
});

test("the API describes itself, reports its health and counts", async () => {
  const description = (await ask({ url: "/api/v1/openapi.json" })).body;
  for (const path of ["/api/v1/images", "/api/v1/devices/{endpoint}", "/api/v1/updates/{id}/apply", "/api/v1/events"])
    assert.ok(path in description.paths, path);
  assert.deepEqual((await ask({ url: "/healthz" })).body, { status: "alive" });
  assert.deepEqual((await ask({ url: "/readyz" })).body, { status: "ready" });
  const metrics = (await ask({ url: "/metrics" })).body;
  assert.match(metrics, /airlift_update_transitions_total\{state="cancelled"\} 1/);
  assert.match(metrics, /airlift_http_request_seconds_count\{method="GET",route="\/api\/v1\/devices",status="200"\}/);
});

describe("live events", () => {
  const open = async (query: string, headers = {}) => {
    const request = get(`${url}/api/v1/events${query}`, { headers });
    const [answer] = await once(request, "response");
    answer.setEncoding("utf8");
    let text = "";
    answer.on("data", (chunk: string) => {
      text += chunk;
    });
    const until = async (pattern: RegExp) => {
      while (!pattern.test(text)) await once(answer, "data");
      return text;
    };
    return { answer, until, close: () => request.destroy() };
  };
  const note = (sentence: string, endpoint = "alpha") =>
    scratch.stores.events.append({ kind: "device.reported", endpoint, sentence });

  test("what happened after the last seen id comes first, then what happens, once each and in order; silence is broken by heartbeats", async () => {
    const seen = await note("seen");
    const missed = await note("missed");
    await note("not mine", "beta");
    const feed = await open("?endpoint=alpha", { "last-event-id": `${seen.id}` });
    await feed.until(/missed/);
    const live = await note("live");
    const text = await feed.until(/live[\s\S]*\n\nevent: heartbeat\ndata: \{\}\n\n/);
    feed.close();
    const ids = [...text.matchAll(/^id: (\d+)\ndata/gm)].map(([, id]) => Number(id));
    assert.deepEqual(ids, [missed.id, live.id]);
    assert.doesNotMatch(text, /not mine/);
  });

  test("a client that does not read is dropped, the others go on", async () => {
    const slow = get(`${url}/api/v1/events`);
    const [answer] = await once(slow, "response");
    answer.pause();
    const other = await open("");
    answer.on("error", () => {});
    const listenerCount = async () => {
      const { body } = await ask({ url: "/metrics" });
      return Number(/airlift_event_listeners (\d+)/.exec(body)?.[1]);
    };
    const filler = "x".repeat(60_000);
    for (let n = 0; n < 300 && (await listenerCount()) > 1; n += 1) {
      await note(`${n} ${filler}`);
      await other.until(new RegExp(`"${n} x{60000}"`));
    }
    assert.equal(await listenerCount(), 1);
    await note("still here");
    await other.until(/still here/);
    slow.destroy();
    other.close();
  });
});

test("a listener that leaves while the database is asked is not counted as one", async (t) => {
  const asked = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<number>();
  t.mock.method(scratch.stores.events, "newestId", () => {
    asked.resolve();
    return answered.promise;
  });
  const connected = once(api.server, "connection");
  const request = get(`${url}/api/v1/events`, { agent: false }).on("error", () => {});
  const [socket] = await connected;
  await asked.promise;
  request.destroy();
  await once(socket, "close");
  answered.resolve(0);
  await answered.promise;
  assert.match((await ask({ url: "/metrics" })).body, /airlift_event_listeners 0/);
});

test("an event that comes while the server ends its listeners harms nobody", async (t) => {
  const parts = {
    config: { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 1, noAuth: true },
    log: pino({ level: "silent" }),
  };
  const second = await createApi({ ...parts, stores: scratch.stores, commands, fleet });
  const place = await listen(second, "127.0.0.1", 0);
  const subscribing = t.mock.method(scratch.stores.events, "subscribe");
  const [answer] = await once(get(`${place}/api/v1/events`, { agent: false }), "response");
  await once(answer, "data");
  const event = await scratch.stores.events.append({ kind: "device.reported", sentence: "late" });
  const end = ServerResponse.prototype.end;
  t.mock.method(ServerResponse.prototype, "end", function (this: ServerResponse) {
    const ended = Reflect.apply(end, this, []);
    for (const {
      arguments: [onEvent],
    } of subscribing.mock.calls)
      onEvent({ ...event, id: event.id + 1 });
    return ended;
  });
  answer.resume();
  await second.close();
});

test("an answer that cannot be kept is given all the same", async (t) => {
  t.mock.method(scratch.stores.idempotency, "keep", async () => {
    throw new EnvironmentError("DATABASE_AWAY", "gone in between");
  });
  scratch.stores.devices.queueSave([exampleRegistration("unkept")]);
  assert.equal((await createUpdate("unkept", { "idempotency-key": "unkept" })).status, 201);
});

test("a port that is taken is one clear error", async () => {
  const second = await createApi({
    config: { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 1, noAuth: true },
    stores: scratch.stores,
    commands,
    fleet,
    log: pino({ level: "silent" }),
  });
  await assert.rejects(listen(second, "127.0.0.1", Number(new URL(url).port)), { code: "PORT_IN_USE" });
  await second.close();
});

test("while the database is away every route that needs it is 503 with a code, the others answer, and all is well again after", async () => {
  const { id } = (await addImage("1.0.0")).body;
  const order = {
    method: "POST",
    url: "/api/v1/updates",
    headers: { "idempotency-key": "during-the-outage" },
    payload: { endpoint: "beta", imageId: id },
  } as const;
  await scratch.database.pause();
  for (const path of [
    "/readyz",
    "/api/v1/devices",
    "/api/v1/updates/x",
    "/api/v1/events",
    `/firmware/${"0".repeat(16)}`,
  ]) {
    const answer = await ask({ url: path });
    assert.deepEqual([answer.status, answer.body.code], [503, "DATABASE_AWAY"], path);
    assert.ok(answer.headers["retry-after"]);
  }
  assert.equal((await ask(order)).body.code, "DATABASE_AWAY");
  for (const path of ["/", "/healthz", "/metrics"]) assert.equal((await ask({ url: path })).status, 200, path);
  await scratch.database.resume();
  assert.equal((await ask({ url: "/readyz" })).status, 200);
  // Beta's update of before the outage is the very same, so it is joined.
  assert.equal((await ask(order)).status, 200);
});

describe("requests that wait", () => {
  const url = "/api/v1/devices/alpha/queue";

  test("a request to a device is 202 with its id, one that is on its way cannot be taken back", async () => {
    const payload = { operation: "execute", path: "/3/0/4", ttlS: 60 };
    const given = await ask({ method: "POST", url, payload });
    assert.deepEqual([given.status, given.body], [202, { id: "alpha /3/0/4 60" }]);
    assert.equal((await ask({ method: "DELETE", url: `${url}/q1` })).status, 409);
    assert.deepEqual((await ask({ url })).body, { items: [], next: null });
  });

  test("what is no request, or for no device, is refused", async () => {
    for (const payload of [
      { operation: "boot", path: "/3/0/4" },
      { operation: "read", path: "3" },
      { operation: "read", path: "/3", ttlS: 0 },
      { operation: "write", path: "/3/0/14", payload: "%" },
    ])
      assert.equal((await ask({ method: "POST", url, payload })).status, 400);
    const payload = { operation: "read", path: "/3" };
    assert.equal((await ask({ method: "POST", url: "/api/v1/devices/nobody/queue", payload })).status, 404);
  });

  test("a device says whether it can be reached", async () => {
    const { body } = await ask({ url: "/api/v1/devices/alpha" });
    assert.deepEqual([body.awake, body.awakeUntil, body.nextExpectedAt], ["asleep", null, "2026-03-01T12:05:00.000Z"]);
  });
});

describe("the server and the fleet in numbers", () => {
  test("how the server was started is told, nothing secret with it", async () => {
    const { status, body } = await ask({ url: "/api/v1/server" });
    assert.equal(status, 200);
    assert.equal(body.wantsTokens, false);
    assert.equal(body.maxImageBytes, 2 ** 20);
    assert.ok(!JSON.stringify(body).includes("postgres"), "the database's address has a password in it");
  });

  test("today's versions are counted", async () => {
    const { status, body } = await ask({ url: "/api/v1/statistics/versions?days=7" });
    assert.equal(status, 200);
    assert.equal(body.days.length, 1);
    assert.ok(body.registeredCount >= 3);
    assert.equal((await ask({ url: "/api/v1/statistics/versions?days=0" })).status, 400);
  });

  test("updates are listed by several states at once, and by image", async () => {
    const idsOf = ({ body }: { body: { items: { id: string; state: string }[] } }) => body.items.map(({ id }) => id);
    const all = await ask({ url: "/api/v1/updates" });
    const two = await ask({ url: "/api/v1/updates?state=queued&state=cancelled" });
    const wanted = all.body.items.filter(({ state }: { state: string }) => /queued|cancelled/.test(state));
    assert.deepEqual(idsOf(two), idsOf({ body: { items: wanted } }));
    const none = await ask({ url: "/api/v1/updates?imageId=0000000000000000" });
    assert.deepEqual(none.body.items, []);
  });
});

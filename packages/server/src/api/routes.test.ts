import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Campaign } from "@airlift/protocol/api/campaign";
import { type Answered, type Asked, type Route, requestOf } from "@airlift/protocol/api/route";
import { ROUTES } from "@airlift/protocol/api/routes";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { type ApiOptions, createApi } from "./create-api.ts";

let scratch: ScratchStores;
let api: FastifyInstance;
before(async () => {
  scratch = await openScratchStores();
  const config = { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 1, noAuth: true };
  const parts = { commands: {}, fleet: {}, operations: {}, mesh: {} } as Pick<
    ApiOptions,
    "commands" | "fleet" | "operations" | "mesh"
  >;
  api = await createApi({ ...parts, config, stores: scratch.stores, log: pino({ level: "silent" }) });
});
after(async () => {
  await api.close();
  await scratch.close();
});

interface Operation {
  readonly parameters?: readonly { readonly in: string; readonly name: string }[];
  readonly requestBody?: unknown;
  readonly responses: Readonly<Record<string, { readonly content?: unknown }>>;
}

/** What the server says of itself, in the table's terms. */
async function served(): Promise<Map<string, Operation>> {
  const { paths } = (await api.inject({ url: "/api/v1/openapi.json", headers: { host: "127.0.0.1" } })).json() as {
    paths: Record<string, Record<string, Operation>>;
  };
  return new Map(
    Object.entries(paths).flatMap(([path, methods]) =>
      path.startsWith("/api/v1/")
        ? Object.entries(methods).map(([method, one]) => [`${method.toUpperCase()} ${path.slice(7)}`, one] as const)
        : [],
    ),
  );
}

test("every route of the OpenAPI document is in the table of routes, and the other way round", async () => {
  const tabled = Object.values(ROUTES).map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(tabled.toSorted(), [...(await served()).keys()].toSorted());
});

test("the table has the query, the body and the kind of answer that the server has", async () => {
  const operations = await served();
  for (const { method, path, query = [], body, answer } of Object.values(ROUTES) as readonly Route[]) {
    const name = `${method} ${path}`;
    const { parameters = [], requestBody, responses } = operations.get(name) as Operation;
    const asked = parameters.flatMap((one) => (one.in === "query" ? [one.name] : []));
    assert.deepEqual([...query].toSorted(), asked.toSorted(), name);
    assert.equal(typeof body === "object", requestBody !== undefined, `the body of ${name}`);
    const hasContent = Object.values(responses).some(({ content }) => content !== undefined);
    assert.equal(typeof answer === "object" && answer !== null, hasContent, `the answer of ${name}`);
  }
});

test("a question is written down with its names encoded, and is typed by the table", () => {
  const asked: Asked<typeof ROUTES.listTargets> = { params: { id: "a/b" }, query: { state: "failed", limit: 5 } };
  assert.equal(requestOf(ROUTES.listTargets, asked).path, "/campaigns/a%2Fb/targets?state=failed&limit=5");
  const read = requestOf(ROUTES.readResource, { params: { endpoint: "ä", "*": "3/0/Firmware Version" } });
  assert.equal(read.path, "/devices/%C3%A4/resources/3/0/Firmware%20Version");
  assert.equal(requestOf(ROUTES.retryCampaign, { params: { id: "x" }, body: {} }).body, "{}");
  // @ts-expect-error there is no such name behind the question mark
  requestOf(ROUTES.listTargets, { params: { id: "x" }, query: { colour: "red" } });
  // @ts-expect-error a campaign is asked for by its id
  requestOf(ROUTES.getCampaign, { params: {} });
  const isCampaign: Answered<typeof ROUTES.getCampaign> extends Campaign ? true : false = true;
  assert.ok(isCampaign);
});

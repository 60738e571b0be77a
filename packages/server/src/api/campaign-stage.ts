/** An API with and without sign-in over a scratch database, and twenty pumps for campaigns; the devices are played by the tests. */
import assert from "node:assert/strict";
import type { NewCampaign } from "@airlift/protocol/api/campaign";
import type { Mistake } from "@airlift/protocol/api/mistakes";
import { offsetAt } from "@airlift/runtime/zone-offset";
import type { FastifyInstance, InjectOptions } from "fastify";
import { pino } from "pino";
import { CampaignEngine } from "../campaign/engine.ts";
import { exampleRegistration, openScratchStores, type ScratchStores } from "../store/scratch-stores.ts";
import { createApi } from "./create-api.ts";
import type { ApiParts } from "./routes.ts";

const REACHABILITY = { awake: "awake", awakeUntil: null, nextExpectedAt: null, reachability: "always on" };
const PEOPLE = [
  ["vera", "viewer"],
  ["otto", "operator"],
  ["anna", "approver"],
  ["ben", "approver"],
  ["cleo", "approver"],
] as const;
/** Who asks; nobody = without sign-in. */
export type Asker = (typeof PEOPLE)[number][0];

/** What was answered. The body is whatever it is: tests look into it. */
export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what the API says without its types
  readonly body: any;
}

export class CampaignStage {
  readonly scratch: ScratchStores;
  readonly engine: CampaignEngine;
  /** Ids by version: 2.0.0 is the newest, 1.5.0 on the way, 1.0.0 what runs; "other" is for another model. */
  readonly images: Record<string, string> = {};
  readonly #open: FastifyInstance;
  readonly #guarded: FastifyInstance;
  readonly #tokens: Record<string, string> = {};

  private constructor(scratch: ScratchStores, engine: CampaignEngine, [open, guarded]: readonly FastifyInstance[]) {
    this.scratch = scratch;
    this.engine = engine;
    this.#open = open as FastifyInstance;
    this.#guarded = guarded as FastifyInstance;
  }

  /** Twenty pumps, of which one runs 2.0.0 and the others 1.0.0. */
  static async open(): Promise<CampaignStage> {
    const scratch = await openScratchStores();
    const engine = new CampaignEngine(scratch.stores.campaigns, offsetAt);
    const create = (noAuth: boolean) =>
      createApi({
        config: { httpHost: "127.0.0.1", publicHost: null, maxImageBytes: 2 ** 20, noAuth },
        stores: scratch.stores,
        commands: {} as ApiParts["commands"],
        fleet: { reachabilityOf: () => REACHABILITY } as unknown as ApiParts["fleet"],
        campaigns: engine,
        log: pino({ level: "silent" }),
      });
    const stage = new CampaignStage(scratch, engine, [await create(true), await create(false)]);
    await stage.#fill();
    return stage;
  }

  async #fill(): Promise<void> {
    const { tokens, devices } = this.scratch.stores;
    for (const [name, role] of PEOPLE) this.#tokens[name] = (await tokens.create({ name, role })).token;
    for (const version of ["1.0.0", "1.5.0", "2.0.0"]) this.images[version] = await this.#addImage("Pump", version);
    this.images["other"] = await this.#addImage("Valve", "1.0.0");
    const endpoints = Array.from({ length: 20 }, (_, i) => `pump-${`${i}`.padStart(2, "0")}`);
    devices.queueSave(endpoints.map((endpoint) => exampleRegistration(endpoint)));
    for (const [i, endpoint] of endpoints.entries())
      devices.queueReport({ endpoint, manufacturer: "Acme", model: "Pump", version: i === 0 ? "2.0.0" : "1.0.0" });
    await devices.flush();
  }

  async close(): Promise<void> {
    await this.#open.close();
    await this.#guarded.close();
    await this.scratch.close();
  }

  ask = async (options: InjectOptions, by?: Asker): Promise<ApiAnswer> => {
    const api = by === undefined ? this.#open : this.#guarded;
    const authorization = by && { authorization: `Bearer ${this.#tokens[by]}` };
    const answer = await api.inject({
      ...options,
      headers: { host: "127.0.0.1", ...authorization, ...options.headers },
    });
    const isJson = `${answer.headers["content-type"]}`.includes("json");
    return { status: answer.statusCode, headers: answer.headers, body: isJson ? answer.json() : answer.body };
  };

  async #addImage(model: string, version: string): Promise<string> {
    const answer = await this.ask({
      method: "POST",
      url: `/api/v1/images?manufacturer=Acme&model=${model}&version=${version}`,
      headers: { "content-type": "application/octet-stream" },
      payload: Buffer.from(`${model} ${version}`.repeat(100)),
    });
    return answer.body.id;
  }

  specOf = (changes: Partial<NewCampaign> = {}): NewCampaign => ({
    name: "spring",
    image: this.images["2.0.0"] ?? "",
    targets: { query: "model==Pump" },
    ...changes,
  });

  post = (path: string, payload?: object, by?: Asker, headers = {}): Promise<ApiAnswer> =>
    this.ask({ method: "POST", url: `/api/v1/campaigns${path}`, headers, ...(payload && { payload }) }, by);

  get = (path: string, by?: Asker): Promise<ApiAnswer> => this.ask({ url: `/api/v1/campaigns${path}` }, by);

  create = async (changes: Partial<NewCampaign> = {}, by?: Asker) => {
    const answer = await this.post("", this.specOf(changes), by);
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body as { id: string; rollbackId: string | null; state: string; createdBy: string };
  };

  /** Stops a campaign, and its devices tell that they have. */
  stop = async (id: string): Promise<ApiAnswer> => {
    const answer = await this.post(`/${id}/stop`);
    const { items } = await this.scratch.stores.campaigns.targets(id, {}, { limit: 1000 });
    for (const { endpoint, attempt, isUnderWay } of items)
      if (isUnderWay)
        await this.engine.report(
          { campaignId: id, endpoint },
          { attempt, state: "cancelled", failure: null, sentence: "cancelled by the operator" },
          Date.now(),
        );
    return answer;
  };
}

/** "409 CAMPAIGN_STATE". */
export const codeOf = ({ status, body }: ApiAnswer): string => `${status} ${body.code}`;

/** Where in what was written there are mistakes. */
export const placesOf = ({ body }: ApiAnswer): string[] =>
  body.facts.problems.map(({ path }: Mistake) => path).toSorted();

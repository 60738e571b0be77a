/** /api/v1/gateways: the radio gateways, and what each of them asks and tells. */
import type { ServerResponse } from "node:http";
import { BatchAnswer, GatewayId, ReportBatch } from "@airlift/protocol/api/gateway";
import { AirtimeSeries, CreatedGateway, Gateway, NewGateway } from "@airlift/protocol/api/mesh";
import { pageOf } from "@airlift/protocol/api/schemas";
import { UsageError } from "@airlift/protocol/lib/errors";
import { z } from "zod";
import { endWithToken } from "./events.ts";
import { answerRange } from "./http-range.ts";
import type { MeshCommands } from "./ports.ts";
import type { Principal } from "./principal.ts";
import type { Api, ApiParts } from "./routes.ts";

type GatewayParts = ApiParts & { readonly mesh: MeshCommands };

const OneGateway = z.object({ id: GatewayId });
const OneContent = z.object({ id: GatewayId, name: z.string().regex(/^[0-9a-f]{12}$/) });
const LastEventId = z.object({ "last-event-id": z.coerce.number().int().nonnegative().optional().catch(undefined) });
const Hours = z.object({ hours: z.coerce.number().int().min(1).max(48).default(24) });
const tags = ["gateways"];
/** 500 reports of 200 octets, and the state. */
const LARGEST_BATCH_BYTES = 512 * 1024;

export function gatewayRoutes(app: Api, parts: GatewayParts): void {
  const { gateways } = parts.stores.mesh;
  app.get(
    "/gateways",
    { schema: { tags, summary: "Gateways, by id", response: { 200: pageOf(Gateway) } } },
    async () => ({ items: await gateways.list(), next: null }),
  );
  app.post(
    "/gateways",
    {
      config: { answersSecret: true },
      schema: {
        tags,
        summary: "Add a gateway; its token is told once",
        body: NewGateway,
        response: { 201: CreatedGateway },
      },
    },
    async (request, reply) => await reply.status(201).send(await gateways.add(request.body)),
  );
  app.get(
    "/gateways/:id",
    { schema: { tags, summary: "One gateway", params: OneGateway, response: { 200: Gateway } } },
    async ({ params }) => await gateways.get(params.id),
  );
  app.delete(
    "/gateways/:id",
    { schema: { tags, summary: "Remove a gateway, with its orders", params: OneGateway, response: { 204: z.null() } } },
    async ({ params }, reply) => {
      await gateways.remove(params.id);
      return await reply.status(204).send(null);
    },
  );
  app.get(
    "/gateways/:id/airtime",
    {
      schema: {
        tags,
        summary: "Airtime used in the sliding window, minute by minute",
        params: OneGateway,
        querystring: Hours,
        response: { 200: AirtimeSeries },
      },
    },
    async ({ params, query }) => {
      await gateways.get(params.id);
      return await gateways.airtime(params.id, query.hours);
    },
  );
  reportRoute(app, parts);
  orderRoute(app, parts);
  contentRoute(app, parts);
}

/** A gateway's token speaks for that gateway alone. @throws {UsageError} GATEWAY_REFUSED (403) */
export function assertOwnGateway(principal: Principal | null, id: string): void {
  if (principal?.role !== "gateway" || principal.name === id) return;
  throw new UsageError("GATEWAY_REFUSED", `this token is for the gateway ${principal.name}`, { id });
}

function reportRoute(app: Api, { mesh }: GatewayParts): void {
  app.post(
    "/gateways/:id/reports",
    {
      bodyLimit: LARGEST_BATCH_BYTES,
      config: { isAudited: false },
      schema: {
        tags,
        summary: "What a gateway has to tell; none = a heartbeat",
        params: OneGateway,
        body: ReportBatch,
        response: { 200: BatchAnswer },
      },
    },
    async ({ params, body, principal }) => {
      assertOwnGateway(principal, params.id);
      return await mesh.report(params.id, body);
    },
  );
}

function orderRoute(app: Api, { stores }: GatewayParts): void {
  const clients = new Set<ServerResponse>();
  app.addHook("preClose", async () => {
    for (const client of clients) client.end();
  });
  app.get(
    "/gateways/:id/orders",
    { schema: { tags, summary: "A gateway's orders (text/event-stream)", params: OneGateway, headers: LastEventId } },
    async (request, reply) => {
      const { id } = request.params;
      assertOwnGateway(request.principal, id);
      await stores.mesh.gateways.get(id);
      reply.hijack();
      const client = reply.raw;
      if (client.destroyed) return;
      clients.add(client);
      client.once("close", () => clients.delete(client));
      client.writeHead(200, {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
      client.write("retry: 2000\n\n");
      endWithToken(client, stores.events, request.principal);
      new OrderFeed(client, { id, gateways: stores.mesh.gateways }).run(request.headers["last-event-id"] ?? 0);
    },
  );
}

/** Orders that another server made are seen this late: a stop must be on its way within a second. */
const LOOK_EVERY_MS = 400;
const HEARTBEAT_MS = 15_000;

class OrderFeed {
  readonly #client: ServerResponse;
  readonly #parts: { readonly id: string; readonly gateways: ApiParts["stores"]["mesh"]["gateways"] };
  #sentNumber = 0;
  #looking: Promise<void> | undefined;
  #mustLook = false;

  constructor(client: ServerResponse, parts: { id: string; gateways: ApiParts["stores"]["mesh"]["gateways"] }) {
    this.#client = client;
    this.#parts = parts;
  }

  run(afterNumber: number): void {
    this.#sentNumber = afterNumber;
    const { id, gateways } = this.#parts;
    const stopHearing = gateways.onOrders(id, () => this.#look());
    const looks = setInterval(() => this.#look(), LOOK_EVERY_MS);
    const heartbeat = setInterval(() => this.#client.write(":\n\n"), HEARTBEAT_MS);
    this.#client.once("close", () => {
      stopHearing();
      clearInterval(looks);
      clearInterval(heartbeat);
    });
    this.#look();
  }

  #look(): void {
    this.#mustLook = true;
    this.#looking ??= this.#send()
      .catch(() => void this.#client.destroy())
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #send(): Promise<void> {
    while (this.#mustLook) {
      this.#mustLook = false;
      for (const order of await this.#parts.gateways.openOrders(this.#parts.id, this.#sentNumber)) {
        if (this.#client.destroyed || this.#client.writableEnded) return;
        this.#sentNumber = order.number;
        this.#client.write(`event: order\nid: ${order.number}\ndata: ${JSON.stringify(order)}\n\n`);
      }
    }
  }
}

function contentRoute(app: Api, { mesh }: GatewayParts): void {
  app.get(
    "/gateways/:id/contents/:name",
    {
      schema: {
        tags,
        summary: "A content as it travels: Begin, all data, End; Range, If-Range",
        params: OneContent,
      },
    },
    async ({ params, headers, principal }, reply) => {
      assertOwnGateway(principal, params.id);
      const found = await mesh.openContent(params.name);
      if (found === undefined) throw new UsageError("UNKNOWN_CONTENT", `there is no content ${params.name}`);
      const { content, sizeBytes } = found;
      const etag = `"${content.sha256.slice(0, 32)}"`;
      reply.header("etag", etag).header("accept-ranges", "bytes").header("content-type", "application/octet-stream");
      const ifRange = headers["if-range"];
      const answer = answerRange(
        {
          range: headers.range,
          ifMatch: headers["if-match"],
          ifNoneMatch: headers["if-none-match"],
          ifRange: [ifRange].flat()[0],
        },
        etag,
        sizeBytes,
      );
      if (answer.kind === "notModified") return await reply.status(304).send();
      if (answer.kind === "preconditionFailed")
        throw new UsageError("ETAG_MISMATCH", "the content is not the one that If-Match names", { etag });
      if (answer.kind === "unsatisfiable") {
        reply.header("content-range", `bytes */${sizeBytes}`);
        throw new UsageError("RANGE", `the content has ${sizeBytes} bytes`, { sizeBytes });
      }
      const { start, end } = answer.kind === "part" ? answer : { start: 0, end: sizeBytes - 1 };
      if (answer.kind === "part") reply.status(206).header("content-range", `bytes ${start}-${end}/${sizeBytes}`);
      reply.header("content-length", end - start + 1);
      return await reply.send(found.stream(start, end));
    },
  );
}

/** /api/v1/server and /api/v1/statistics: how this server was started, and the fleet in numbers. */
import { readFileSync } from "node:fs";
import { ServerFacts, VersionStatistics } from "@airlift/protocol/api/statistics";
import { z } from "zod";
import type { Api, ApiParts } from "./routes.ts";

const DayQuery = z.object({ days: z.coerce.number().int().min(1).max(400).default(30) });

/** This package's version. */
const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const NOUNS = ["campaigns", "audit", "webhooks", "gateways", "cells"];

export function serverRoutes(app: Api, parts: ApiParts): void {
  const { nodes, statistics } = parts.stores;
  app.get(
    "/server",
    { schema: { tags: ["server"], summary: "How this server was started", response: { 200: ServerFacts } } },
    async () => ({
      ...factsOf(parts),
      nouns: NOUNS.filter((noun) => app.hasRoute({ method: "GET", url: `/api/v1/${noun}` })),
      node: nodes.id,
      nodes: (await nodes.list()).map(({ id, startedAtMs, isAlive }) => ({
        id,
        startedAt: new Date(startedAtMs).toISOString(),
        isAlive,
      })),
    }),
  );
  app.get(
    "/statistics/versions",
    {
      schema: {
        tags: ["server"],
        summary: "Registered devices by version, a count for each day on which a server ran",
        querystring: DayQuery,
        response: { 200: VersionStatistics },
      },
    },
    async ({ query: { days } }) => await statistics.versions(days),
  );
}

const factsOf = ({ config, coapUrls }: ApiParts): Omit<ServerFacts, "node" | "nodes" | "nouns"> => ({
  version,
  coapUrls: [...(coapUrls ?? [])],
  database: config.databaseUrl == null ? "embedded" : "external",
  wantsTokens: !config.noAuth,
  plainDevices: config.plainDevices ?? "allow",
  maxImageBytes: config.maxImageBytes,
  trustedKeyCount: config.trustedKeyFiles?.length ?? 0,
  publicHost: config.publicHost,
});

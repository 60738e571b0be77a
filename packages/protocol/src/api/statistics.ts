/** The REST API's nouns about the fleet as a whole and the server that keeps it. */
import { z } from "zod";

/** The fleet of one day, as it was when it was last counted. */
export const VersionDay = z.object({
  /** UTC, "2026-03-01". */
  day: z.iso.date(),
  countedAt: z.iso.datetime({ precision: 3 }),
  /** Registered devices by the version they run; of very many versions the rare ones are in `otherCount`. */
  counts: z.record(z.string(), z.int().nonnegative()),
  /** Registered devices that have not told their version, or run a rare one. */
  otherCount: z.int().nonnegative(),
});
export type VersionDay = z.infer<typeof VersionDay>;

/** The answer of `GET /api/v1/statistics/versions`: oldest first; days on which no server ran are not there. */
export const VersionStatistics = z.object({
  days: z.array(VersionDay),
  /** Devices on record now, by presence. */
  registeredCount: z.int().nonnegative(),
  goneCount: z.int().nonnegative(),
});
export type VersionStatistics = z.infer<typeof VersionStatistics>;

/** The answer of `GET /api/v1/server`: what an operator may know of how the server was started. */
export const ServerFacts = z.object({
  version: z.string(),
  node: z.string(),
  /** Every server on the same database. */
  nodes: z.array(z.object({ id: z.string(), startedAt: z.iso.datetime({ precision: 3 }), isAlive: z.boolean() })),
  /** Where devices are listened for, "coap://0.0.0.0:5683". */
  coapUrls: z.array(z.string()),
  database: z.enum(["embedded", "external"]),
  /** False: nobody is asked for a token. */
  wantsTokens: z.boolean(),
  plainDevices: z.enum(["allow", "refuse"]),
  maxImageBytes: z.int().positive(),
  /** Whether signatures on images are checked here. */
  trustedKeyCount: z.int().nonnegative(),
  publicHost: z.string().nullable(),
  /** Which of the API's nouns this server has beside those that every server has: "campaigns", "audit". */
  nouns: z.array(z.string()),
});
export type ServerFacts = z.infer<typeof ServerFacts>;

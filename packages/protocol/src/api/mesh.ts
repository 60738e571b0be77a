/** The REST API's nouns of radio meshes: devices behind gateways, the gateways, and the broadcasts. */
import { z } from "zod";
import { DEFAULT_RATE_BPS, LEAST_RATE_BPS, MOST_RATE_BPS } from "../zmesh/airtime.ts";
import { DEFAULT_SUB_BAND } from "../zmesh/regions.ts";
import { gatewayBandFault } from "../zmesh/sub-band-name.ts";
import { NO_TRIAD, triadOf } from "../zmesh/version-triad.ts";
import { CreatedToken } from "./credentials.ts";
import { AirWindow, GatewayId, GatewayState, SESSION_OUTCOMES, SessionProgress } from "./gateway.ts";
import { label } from "./schemas.ts";

const instant = z.iso.datetime({ precision: 3 });
/** A radio cell: whoever sends there is heard by all of its devices. */
const cell = z.string().regex(/^[^\p{Cc}]{1,64}$/u, "a cell's name has 1 … 64 characters without control characters");

/** The body of `POST /api/v1/mesh/devices`. */
export const NewMeshDevice = z.strictObject({
  /** The text of the device's label: "ZMESH:1:…". It holds the device's key. */
  payload: z.string().max(512),
  manufacturer: label,
  model: label,
  hardware: label.optional(),
  /** That runs now, if known: one that mesh devices can tell. */
  version: label.refine((text) => triadOf(text) !== undefined, NO_TRIAD).optional(),
  cell: cell.optional(),
});
export type NewMeshDevice = z.input<typeof NewMeshDevice>;

/** A device that is reached by radio through gateways. Its key is never told. */
export const MeshDevice = z.object({
  endpoint: z.string(),
  /** Six octets as hex: what its frames are called on air. */
  name: z.string(),
  groupId: z.string(),
  /** It has the group's present key, and said so. */
  hasGroupKey: z.boolean(),
  cell: cell.nullable(),
  /** That heard it last. */
  gatewayId: z.string().nullable(),
  heardAt: instant.nullable(),
  /** Packets it had, and still missed, when it last said. */
  receivedCount: z.int().nullable(),
  deficit: z.int().nullable(),
  batteryPercent: z.int().nullable(),
});
export type MeshDevice = z.infer<typeof MeshDevice>;

/** All devices of one make and model, and the key they share for schedules and polls. */
export const MeshGroup = z.object({
  id: z.string(),
  manufacturer: z.string(),
  model: z.string(),
  name: z.string(),
  /** Counts the keys: 1, and one more with each rotation. */
  generation: z.int(),
  deviceCount: z.int(),
  /** That have the present key, as they said. */
  keyCount: z.int(),
});
export type MeshGroup = z.infer<typeof MeshGroup>;

/** The body of `POST /api/v1/gateways`. */
export const NewGateway = z.strictObject({
  id: GatewayId,
  /** Cells whose devices hear it. Gateways that share a cell never send at the same time. */
  cells: z
    .array(cell)
    .min(1)
    .max(64)
    .refine((names) => new Set(names).size === names.length, "two of one name"),
  /** Name of its sub-band, "868.0-868.6": of the built-in table, of the gateway's own, or `wired`. */
  band: z
    .string()
    .max(64)
    .superRefine((name, context) => {
      const message = gatewayBandFault(name);
      if (message !== undefined) context.addIssue({ code: "custom", message });
    })
    .default(DEFAULT_SUB_BAND),
  rateBps: z.int().min(LEAST_RATE_BPS).max(MOST_RATE_BPS).default(DEFAULT_RATE_BPS),
  /** Share of packets that a device there is taken to lose. */
  loss: z.number().min(0).max(0.9).default(0.05),
});
export type NewGateway = z.input<typeof NewGateway>;

export const Gateway = z.object({
  id: z.string(),
  cells: z.array(cell),
  band: z.string(),
  rateBps: z.int(),
  loss: z.number(),
  /** As it last said of itself; null = it was never heard. */
  state: GatewayState.nullable(),
  seenAt: instant.nullable(),
  /** It was heard within the last two minutes. */
  isOnline: z.boolean(),
  /** Orders that are not over. */
  orderCount: z.int(),
});
export type Gateway = z.infer<typeof Gateway>;

/** The answer to a gateway's creation, the only one with its token: it is good for this gateway's own routes alone. */
export const CreatedGateway = Gateway.extend({ token: CreatedToken.shape.token });
export type CreatedGateway = z.infer<typeof CreatedGateway>;

/** Airtime used in the sliding window that ended at each minute. */
export const AirtimeSeries = z.object({
  items: z.array(
    z.object({
      band: z.string(),
      windowMs: z.number(),
      /** That the law allows in each window, the reserve taken off. */
      budgetMs: z.number(),
      points: z.array(z.object({ at: instant, usedMs: z.number() })),
    }),
  ),
});
export type AirtimeSeries = z.infer<typeof AirtimeSeries>;

/** One image on its way to the devices of one gateway. */
export const MeshSession = z.object({
  id: z.string(),
  campaignId: z.string().nullable(),
  imageId: z.string(),
  groupId: z.string(),
  gatewayId: z.string(),
  cells: z.array(cell),
  deviceCount: z.int(),
  windows: z.array(AirWindow),
  /** Airtime that was planned for it. */
  plannedAirtimeMs: z.number(),
  progress: SessionProgress.nullable(),
  outcome: z.enum(SESSION_OUTCOMES).nullable(),
  detail: z.string().nullable(),
  createdAt: instant,
  endedAt: instant.nullable(),
});
export type MeshSession = z.infer<typeof MeshSession>;

/** What the broadcasts of a campaign come to. */
export const BroadcastSection = z.object({
  sessionCount: z.int(),
  runningCount: z.int(),
  airtimeUsedMs: z.number(),
  airtimePlannedMs: z.number(),
  /** Of each gateway that takes part: what the law leaves it in the present window. */
  budgets: z.array(z.object({ gatewayId: z.string(), band: z.string(), leftMs: z.number(), budgetMs: z.number() })),
  /** Devices by packets they still missed when they last said: [0, 1 … 4, 5 … 16, 17 … 64, more], and those that have not said. */
  deficits: z.object({ none: z.int(), to4: z.int(), to16: z.int(), to64: z.int(), more: z.int(), unheard: z.int() }),
});
export type BroadcastSection = z.infer<typeof BroadcastSection>;

/** The query of `GET /api/v1/mesh/plan`: what broadcasting an image to devices would take. */
export const MeshPlanQuery = z.object({
  campaignId: z.string().max(64).optional(),
  imageId: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  /** How long the broadcast may take. */
  withinS: z.coerce.number().int().min(60).max(7_776_000).default(86_400),
});

/** What it would take, by gateway. */
export const MeshPlan = z.object({
  imageId: z.string(),
  deviceCount: z.int(),
  airtimeMs: z.number(),
  sessions: z.array(
    z.object({
      gatewayId: z.string(),
      cells: z.array(cell),
      band: z.string(),
      deviceCount: z.int(),
      packetCount: z.int(),
      airtimeMs: z.number(),
      /** The law's, in each window; and what of it is used now. */
      budgetMs: z.number(),
      usedMs: z.number(),
      windowMs: z.number(),
      /** From the first frame to the last, waits for the law included. */
      durationMs: z.number(),
      windows: z.array(AirWindow),
    }),
  ),
});
export type MeshPlan = z.infer<typeof MeshPlan>;

/** The public key that the manifests of this server's broadcasts are signed with: devices trust it. */
export const ManifestKey = z.object({ algorithm: z.literal("ed25519"), publicKeyPem: z.string() });
export type ManifestKey = z.infer<typeof ManifestKey>;

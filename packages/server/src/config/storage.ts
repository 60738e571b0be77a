/** What is kept, where and for how long, and what is believed and told of it. */
import { list, type Parsed, type Setting, type Settings, shown, text, wholeNumber, yesOrNo } from "./setting.ts";

export interface StorageConfig {
  /** Absolute path of the folder that holds the images and the embedded database. */
  readonly dataDir: string;
  /** Absolute path of the folder of images; servers on one database share one. Default: `images` in `dataDir`. */
  readonly imageDir: string;
  /** PostgreSQL connection URL; null = the embedded database in `dataDir`. */
  readonly databaseUrl: string | null;
  /** Files of public keys (PEM) whose signatures on images are believed. */
  readonly trustedKeyFiles: readonly string[];
  /** Largest image that is accepted, in octets. */
  readonly maxImageBytes: number;
  /** Absolute path of a folder of object models (OMA's XML); null = those this project knows by itself. */
  readonly modelsDir: string | null;
  /** Whether webhooks may go to http: addresses. */
  readonly allowHttpWebhooks: boolean;
  /** Whether webhooks may go to private addresses and to this machine. */
  readonly allowPrivateWebhooks: boolean;
  /** How long events are kept, in milliseconds; null = for ever. So are the others. */
  readonly keepEvents: number | null;
  /** The newest so many events are kept; null = any number. */
  readonly keepEventCount: number | null;
  readonly keepUpdates: number | null;
  readonly keepExchanges: number | null;
  readonly keepCampaignTargets: number | null;
  readonly keepRequests: number | null;
}

/** One GiB: the largest firmware of a Linux device, far above any microcontroller's. */
export const DEFAULT_MAX_IMAGE_BYTES = 2 ** 30;

export const STORAGE_SETTINGS: Settings<StorageConfig> = {
  dataDir: { flag: "--data", environment: ["AIRLIFT_DATA"], fallback: ".airlift", parse: text },
  imageDir: { flag: "--image-dir", environment: ["AIRLIFT_IMAGE_DIR"], fallback: undefined, parse: text },
  databaseUrl: {
    flag: "--database-url",
    environment: ["AIRLIFT_DATABASE_URL", "DATABASE_URL"],
    fallback: null,
    parse: postgresUrl,
  },
  trustedKeyFiles: { flag: "--trust", environment: ["AIRLIFT_TRUST"], fallback: [], parse: list("file names") },
  maxImageBytes: {
    flag: "--max-image-bytes",
    environment: ["AIRLIFT_MAX_IMAGE_BYTES"],
    fallback: DEFAULT_MAX_IMAGE_BYTES,
    parse: wholeNumber(Number.MAX_SAFE_INTEGER, 1),
  },
  modelsDir: { flag: "--models", environment: ["AIRLIFT_MODELS"], fallback: null, parse: text },
  allowHttpWebhooks: {
    flag: "--allow-http-webhooks",
    environment: ["AIRLIFT_ALLOW_HTTP_WEBHOOKS"],
    fallback: false,
    parse: yesOrNo,
  },
  allowPrivateWebhooks: {
    flag: "--allow-private-webhooks",
    environment: ["AIRLIFT_ALLOW_PRIVATE_WEBHOOKS"],
    fallback: false,
    parse: yesOrNo,
  },
  keepEvents: keep("events", days(180)),
  keepEventCount: {
    flag: "--keep-event-count",
    environment: ["AIRLIFT_KEEP_EVENT_COUNT"],
    fallback: null,
    parse: wholeNumber(Number.MAX_SAFE_INTEGER, 1),
  },
  keepUpdates: keep("updates", days(365)),
  keepExchanges: keep("exchanges", days(30)),
  keepCampaignTargets: keep("campaign-targets", days(365)),
  keepRequests: keep("requests", days(30)),
};

/** A setting of how long records are kept: "90d", "12h", "forever". */
function keep(what: string, fallback: number): Setting {
  const environment = [`AIRLIFT_KEEP_${what.toUpperCase().replaceAll("-", "_")}`];
  return { flag: `--keep-${what}`, environment, fallback, parse: age };
}

function days(count: number): number {
  return count * 86_400_000;
}

function age(given: unknown): Parsed {
  if (given === "forever") return { value: null };
  const [, count, unit] = /^([1-9]\d{0,5})([hdw])$/.exec(typeof given === "string" ? given : "") ?? [];
  if (count === undefined) return { problem: `${shown(given)} is neither a time like 90d, 12h, 8w nor "forever"` };
  return { value: Number(count) * (unit === "h" ? 3_600_000 : days(unit === "d" ? 1 : 7)) };
}

function postgresUrl(value: unknown): Parsed {
  const isUrl = typeof value === "string" && /^postgres(ql)?:\/\//.test(value) && URL.canParse(value);
  // The value itself stays out of the message: it holds a password.
  return isUrl ? { value } : { problem: "not a URL of the form postgresql://user:password@host:port/database" };
}

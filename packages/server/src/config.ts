/** What `airlift serve` is told: flags before environment before file, read once, every mistake named in one error. */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import { UsageError } from "@airlift/protocol/lib/errors";

export interface ServeConfig {
  /** Absolute path of the folder that holds the images and the embedded database. */
  readonly dataDir: string;
  /** Absolute path of the folder of images; servers on one database share one. Default: `images` in `dataDir`. */
  readonly imageDir: string;
  /** Addresses that CoAP listens on; `::` takes IPv4 as well. */
  readonly hosts: readonly string[];
  /** Address that HTTP listens on: a loopback one with `noAuth`, and unless there is TLS or `insecureHttp`. */
  readonly httpHost: string;
  /** UDP port of CoAP; 0 = any free one, null = none. */
  readonly coapPort: number | null;
  /** UDP port of CoAP over DTLS; as above. Default: the one after `coapPort`. */
  readonly coapsPort: number | null;
  /** TCP port of CoAP; as above. Default: as `coapPort`. */
  readonly coapTcpPort: number | null;
  /** TCP port of CoAP over TLS; as above. Default: the one after `coapTcpPort`. */
  readonly coapsTcpPort: number | null;
  /**
   * PEM files of the server's certificate with its chain and of its key, both or neither. null = HTTP without TLS, and a
   * raw public key for devices. DTLS needs a key for ECDSA on P-256.
   */
  readonly tlsCertFile: string | null;
  readonly tlsKeyFile: string | null;
  /** Whether devices without any credential may register. */
  readonly plainDevices: PlainDevices;
  /** Seconds that a device in queue mode can be reached after it was last heard, unless it tells its own. */
  readonly awakeWindowS: number;
  /** TCP port of HTTP; 0 = any free one. */
  readonly httpPort: number;
  /** Base URL at which other servers on the same database reach this one's API; null = made of `httpHost` and port. */
  readonly apiUrl: string | null;
  /** PostgreSQL connection URL; null = the embedded database in `dataDir`. */
  readonly databaseUrl: string | null;
  /** Whether the operator said that requests need no token. */
  readonly noAuth: boolean;
  /** Whether the operator said that HTTP without TLS may leave this machine: a proxy in front of it speaks https. */
  readonly insecureHttp: boolean;
  /** Addresses or networks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** File of the key that device keys are encrypted under; null = `master.key` in `dataDir`. */
  readonly masterKeyFile: string | null;
  /** The key itself, from the environment, in place of a file. */
  readonly masterKey: string | null;
  /** Host name or address put into Package URIs; null = the one that the device reached. */
  readonly publicHost: string | null;
  /** Files of public keys (PEM) whose signatures on images are believed. */
  readonly trustedKeyFiles: readonly string[];
  /** Largest image that is accepted, in octets. */
  readonly maxImageBytes: number;
  /** Where people sign in with accounts of their own (OpenID Connect); null = with tokens alone. */
  readonly oidcIssuer: string | null;
  /** What this server is called there, and the file with the secret that proves it. */
  readonly oidcClientId: string | null;
  readonly oidcClientSecretFile: string | null;
  /** The claim with a person's roles, "realm_access.roles", and the one that people are told apart by. */
  readonly oidcRoleClaim: string;
  readonly oidcNameClaim: string;
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

/** allow: devices without any credential may register without a proof · refuse: nobody may. */
export type PlainDevices = "allow" | "refuse";

/** Where settings come from. `flags` has the names of the keys below, undefined = not given. */
export interface ConfigSources {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** One GiB: the largest firmware of a Linux device, far above any microcontroller's. */
export const DEFAULT_MAX_IMAGE_BYTES = 2 ** 30;

/** MAX_TRANSMIT_WAIT: what a device sends may be retransmitted for so long, so it has to listen for so long (RFC 7252 §4.8.2). */
const AWAKE_WINDOW_S = 93;

/** The port of `coap:` and `coap+tcp:`; those of `coaps:` and `coaps+tcp:` are the next ones. @see RFC 7252 §6, RFC 8323 §8 */
const COAP_PORT = 5683;

/** Either what a source's value means, or why it means nothing. */
type Parsed = { readonly value: unknown } | { readonly problem: string };

interface Setting {
  readonly flag: string;
  /** Names in the environment, the first that is set wins. */
  readonly environment: readonly string[];
  readonly fallback: unknown;
  parse(value: unknown): Parsed;
}

const SETTINGS: Readonly<Record<keyof ServeConfig, Setting>> = {
  dataDir: { flag: "--data", environment: ["AIRLIFT_DATA"], fallback: ".airlift", parse: text },
  imageDir: { flag: "--image-dir", environment: ["AIRLIFT_IMAGE_DIR"], fallback: undefined, parse: text },
  hosts: { flag: "--host", environment: ["AIRLIFT_HOST"], fallback: ["0.0.0.0"], parse: list("addresses") },
  httpHost: { flag: "--http-host", environment: ["AIRLIFT_HTTP_HOST"], fallback: "127.0.0.1", parse: text },
  coapPort: { flag: "--coap-port", environment: ["AIRLIFT_COAP_PORT"], fallback: COAP_PORT, parse: portOrOff },
  coapsPort: { flag: "--coaps-port", environment: ["AIRLIFT_COAPS_PORT"], fallback: undefined, parse: portOrOff },
  coapTcpPort: {
    flag: "--coap-tcp-port",
    environment: ["AIRLIFT_COAP_TCP_PORT"],
    fallback: undefined,
    parse: portOrOff,
  },
  coapsTcpPort: {
    flag: "--coaps-tcp-port",
    environment: ["AIRLIFT_COAPS_TCP_PORT"],
    fallback: undefined,
    parse: portOrOff,
  },
  plainDevices: {
    flag: "--plain-devices",
    environment: ["AIRLIFT_PLAIN_DEVICES"],
    fallback: "allow",
    parse: allowOrRefuse,
  },
  awakeWindowS: {
    flag: "--awake-window",
    environment: ["AIRLIFT_AWAKE_WINDOW"],
    fallback: AWAKE_WINDOW_S,
    parse: wholeNumber(86_400, 1),
  },
  httpPort: { flag: "--http-port", environment: ["AIRLIFT_HTTP_PORT"], fallback: 8080, parse: wholeNumber(65535) },
  databaseUrl: {
    flag: "--database-url",
    environment: ["AIRLIFT_DATABASE_URL", "DATABASE_URL"],
    fallback: null,
    parse: postgresUrl,
  },
  noAuth: { flag: "--no-auth", environment: ["AIRLIFT_NO_AUTH"], fallback: false, parse: yesOrNo },
  insecureHttp: { flag: "--insecure-http", environment: ["AIRLIFT_INSECURE_HTTP"], fallback: false, parse: yesOrNo },
  trustedProxies: {
    flag: "--trusted-proxy",
    environment: ["AIRLIFT_TRUSTED_PROXY"],
    fallback: [],
    parse: addressList,
  },
  tlsCertFile: { flag: "--tls-cert", environment: ["AIRLIFT_TLS_CERT"], fallback: null, parse: text },
  tlsKeyFile: { flag: "--tls-key", environment: ["AIRLIFT_TLS_KEY"], fallback: null, parse: text },
  masterKeyFile: { flag: "--master-key-file", environment: ["AIRLIFT_MASTER_KEY_FILE"], fallback: null, parse: text },
  masterKey: { flag: "the master key", environment: ["AIRLIFT_MASTER_KEY"], fallback: null, parse: secret },
  publicHost: { flag: "--public-host", environment: ["AIRLIFT_PUBLIC_HOST"], fallback: null, parse: hostName },
  apiUrl: { flag: "--api-url", environment: ["AIRLIFT_API_URL"], fallback: null, parse: baseUrl },
  trustedKeyFiles: { flag: "--trust", environment: ["AIRLIFT_TRUST"], fallback: [], parse: list("file names") },
  maxImageBytes: {
    flag: "--max-image-bytes",
    environment: ["AIRLIFT_MAX_IMAGE_BYTES"],
    fallback: DEFAULT_MAX_IMAGE_BYTES,
    parse: wholeNumber(Number.MAX_SAFE_INTEGER, 1),
  },
  oidcIssuer: { flag: "--oidc-issuer", environment: ["AIRLIFT_OIDC_ISSUER"], fallback: null, parse: issuerUrl },
  oidcClientId: { flag: "--oidc-client-id", environment: ["AIRLIFT_OIDC_CLIENT_ID"], fallback: null, parse: text },
  oidcClientSecretFile: {
    flag: "--oidc-client-secret-file",
    environment: ["AIRLIFT_OIDC_CLIENT_SECRET_FILE"],
    fallback: null,
    parse: text,
  },
  oidcRoleClaim: {
    flag: "--oidc-role-claim",
    environment: ["AIRLIFT_OIDC_ROLE_CLAIM"],
    fallback: "roles",
    parse: text,
  },
  oidcNameClaim: {
    flag: "--oidc-name-claim",
    environment: ["AIRLIFT_OIDC_NAME_CLAIM"],
    fallback: "preferred_username",
    parse: text,
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

/**
 * The settings of one run, frozen.
 *
 * @throws {UsageError} CONFIG with every mistake in `facts.problems`.
 */
export function loadConfig(sources: ConfigSources): ServeConfig {
  const problems: string[] = [];
  const file = readConfigFile(sources, problems);
  const settings: Record<string, unknown> = {};
  for (const [key, setting] of Object.entries(SETTINGS)) {
    const found = findValue(key, setting, sources, file);
    if (found === undefined) {
      settings[key] = setting.fallback;
      continue;
    }
    const parsed = setting.parse(found.value);
    if ("problem" in parsed) problems.push(`${found.source}: ${parsed.problem}`);
    else settings[key] = parsed.value;
  }
  problems.push(...doorProblems(settings as Partial<ServeConfig>), ...oidcProblems(settings as Partial<ServeConfig>));
  if (problems.length > 0) throw new UsageError("CONFIG", problems.join("\n"), { problems });
  const config = settings as unknown as ServeConfig;
  return Object.freeze({
    ...config,
    ...doorPorts(config),
    hosts: Object.freeze(config.hosts),
    tlsCertFile: config.tlsCertFile && resolve(config.tlsCertFile),
    tlsKeyFile: config.tlsKeyFile && resolve(config.tlsKeyFile),
    dataDir: resolve(config.dataDir),
    imageDir: resolve(config.imageDir ?? join(config.dataDir, "images")),
    modelsDir: config.modelsDir === null ? null : resolve(config.modelsDir),
    masterKeyFile: config.masterKeyFile && resolve(config.masterKeyFile),
    oidcClientSecretFile: config.oidcClientSecretFile && resolve(config.oidcClientSecretFile),
    trustedProxies: Object.freeze([...config.trustedProxies]),
    trustedKeyFiles: Object.freeze(config.trustedKeyFiles.map((name) => resolve(name))),
  });
}

/** Ports that were not named lie beside those that were, so that a second server on a machine is told one number. */
function doorPorts(given: Pick<ServeConfig, "coapPort"> & Partial<ServeConfig>) {
  const { coapPort, coapTcpPort = coapPort ?? COAP_PORT } = given;
  const { coapsPort = portAfter(coapPort ?? COAP_PORT), coapsTcpPort = portAfter(coapTcpPort ?? COAP_PORT) } = given;
  return { coapPort, coapsPort, coapTcpPort, coapsTcpPort };
}

const portAfter = (port: number): number => (port === 0 || port === 65_535 ? 0 : port + 1);

/** Whether a listening address is reachable from this machine alone. */
export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}

interface Found {
  readonly value: unknown;
  readonly source: string;
}

function findValue(
  key: string,
  setting: Setting,
  sources: ConfigSources,
  file: Record<string, unknown>,
): Found | undefined {
  const flag = sources.flags[key];
  if (flag !== undefined) return { value: flag, source: setting.flag };
  for (const name of setting.environment) {
    const value = sources.environment[name];
    if (value !== undefined && value !== "") return { value, source: name };
  }
  return file[key] === undefined ? undefined : { value: file[key], source: `configuration file, "${key}"` };
}

function readConfigFile(sources: ConfigSources, problems: string[]): Record<string, unknown> {
  const name = sources.flags["config"] ?? sources.environment["AIRLIFT_CONFIG"];
  if (typeof name !== "string") return {};
  try {
    const content: unknown = JSON.parse(readFileSync(name, "utf8"));
    if (typeof content !== "object" || content === null || Array.isArray(content))
      throw new Error("it must be a JSON object");
    for (const key of Object.keys(content))
      if (!(key in SETTINGS)) problems.push(`configuration file ${name}: unknown setting "${key}"`);
    return content as Record<string, unknown>;
  } catch (error) {
    problems.push(`configuration file ${name}: ${error instanceof Error ? error.message : String(error)}`);
    return {};
  }
}

const shown = (value: unknown): string => JSON.stringify(value) ?? String(value);

function text(value: unknown): Parsed {
  return typeof value === "string" && value !== "" ? { value } : { problem: `${shown(value)} is not a text` };
}

/** What would let tokens travel in the clear, or strangers in; a setting that is wrong by itself is missing here. */
function doorProblems({ httpHost, noAuth, insecureHttp, tlsCertFile, tlsKeyFile }: Partial<ServeConfig>): string[] {
  const problems: string[] = [];
  if ((tlsCertFile == null) !== (tlsKeyFile == null)) problems.push("--tls-cert and --tls-key belong together");
  if (httpHost === undefined || isLoopbackHost(httpHost)) return problems;
  const reach = `--http-host: ${httpHost} is reachable from other machines`;
  if (noAuth === true)
    problems.push(`${reach}, and with --no-auth anybody there may do everything; use 127.0.0.1 or ::1`);
  else if (tlsCertFile == null && insecureHttp !== true)
    problems.push(`${reach}, and tokens would travel in the clear: give --tls-cert and --tls-key, or --insecure-http`);
  return problems;
}

/** A setting that is wrong by itself is missing here. */
function oidcProblems({ oidcIssuer, oidcClientId, oidcClientSecretFile, noAuth }: Partial<ServeConfig>): string[] {
  const given = [oidcIssuer, oidcClientId, oidcClientSecretFile].filter((one) => one != null).length;
  const problems: string[] = [];
  if (given > 0 && given < 3)
    problems.push("--oidc-issuer, --oidc-client-id and --oidc-client-secret-file belong together");
  if (given > 0 && noAuth === true)
    problems.push("--no-auth: nobody is asked to sign in, so --oidc-issuer is of no use");
  return problems;
}

/** Tokens of the provider never travel in the clear. */
function issuerUrl(value: unknown): Parsed {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  const isOurs = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
  return isOurs ? { value } : { problem: `${shown(value)} is not a URL that begins with https://` };
}

/** The value stays out of every message. */
function secret(value: unknown): Parsed {
  return typeof value === "string" && value !== "" ? { value } : { problem: "not a text" };
}

/** Addresses or networks in CIDR, or in the environment some joined by commas. */
function addressList(given: unknown): Parsed {
  const list = typeof given === "string" ? given.split(",").filter((one) => one !== "") : given;
  const isAddress = (one: unknown) =>
    typeof one === "string" && isIP(one.replace(/\/\d{1,3}$/, "")) !== 0 && !one.endsWith("/");
  if (Array.isArray(list) && list.every(isAddress)) return { value: list };
  return { problem: `${shown(given)} is not a list of addresses or networks` };
}

function hostName(value: unknown): Parsed {
  const isHost = typeof value === "string" && /^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\])$/.test(value);
  return isHost ? { value } : { problem: `${shown(value)} is not a host name or address (IPv6 in brackets, no port)` };
}

function baseUrl(value: unknown): Parsed {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  const isBase = /^https?:$/.test(url?.protocol ?? "") && `${url?.search}${url?.hash}${url?.username}` === "";
  return isBase
    ? { value: `${value}`.replace(/\/+$/, "") }
    : { problem: `${shown(value)} is not a URL like https://fw-2.example.org:8080` };
}

function postgresUrl(value: unknown): Parsed {
  const isUrl = typeof value === "string" && /^postgres(ql)?:\/\//.test(value) && URL.canParse(value);
  // The value itself stays out of the message: it holds a password.
  return isUrl ? { value } : { problem: "not a URL of the form postgresql://user:password@host:port/database" };
}

function wholeNumber(maximum: number, minimum = 0): (value: unknown) => Parsed {
  return (given) => {
    const value = typeof given === "string" && /^\d+$/.test(given) ? Number(given) : given;
    if (Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum) return { value };
    return { problem: `${shown(given)} is not a whole number of ${minimum} … ${maximum}` };
  };
}

function yesOrNo(given: unknown): Parsed {
  if (typeof given === "boolean") return { value: given };
  if (given === "1" || given === "true") return { value: true };
  if (given === "0" || given === "false") return { value: false };
  return { problem: `${shown(given)} is neither true nor false` };
}

/** A list, or in the environment parts joined by commas. */
function list(what: string): (given: unknown) => Parsed {
  return (given) => {
    const parts = typeof given === "string" ? given.split(",").filter((part) => part !== "") : given;
    const isList = Array.isArray(parts) && parts.every((part) => typeof part === "string" && part !== "");
    return isList ? { value: parts } : { problem: `${shown(given)} is not a list of ${what}` };
  };
}

function portOrOff(given: unknown): Parsed {
  if (given === "off" || given === null) return { value: null };
  const parsed = wholeNumber(65535)(given);
  return "problem" in parsed ? { problem: `${parsed.problem}, nor "off"` } : parsed;
}

function allowOrRefuse(given: unknown): Parsed {
  return given === "allow" || given === "refuse"
    ? { value: given }
    : { problem: `${shown(given)} is neither allow nor refuse` };
}

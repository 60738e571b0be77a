/** Where the server listens, and for whom. */
import { isIP } from "node:net";
import { DEFAULT_REQUESTS_PER_SECOND } from "../fleet/peer-gate.ts";
import type { AccessConfig } from "./access.ts";
import { isLoopbackHost } from "./loopback.ts";
import { list, type Parsed, type Setting, type Settings, shown, text, wholeNumber, yesOrNo } from "./setting.ts";

export interface DoorConfig {
  /** Addresses that CoAP listens on; `::` takes IPv4 as well. */
  readonly hosts: readonly string[];
  /** UDP port of CoAP; 0 = any free one, null = none. */
  readonly coapPort: number | null;
  /** UDP port of CoAP over DTLS; as above. Default: the one after `coapPort`. */
  readonly coapsPort: number | null;
  /** TCP port of CoAP; as above. Default: as `coapPort`. */
  readonly coapTcpPort: number | null;
  /** TCP port of CoAP over TLS; as above. Default: the one after `coapTcpPort`. */
  readonly coapsTcpPort: number | null;
  /** Whether devices without any credential may register. */
  readonly plainDevices: PlainDevices;
  /** Seconds that a device in queue mode can be reached after it was last heard, unless it tells its own. */
  readonly awakeWindowS: number;
  /** Requests a second that one device, or whoever speaks from one address and port, is served; null = any number. */
  readonly peerRate: number | null;
  /** Address that HTTP listens on: a loopback one with `noAuth`, and unless there is TLS or `insecureHttp`. */
  readonly httpHost: string;
  /** TCP port of HTTP; 0 = any free one. */
  readonly httpPort: number;
  /** Base URL at which other servers on the same database reach this one's API; null = made of `httpHost` and port. */
  readonly apiUrl: string | null;
  /** Whether the operator said that HTTP without TLS may leave this machine: a proxy in front of it speaks https. */
  readonly insecureHttp: boolean;
  /** Addresses or networks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /**
   * PEM files of the server's certificate with its chain and of its key, both or neither. null = HTTP without TLS, and a
   * raw public key for devices. DTLS needs a key for ECDSA on P-256.
   */
  readonly tlsCertFile: string | null;
  readonly tlsKeyFile: string | null;
  /** Host name or address put into Package URIs; null = the one that the device reached. */
  readonly publicHost: string | null;
}

/** allow: devices without any credential may register without a proof · refuse: nobody may. */
export type PlainDevices = "allow" | "refuse";

/** MAX_TRANSMIT_WAIT: what a device sends may be retransmitted for so long, so it has to listen for so long (RFC 7252 §4.8.2). */
const AWAKE_WINDOW_S = 93;

/** The port of `coap:` and `coap+tcp:`; those of `coaps:` and `coaps+tcp:` are the next ones. @see RFC 7252 §6, RFC 8323 §8 */
const COAP_PORT = 5683;

export const DOOR_SETTINGS: Settings<DoorConfig> = {
  hosts: { flag: "--host", environment: ["AIRLIFT_HOST"], fallback: ["0.0.0.0"], parse: list("addresses") },
  coapPort: {
    flag: "--coap-port",
    environment: ["AIRLIFT_COAP_PORT"],
    fallback: COAP_PORT,
    parse: orOff(wholeNumber(65535)),
  },
  coapsPort: {
    flag: "--coaps-port",
    environment: ["AIRLIFT_COAPS_PORT"],
    fallback: undefined,
    parse: orOff(wholeNumber(65535)),
  },
  coapTcpPort: {
    flag: "--coap-tcp-port",
    environment: ["AIRLIFT_COAP_TCP_PORT"],
    fallback: undefined,
    parse: orOff(wholeNumber(65535)),
  },
  coapsTcpPort: {
    flag: "--coaps-tcp-port",
    environment: ["AIRLIFT_COAPS_TCP_PORT"],
    fallback: undefined,
    parse: orOff(wholeNumber(65535)),
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
  peerRate: {
    flag: "--peer-rate",
    environment: ["AIRLIFT_PEER_RATE"],
    fallback: DEFAULT_REQUESTS_PER_SECOND,
    parse: orOff(wholeNumber(1_000_000, 1)),
  },
  httpHost: { flag: "--http-host", environment: ["AIRLIFT_HTTP_HOST"], fallback: "127.0.0.1", parse: text },
  httpPort: { flag: "--http-port", environment: ["AIRLIFT_HTTP_PORT"], fallback: 8080, parse: wholeNumber(65535) },
  apiUrl: { flag: "--api-url", environment: ["AIRLIFT_API_URL"], fallback: null, parse: baseUrl },
  insecureHttp: { flag: "--insecure-http", environment: ["AIRLIFT_INSECURE_HTTP"], fallback: false, parse: yesOrNo },
  trustedProxies: {
    flag: "--trusted-proxy",
    environment: ["AIRLIFT_TRUSTED_PROXY"],
    fallback: [],
    parse: addressList,
  },
  tlsCertFile: { flag: "--tls-cert", environment: ["AIRLIFT_TLS_CERT"], fallback: null, parse: text },
  tlsKeyFile: { flag: "--tls-key", environment: ["AIRLIFT_TLS_KEY"], fallback: null, parse: text },
  publicHost: { flag: "--public-host", environment: ["AIRLIFT_PUBLIC_HOST"], fallback: null, parse: hostName },
};

/** Ports that were not named lie beside those that were, so that a second server on a machine is told one number. */
export function doorPorts(given: Pick<DoorConfig, "coapPort"> & Partial<DoorConfig>) {
  const { coapPort, coapTcpPort = coapPort ?? COAP_PORT } = given;
  const { coapsPort = portAfter(coapPort ?? COAP_PORT), coapsTcpPort = portAfter(coapTcpPort ?? COAP_PORT) } = given;
  return { coapPort, coapsPort, coapTcpPort, coapsTcpPort };
}

const portAfter = (port: number): number => (port === 0 || port === 65_535 ? 0 : port + 1);

type GivenDoors = Partial<DoorConfig & Pick<AccessConfig, "noAuth">>;

/**
 * Doors that stand in each other's way, and what would let tokens travel in the clear, or strangers in; a setting that is wrong by itself is
 * missing here.
 */
export function doorProblems(given: GivenDoors): string[] {
  const { httpHost, noAuth, insecureHttp, tlsCertFile, tlsKeyFile } = given;
  const problems = sharedPorts(given);
  if ((tlsCertFile == null) !== (tlsKeyFile == null)) problems.push("--tls-cert and --tls-key belong together");
  if (httpHost === undefined || isLoopbackHost(httpHost)) return problems;
  const reach = `--http-host: ${httpHost} is reachable from other machines`;
  if (noAuth === true)
    problems.push(`${reach}, and with --no-auth anybody there may do everything; use 127.0.0.1 or ::1`);
  else if (tlsCertFile == null && insecureHttp !== true)
    problems.push(`${reach}, and tokens would travel in the clear: give --tls-cert and --tls-key, or --insecure-http`);
  return problems;
}

/** Ports of this server that only one of its doors can have. */
function sharedPorts(given: GivenDoors): string[] {
  const { coapPort, httpHost, httpPort, hosts = [] } = given;
  if (coapPort === undefined) return [];
  const { coapsPort, coapTcpPort, coapsTcpPort } = doorPorts({ ...given, coapPort });
  const isWithHttp = httpHost !== undefined && hosts.some((host) => isSameSocket(host, httpHost));
  const byProtocol = {
    UDP: { coapPort, coapsPort },
    TCP: { coapTcpPort, coapsTcpPort, ...(isWithHttp && { httpPort }) },
  };
  return Object.entries(byProtocol).flatMap(([protocol, ports]) => {
    const taken = Object.entries(ports).filter(([, port]) => port != null && port !== 0) as [
      keyof DoorConfig,
      number,
    ][];
    return taken.flatMap(([name, port], at) => {
      const other = taken.slice(0, at).find(([, one]) => one === port);
      if (other === undefined) return [];
      const names = [other[0], name].map((key) => nameOfPort(key, given)).join(" and ");
      return [`${names} are both ${protocol} port ${port}: give one of them another`];
    });
  });
}

/** Whether of two addresses only one can have a port: `::` takes IPv4 as well. */
const isSameSocket = (host: string, other: string): boolean =>
  host === other ||
  [host, other].includes("::") ||
  ([host, other].includes("0.0.0.0") && !host.includes(":") && !other.includes(":"));

/** The flag of a port, and where its number comes from when nobody gave it. */
function nameOfPort(key: keyof DoorConfig, given: GivenDoors): string {
  const { flag } = DOOR_SETTINGS[key];
  if (given[key] !== undefined) return flag;
  if (key === "coapTcpPort") return `${flag} (that of --coap-port)`;
  return `${flag} (the one after ${key === "coapsPort" ? "--coap-port" : "--coap-tcp-port"})`;
}

/** Addresses or networks in CIDR, or in the environment some joined by commas. */
function addressList(given: unknown): Parsed {
  const list = typeof given === "string" ? given.split(",").filter((one) => one !== "") : given;
  const isAddress = (one: unknown) =>
    typeof one === "string" && isIP(one.replace(/\/\d{1,3}$/, "")) !== 0 && !one.endsWith("/");
  if (Array.isArray(list) && list.every(isAddress)) return { value: list };
  return { problem: `${shown(given)} is not a list of addresses or networks` };
}

function baseUrl(value: unknown): Parsed {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  const isBase = /^https?:$/.test(url?.protocol ?? "") && `${url?.search}${url?.hash}${url?.username}` === "";
  return isBase
    ? { value: `${value}`.replace(/\/+$/, "") }
    : { problem: `${shown(value)} is not a URL like https://fw-2.example.org:8080` };
}

function hostName(value: unknown): Parsed {
  const isHost = typeof value === "string" && /^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\])$/.test(value);
  return isHost ? { value } : { problem: `${shown(value)} is not a host name or address (IPv6 in brackets, no port)` };
}

/** What `parse` reads, or null for "off". */
function orOff(parse: Setting["parse"]): Setting["parse"] {
  return (given) => {
    if (given === "off" || given === null) return { value: null };
    const parsed = parse(given);
    return "problem" in parsed ? { problem: `${parsed.problem}, nor "off"` } : parsed;
  };
}

function allowOrRefuse(given: unknown): Parsed {
  return given === "allow" || given === "refuse"
    ? { value: given }
    : { problem: `${shown(given)} is neither allow nor refuse` };
}

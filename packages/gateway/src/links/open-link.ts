/** Links by their names on the command line. */
import { isIP, isIPv4 } from "node:net";
import { UsageError } from "@airlift/protocol/lib/errors";
import { openKissLink, openSerial, openTcp } from "./kiss-link.ts";
import type { RetryOptions } from "./link-retry.ts";
import type { RadioLink } from "./radio-link.ts";
import { DEFAULT_BAUD_RATE } from "./serial-port.ts";
import { openUdpLink } from "./udp-link.ts";

/** A link that was understood and is not open yet. */
export interface LinkPlan {
  readonly uri: string;
  /** Whether no law of the air applies to it. */
  readonly isWired: boolean;
  open(retry?: RetryOptions): Promise<RadioLink>;
}

/**
 * `udp://GROUP:PORT[?interface=NAME&hops=N]`, `kiss:/dev/ttyUSB0[?baud=115200&ack=1]`, `kiss+tcp://HOST:PORT[?ack=1]`.
 *
 * @throws {UsageError} `LINK_URI`
 */
export function planLink(uri: string): LinkPlan {
  const [scheme = ""] = uri.split(":", 1);
  switch (scheme) {
    case "udp":
      return planUdp(uri);
    case "kiss":
      return planSerial(uri);
    case "kiss+tcp":
      return planTcp(uri);
    default:
      throw wrong(uri, "a link begins with udp://, kiss: or kiss+tcp://");
  }
}

function planUdp(uri: string): LinkPlan {
  const { host, port, query } = parts(uri);
  if (isIP(host) === 0 || !isMulticast(host)) throw wrong(uri, "udp:// names a multicast group, such as 239.1.2.3");
  assertKnown(uri, query, ["interface", "hops"]);
  const interfaceName = query.get("interface") ?? undefined;
  const hops = wholeIn(query.get("hops") ?? "1");
  if (!(hops >= 0 && hops <= 255)) throw wrong(uri, "hops are 0 … 255");
  const options = { uri, group: host, port, hops, ...(interfaceName !== undefined && { interfaceName }) };
  return { uri, isWired: true, open: (retry) => openUdpLink({ ...options, ...(retry && { retry }) }) };
}

function planTcp(uri: string): LinkPlan {
  const { host, port, query } = parts(uri);
  assertKnown(uri, query, ["ack"]);
  const open = () => openTcp(host, port);
  const confirms = isConfirming(uri, query);
  return { uri, isWired: false, open: (retry) => openKissLink({ uri, open, confirms, ...(retry && { retry }) }) };
}

function planSerial(uri: string): LinkPlan {
  const [path = "", query] = uri.slice("kiss:".length).split("?", 2);
  if (!/^(\/[^\0]+|COM\d+)$/.test(path)) throw wrong(uri, "kiss: names a serial port, such as kiss:/dev/ttyUSB0");
  const asked = new URLSearchParams(query);
  assertKnown(uri, asked, ["baud", "ack"]);
  const baud = wholeIn(asked.get("baud") ?? `${DEFAULT_BAUD_RATE}`);
  if (!(baud >= 300 && baud <= 12_000_000)) throw wrong(uri, "no such baud rate");
  const open = () => openSerial(path, baud);
  const confirms = isConfirming(uri, asked);
  return { uri, isWired: false, open: (retry) => openKissLink({ uri, open, confirms, ...(retry && { retry }) }) };
}

/** A misspelt setting is none that was asked for. */
function assertKnown(uri: string, query: URLSearchParams, names: readonly string[]): void {
  for (const name of query.keys())
    if (!names.includes(name)) throw wrong(uri, `there is no setting ${name}, only ${names.join(" and ")}`);
}

const wholeIn = (text: string): number => (/^\d+$/.test(text) ? Number(text) : Number.NaN);

/** Whether the modem is said to confirm what it has sent. */
function isConfirming(uri: string, query: URLSearchParams): boolean {
  const ack = query.get("ack") ?? "0";
  if (ack !== "0" && ack !== "1")
    throw wrong(uri, "ack is 1 for a modem that confirms what it sends (ACKMODE), else 0");
  return ack === "1";
}

function parts(uri: string): { host: string; port: number; query: URLSearchParams } {
  let url: URL;
  try {
    url = new URL(uri.replace(/^[a-z+]+:/, "http:"));
  } catch {
    throw wrong(uri, "not SCHEME://HOST:PORT");
  }
  // The port that a URL need not name is left out of it.
  const port = url.port === "" && /:80(\/|\?|$)/.test(uri) ? 80 : Number(url.port);
  if (!(port > 0)) throw wrong(uri, "the port is missing");
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port, query: url.searchParams };
}

function isMulticast(address: string): boolean {
  if (!isIPv4(address)) return /^ff/i.test(address);
  const [first = 0] = address.split(".").map(Number);
  return first >= 224 && first <= 239;
}

const wrong = (uri: string, why: string): UsageError => new UsageError("LINK_URI", `${uri}: ${why}`, { uri });

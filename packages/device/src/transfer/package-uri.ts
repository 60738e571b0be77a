/** Which client fetches a Package URI (RFC 3986 §3, OMA object 5 resource 8). */

import type { PROTOCOL_ON_WIRE } from "@airlift/protocol/lwm2m/objects/firmware-update";

/** The schemes of the protocols of /5/0/8. */
export type PullScheme = keyof typeof PROTOCOL_ON_WIRE;

export const DEFAULT_PORT: Readonly<Record<PullScheme, number>> = {
  coap: 5683,
  coaps: 5684,
  http: 80,
  https: 443,
  "coap+tcp": 5683,
  "coaps+tcp": 5684,
};

export interface PackageUri {
  readonly scheme: PullScheme;
  /** A name or an address; of an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
  /** Path and query as they were written, from the first slash on; "/" when there is none. */
  readonly pathAndQuery: string;
}

const URI = /^([a-z][a-z0-9+.-]*):\/\/(\[[0-9a-f:.]+\]|[^\s/?#:@[\]]+)(?::([0-9]{1,5}))?([/?][^\s#]*)?$/i;

/** The parts of `uri`, or `undefined` when it is no URI with a host, or of a scheme that nobody here speaks. */
export function parsePackageUri(uri: string): PackageUri | undefined {
  const parts = URI.exec(uri);
  if (!parts) return undefined;
  const [, scheme = "", bracketed = "", portText, rest = "/"] = parts;
  const known = scheme.toLowerCase();
  if (!isPullScheme(known)) return undefined;
  const port = portText === undefined ? DEFAULT_PORT[known] : Number(portText);
  if (port < 1 || port > 65_535) return undefined;
  const host = bracketed.startsWith("[") ? bracketed.slice(1, -1) : bracketed;
  return { scheme: known, host, port, pathAndQuery: rest.startsWith("/") ? rest : `/${rest}` };
}

function isPullScheme(scheme: string): scheme is PullScheme {
  return Object.hasOwn(DEFAULT_PORT, scheme);
}

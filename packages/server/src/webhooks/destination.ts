/**
 * Where webhooks may go. Whoever sets one up makes this server send requests: not into its own network, and not in the
 * clear, unless the operator of the server said so.
 */
import { lookup as lookUpName } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { UsageError } from "@airlift/protocol/lib/errors";

export interface DestinationPolicy {
  /** `http:` besides `https:`. */
  readonly allowsHttp: boolean;
  /** Addresses of private networks and of this machine. */
  readonly allowsPrivate: boolean;
}

/** What nobody on the Internet has, by RFC 6890 and the registries of special-purpose addresses. */
const SPECIAL = new BlockList();
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const)
  SPECIAL.addSubnet(network, bits, "ipv4");
/** Only 2000::/3 is given out as global unicast; of it these lead elsewhere: documentation, Teredo, 6to4. */
const GLOBAL_V6 = new BlockList();
GLOBAL_V6.addSubnet("2000::", 3, "ipv6");
const SPECIAL_V6 = new BlockList();
SPECIAL_V6.addSubnet("2001::", 23, "ipv6");
SPECIAL_V6.addSubnet("2001:db8::", 32, "ipv6");
SPECIAL_V6.addSubnet("2002::", 16, "ipv6");
SPECIAL_V6.addSubnet("3fff::", 20, "ipv6");

/** Whether an address is one of the public Internet. Anything that is no address is not. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !SPECIAL.check(address, "ipv4");
  return family === 6 && GLOBAL_V6.check(address, "ipv6") && !SPECIAL_V6.check(address, "ipv6");
}

/**
 * The URL as it is asked; names are resolved and checked when they are connected to, by `guardedLookup`.
 *
 * @throws {UsageError} WEBHOOK_URL
 */
export function checkDestination(text: string, { allowsHttp, allowsPrivate }: DestinationPolicy): URL {
  const refused = (why: string) =>
    new UsageError("WEBHOOK_URL", `a webhook cannot go to ${withoutSecrets(text)}: ${why}`, {
      url: withoutSecrets(text),
    });
  if (!URL.canParse(text)) throw refused("it is no URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && allowsHttp))
    throw refused("it is not https, and the server was not started with --allow-http-webhooks");
  if (url.username !== "" || url.password !== "") throw refused("it has a name or password in it");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const isOwn = host === "localhost" || host.endsWith(".localhost") || (isIP(host) !== 0 && !isPublicAddress(host));
  if (isOwn && !allowsPrivate)
    throw refused("that is a private address, and the server was not started with --allow-private-webhooks");
  return url;
}

/** Resolves a name for a connection, to addresses that the policy allows: what is checked is what is connected to. */
export function guardedLookup({ allowsPrivate }: DestinationPolicy): LookupFunction {
  return (hostname, options, callback) => {
    lookUpName(hostname, { ...options, all: true }, (error, found) => {
      const allowed = error ? [] : found.filter(({ address }) => allowsPrivate || isPublicAddress(address));
      const [first] = allowed;
      if (error !== null) callback(error, []);
      else if (first === undefined) callback(privateName(hostname), []);
      else if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

const privateName = (hostname: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${hostname} has a private address`), { code: "EPRIVATE" });

/** An address as it may be shown: who mistyped a password should not find it in a log. */
const withoutSecrets = (text: string): string => text.replace(/^(https?:\/\/)[^/?#]*@/i, "$1…@");

/** The server that a device registers with: its own words, those of its options, or those of a bootstrap server. */
import type { AccountSecurity, ServerAccount } from "@airlift/protocol/lwm2m/bootstrap/accounts";
import { clientCredentials } from "@airlift/runtime/dtls-credentials";
import { credentialMistakes, credentialOf, type ServerCredentials } from "./credentials.ts";
import { DEFAULT_REGISTRATION_RETRY, type RetryPolicy } from "./session/registration.ts";
import { type PackageUri, parsePackageUri } from "./transfer/package-uri.ts";

export interface Account {
  readonly uri: string;
  readonly address: PackageUri;
  readonly credentials?: ServerCredentials | undefined;
  readonly lifetimeS: number;
  readonly shortServerId: number;
  /** Of object 1. */
  readonly serverInstance: number;
  readonly retry: RetryPolicy;
  /** Whether a device that cannot reach it asks to be bootstrapped anew. */
  readonly bootstraps: boolean;
}

/** A server that does not answer so often counts as unreachable: a quarter of an hour (LwM2M Core 1.2 §6.2.1.1). */
const DEFAULT_LIMIT = { tries: 5, sequences: 1, restMs: 60_000 };

/** The Short Server ID of a server that no bootstrap server has named. */
export const DEFAULT_SHORT_SERVER_ID = 1;

/** `retry` with an end, after which a server counts as unreachable. */
export function limited(retry: RetryPolicy): RetryPolicy {
  return { ...retry, limit: retry.limit ?? DEFAULT_LIMIT };
}

const LONGEST_DELAY_MS = 86_400_000;

/**
 * What the account of a bootstrap server means here, or a sentence why it means nothing.
 *
 * @param retry What holds where the account says nothing of it.
 */
export function accountOf(given: ServerAccount, retry: RetryPolicy = DEFAULT_REGISTRATION_RETRY): Account | string {
  const address = parsePackageUri(given.uri);
  if (address === undefined || address.pathAndQuery !== "/" || !SCHEMES.has(address.scheme))
    return `/0/x/0 is no address of a server that this device can reach: ${given.uri.slice(0, 100)}`;
  const credentials = credentialsOf(given.security, given.sni);
  const [mistake] = credentialMistakes(address.scheme, credentials);
  if (mistake !== undefined) return mistake;
  try {
    if (credentials) clientCredentials(credentialOf(credentials, address.host));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { uri, lifetimeS, shortServerId, serverInstance } = given;
  const policy = policyOf(given, retry);
  const bootstraps = given.retry.bootstraps;
  return { uri, address, credentials, lifetimeS, shortServerId, serverInstance, retry: policy, bootstraps };
}

const SCHEMES: ReadonlySet<string> = new Set(["coap", "coaps", "coap+tcp", "coaps+tcp"]);

function policyOf({ retry: told }: ServerAccount, own: RetryPolicy): RetryPolicy {
  const limit = own.limit ?? DEFAULT_LIMIT;
  const { count, timerS, sequenceCount, sequenceDelayS } = told;
  return {
    firstDelayMs: timerS === undefined ? own.firstDelayMs : Math.max(1, timerS) * 1_000,
    longestDelayMs: timerS === undefined ? own.longestDelayMs : LONGEST_DELAY_MS,
    limit: {
      tries: Math.max(1, count ?? limit.tries),
      sequences: Math.max(1, sequenceCount ?? limit.sequences),
      restMs: sequenceDelayS === undefined ? limit.restMs : sequenceDelayS * 1_000,
    },
  };
}

function credentialsOf(security: AccountSecurity, sni: string | undefined): ServerCredentials | undefined {
  switch (security.mode) {
    case "none":
      return undefined;
    case "psk":
      return { psk: { identity: security.identity, key: security.key } };
    case "rawPublicKey":
      return {
        rpk: { keyPem: pem("PRIVATE KEY", security.privateKey) },
        trust: { rpkPem: pem("PUBLIC KEY", security.server) },
      };
    case "certificate":
      return {
        certificate: { chainPem: pem("CERTIFICATE", security.own), keyPem: pem("PRIVATE KEY", security.privateKey) },
        trust: { certificatesPem: pem("CERTIFICATE", security.server), host: sni },
      };
  }
}

function pem(label: string, der: Uint8Array): string {
  return `-----BEGIN ${label}-----\n${Buffer.from(der).toString("base64")}\n-----END ${label}-----\n`;
}

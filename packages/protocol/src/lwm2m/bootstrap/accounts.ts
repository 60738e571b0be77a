/** Server accounts: what an instance of Security (0) and its instance of Server (1) say together (LwM2M Core 1.2 §6.1.3). */
import { decodeUtf8, EMPTY, encodeUtf8 } from "../../lib/bytes.ts";
import type { Entry } from "../entry.ts";
import { SECURITY_ID, SECURITY_MODE_ON_WIRE, SECURITY_RESOURCES } from "../objects/security.ts";
import { SERVER_ID, SERVER_RESOURCES } from "../objects/server.ts";
import { isValueOf, type ResourceType, type ResourceValue } from "../value.ts";
import { type Configuration, instancesOf, valueAt } from "./configuration.ts";

/** How a server is known, and how the device is known to it. Keys are as in DER, or the octets of a pre-shared key. */
export type AccountSecurity =
  | { readonly mode: "none" }
  | { readonly mode: "psk"; readonly identity: string; readonly key: Uint8Array }
  | {
      readonly mode: "rawPublicKey" | "certificate";
      /** SubjectPublicKeyInfo, or the certificate. */
      readonly own: Uint8Array;
      /** PKCS #8. */
      readonly privateKey: Uint8Array;
      /** SubjectPublicKeyInfo, or a certificate: the server's, or of who vouches for it. */
      readonly server: Uint8Array;
    };

/** When a server cannot be reached: how often it is tried, and what then (resources 16 … 20 of object 1). */
export interface CommunicationRetry {
  readonly count: number | undefined;
  readonly timerS: number | undefined;
  readonly sequenceCount: number | undefined;
  readonly sequenceDelayS: number | undefined;
  /** Whether the device asks to be bootstrapped anew in the end; true unless it was told otherwise. */
  readonly bootstraps: boolean;
}

/** One server that a device registers with. */
export interface ServerAccount {
  readonly uri: string;
  readonly security: AccountSecurity;
  /** 1 … 65534. */
  readonly shortServerId: number;
  readonly lifetimeS: number;
  /** As `U`, `T`, `UQ`. */
  readonly binding: string;
  readonly sni: string | undefined;
  readonly retry: CommunicationRetry;
  /** Of object 1. */
  readonly serverInstance: number;
}

const S = SECURITY_RESOURCES;
const R = SERVER_RESOURCES;

/** The account that the bootstrap server sets up, as values of object 0 and object 1; integers where the objects have them. */
export function entriesOfAccount(
  account: Pick<ServerAccount, "uri" | "security" | "shortServerId" | "lifetimeS" | "binding">,
  at: { readonly securityInstance: number; readonly serverInstance: number },
): { readonly security: Entry[]; readonly server: Entry[] } {
  const { uri, security, shortServerId, lifetimeS, binding } = account;
  const rows = (base: readonly [number, number], values: readonly (readonly [number, ResourceValue])[]): Entry[] =>
    values.map(([id, value]) => ({ path: [...base, id], value }));
  return {
    security: rows(
      [SECURITY_ID, at.securityInstance],
      [
        [S.serverUri, uri],
        [S.bootstrapServer, false],
        [S.securityMode, SECURITY_MODE_ON_WIRE[security.mode]],
        ...keysOf(security),
        [S.shortServerId, shortServerId],
      ],
    ),
    server: rows(
      [SERVER_ID, at.serverInstance],
      [
        [R.shortServerId, shortServerId],
        [R.lifetime, lifetimeS],
        [R.notificationStoring, true],
        [R.binding, binding],
      ],
    ),
  };
}

/** All three are mandatory in every mode; one that means nothing there is empty. @see LwM2M Core 1.2 §E.1 */
function keysOf(security: AccountSecurity): [number, Uint8Array][] {
  const [own, server, secret] = octetsOf(security);
  return [
    [S.publicKeyOrIdentity, own],
    [S.serverPublicKey, server],
    [S.secretKey, secret],
  ];
}

function octetsOf(security: AccountSecurity): readonly [own: Uint8Array, server: Uint8Array, secret: Uint8Array] {
  if (security.mode === "none") return [EMPTY, EMPTY, EMPTY];
  if (security.mode === "psk") return [encodeUtf8(security.identity), EMPTY, security.key];
  return [security.own, security.server, security.privateKey];
}

/** What a configuration says, or a sentence for each thing that does not fit together. Never throws. */
export function readAccounts(configuration: Configuration): {
  readonly accounts: readonly ServerAccount[];
  readonly mistakes: readonly string[];
} {
  const mistakes: string[] = [];
  const accounts: ServerAccount[] = [];
  for (const instance of instancesOf(configuration, SECURITY_ID)) {
    if (valueAt(configuration, [SECURITY_ID, instance, S.bootstrapServer]) === true) continue;
    const reader = new AccountReader(configuration, instance);
    const account = reader.read();
    mistakes.push(...reader.mistakes);
    if (account && reader.mistakes.length === 0) accounts.push(account);
  }
  const known = new Set(accounts.map(({ serverInstance }) => serverInstance));
  for (const instance of instancesOf(configuration, SERVER_ID)) {
    if (mistakes.length === 0 && !known.has(instance))
      mistakes.push(`/1/${instance}: no security account belongs to it`);
  }
  if (mistakes.length === 0 && accounts.length === 0) mistakes.push("there is no server account");
  return { accounts, mistakes };
}

const MAX_IDENTITY_BYTES = 128;
const MAX_KEY_BYTES = 64;

class AccountReader {
  readonly mistakes: string[] = [];
  readonly #configuration: Configuration;
  readonly #security: number;

  constructor(configuration: Configuration, securityInstance: number) {
    this.#configuration = configuration;
    this.#security = securityInstance;
  }

  read(): ServerAccount | undefined {
    const uri = this.#value([SECURITY_ID, this.#security, S.serverUri], "string");
    const shortServerId = this.#value([SECURITY_ID, this.#security, S.shortServerId], "integer");
    const security = this.#credentials();
    if (typeof uri !== "string" || typeof shortServerId !== "number" || security === undefined) return undefined;
    if (shortServerId < 1 || shortServerId > 65_534) return this.#mistake("Short Server ID is 1 … 65534");
    const serverInstance = this.#serverInstance(shortServerId);
    if (serverInstance === undefined) return this.#mistake(`no instance of object 1 for server ${shortServerId}`);
    const lifetimeS = this.#value([SERVER_ID, serverInstance, R.lifetime], "unsigned");
    const binding = this.#value([SERVER_ID, serverInstance, R.binding], "string");
    if (typeof lifetimeS !== "number" || typeof binding !== "string") return undefined;
    if (lifetimeS < 1 || lifetimeS > 2 ** 31) return this.#mistake("Lifetime is 1 … 2³¹ s");
    const sni = this.#optional([SECURITY_ID, this.#security, S.sni], "string");
    return {
      uri,
      security,
      shortServerId,
      lifetimeS,
      binding,
      sni: typeof sni === "string" ? sni : undefined,
      retry: this.#retry(serverInstance),
      serverInstance,
    };
  }

  #credentials(): AccountSecurity | undefined {
    const at = (id: number) => [SECURITY_ID, this.#security, id] as const;
    const wire = this.#value(at(S.securityMode), "integer");
    if (wire === undefined) return undefined;
    if (wire === SECURITY_MODE_ON_WIRE.none) return { mode: "none" };
    const own = this.#value(at(S.publicKeyOrIdentity), "opaque");
    const secret = this.#value(at(S.secretKey), "opaque");
    if (!(own instanceof Uint8Array) || !(secret instanceof Uint8Array)) return undefined;
    if (wire === SECURITY_MODE_ON_WIRE.psk) return this.#psk(own, secret);
    const server = this.#value(at(S.serverPublicKey), "opaque");
    if (!(server instanceof Uint8Array)) return undefined;
    if (wire === SECURITY_MODE_ON_WIRE.rawPublicKey) return { mode: "rawPublicKey", own, privateKey: secret, server };
    if (wire === SECURITY_MODE_ON_WIRE.certificate) return { mode: "certificate", own, privateKey: secret, server };
    return this.#mistake(`Security Mode ${wire} is none of ours`);
  }

  #psk(own: Uint8Array, key: Uint8Array): AccountSecurity | undefined {
    const identity = decodeUtf8(own);
    if (identity === undefined || own.length < 1 || own.length > MAX_IDENTITY_BYTES)
      return this.#mistake("a PSK identity is 1 … 128 octets of UTF-8");
    if (key.length < 1 || key.length > MAX_KEY_BYTES) return this.#mistake("a pre-shared key has 1 … 64 octets");
    return { mode: "psk", identity, key };
  }

  #retry(instance: number): CommunicationRetry {
    const number = (id: number): number | undefined => {
      const value = this.#optional([SERVER_ID, instance, id], "unsigned");
      return typeof value === "number" ? value : undefined;
    };
    return {
      count: number(R.retryCount),
      timerS: number(R.retryTimer),
      sequenceCount: number(R.sequenceRetryCount),
      sequenceDelayS: number(R.sequenceDelayTimer),
      bootstraps: this.#optional([SERVER_ID, instance, R.bootstrapOnFailure], "boolean") !== false,
    };
  }

  #serverInstance(shortServerId: number): number | undefined {
    return instancesOf(this.#configuration, SERVER_ID).find(
      (instance) => valueAt(this.#configuration, [SERVER_ID, instance, R.shortServerId]) === shortServerId,
    );
  }

  #value(path: readonly number[], type: ResourceType): ResourceValue | undefined {
    const value = valueAt(this.#configuration, path);
    if (value === undefined) return this.#mistake(`/${path.join("/")} is missing`);
    return isValueOf(type, value) ? value : this.#mistake(`/${path.join("/")} is not of type ${type}`);
  }

  #optional(path: readonly number[], type: ResourceType): ResourceValue | undefined {
    return valueAt(this.#configuration, path) === undefined ? undefined : this.#value(path, type);
  }

  #mistake(sentence: string): undefined {
    this.mistakes.push(`/0/${this.#security}: ${sentence}`);
  }
}

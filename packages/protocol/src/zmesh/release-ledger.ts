/**
 * Which names and which keys have been given away, for good: a second image under a name, or a new key for it, would
 * poison every cache on the way; a key and IV for other bytes would give both away. Source: profile 2, 3.
 */
import { toHex } from "../lib/bytes.ts";
import { EnvironmentError, UsageError } from "../lib/errors.ts";
import type { ZmeshCrypto } from "./crypto-port.ts";
import type { PackedContent } from "./packed-content.ts";

/** Releases that one network ever sees; a bound, not a plan. */
export const DEFAULT_MAX_CLAIMS = 65_536;

/** One name and what it stands for. Plain values, to be stored; no secret in them. */
export interface Claim {
  /** Six octets as hex. */
  readonly name: string;
  readonly uri: string;
  /** Of the plain bytes. */
  readonly digest: string;
  /** Of key and IV. */
  readonly keysDigest: string;
  /** Of how it is cut: MTU, chunk, encryption, and what End says. */
  readonly shape: string;
}

export class ReleaseLedger {
  readonly #claims = new Map<string, Claim>();
  readonly #nameByKeys = new Map<string, string>();
  readonly #crypto: ZmeshCrypto;
  readonly #maxClaims: number;

  /** @param stored What an earlier ledger's `claim` returned, to go on from. */
  constructor(crypto: ZmeshCrypto, stored: Iterable<Claim> = [], maxClaims: number = DEFAULT_MAX_CLAIMS) {
    this.#crypto = crypto;
    this.#maxClaims = maxClaims;
    for (const claim of stored) this.#add(claim);
  }

  /** All claims, in the order in which they were made. */
  get claims(): readonly Claim[] {
    return [...this.#claims.values()];
  }

  /**
   * Gives the content its name, or finds that it has it already.
   *
   * @returns The claim to store before anything is sent; `undefined` when it was made before.
   * @throws {UsageError} `NAME_COLLISION` another URI has these six octets: change the version text · `NAME_PUBLISHED`
   *   other bytes, keys or another cut are published under this name: take a new version · `KEYS_REUSED` the key and IV
   *   belong to another content.
   * @throws {EnvironmentError} `LEDGER_FULL`
   */
  claim(content: PackedContent): Claim | undefined {
    const claim = this.#claimOf(content);
    const { name, uri } = claim;
    const earlier = this.#claims.get(name);
    if (earlier && earlier.uri !== uri)
      throw new UsageError("NAME_COLLISION", "another content has this name on air", { name, uri, other: earlier.uri });
    if (earlier && !isSameClaim(earlier, claim))
      throw new UsageError("NAME_PUBLISHED", "something else is published under this name", { name, uri });
    if (earlier) return undefined;
    const owner = this.#nameByKeys.get(claim.keysDigest);
    if (owner !== undefined)
      throw new UsageError("KEYS_REUSED", "key and IV belong to another content", { name, owner });
    if (this.#claims.size >= this.#maxClaims)
      throw new EnvironmentError("LEDGER_FULL", "no room for another name", { maxClaims: this.#maxClaims });
    this.#add(claim);
    return claim;
  }

  /** Takes a claim back that could not be stored; nothing may have been sent under it. */
  withdraw(claim: Claim): void {
    this.#claims.delete(claim.name);
    this.#nameByKeys.delete(claim.keysDigest);
  }

  #add(claim: Claim): void {
    this.#claims.set(claim.name, claim);
    this.#nameByKeys.set(claim.keysDigest, claim.name);
  }

  #claimOf({ name, uri, digest, keys, ...content }: PackedContent): Claim {
    const { mtuBytes, encType, chunkBytes, end } = content;
    const { repairCount, repairScheme, applyAtMs } = end;
    return {
      name: toHex(name),
      uri,
      digest: toHex(digest),
      keysDigest: toHex(this.#crypto.sha256(keys.key, keys.iv).subarray(0, 16)),
      shape: [mtuBytes, encType, chunkBytes, repairCount, repairScheme, applyAtMs].join(" "),
    };
  }
}

function isSameClaim(a: Claim, b: Claim): boolean {
  return a.digest === b.digest && a.keysDigest === b.keysDigest && a.shape === b.shape;
}

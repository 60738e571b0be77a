/** Who may be bootstrapped under which name, and what is asked of whoever keeps the credentials for it. */
import type { ProvenIdentity } from "./credentials.ts";

/** A key that nobody has used yet, for one device. */
export interface IssuedCredential {
  readonly identity: string;
  readonly key: Uint8Array;
}

/** All promises reject with `EnvironmentError` DATABASE_AWAY while the store cannot answer. */
export interface BootstrapCredentials {
  /**
   * What a factory credential is for: the name of one endpoint, or the beginning of several with a star behind it
   * ("batch-7-*"); `undefined` when it is no factory credential, or is withdrawn.
   */
  scopeOf(identity: ProvenIdentity): Promise<string | undefined>;
  /** Whether a device has ever registered under this name with a credential of its own that is still good. */
  isInUse(endpoint: string): Promise<boolean>;
  /** A fresh pre-shared key that speaks for this endpoint; those before it end when it is first used. */
  issueDeviceCredential(endpoint: string): Promise<IssuedCredential>;
}

/** Octets that a shared factory credential has to fix of the names it is for. */
export const LEAST_SHARED_PREFIX = 3;

/** The name that a device may be bootstrapped under, or why it may not. */
export type BootstrapClaim = { readonly endpoint: string } | { readonly why: string };

/**
 * A factory credential of one device is good again and again. One that a batch shares is good for names that nobody uses
 * yet: whoever took it out of one device cannot take over another.
 *
 * @param claimed The name that the device gave; it may leave it out when the credential says it.
 */
export function claimOf(
  scope: string | undefined,
  claimed: string | undefined,
  { isInUse }: { readonly isInUse: boolean },
): BootstrapClaim {
  if (scope === undefined) return { why: "its credential is not one for bootstrapping" };
  if (!isShared(scope)) {
    if (claimed === undefined || claimed === scope) return { endpoint: scope };
    return { why: `its credential is for ${scope} alone` };
  }
  const prefix = scope.slice(0, -1);
  if (prefix.length < LEAST_SHARED_PREFIX) return { why: `its credential is for too many names: ${scope}` };
  if (claimed === undefined) return { why: "a credential that devices share does not say which of them it is" };
  if (!claimed.startsWith(prefix) || claimed.length === prefix.length) return { why: `its credential is for ${scope}` };
  if (isShared(claimed)) return { why: "a name with a star at its end is none of a device" };
  if (isInUse) return { why: "the name is in use, and its credential is one that devices share" };
  return { endpoint: claimed };
}

/** Whether a factory credential is for several devices. */
export function isShared(scope: string): boolean {
  return scope.endsWith("*");
}

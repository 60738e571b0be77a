/** Signing in with a company's own accounts (OpenID Connect Core 1.0, authorization code with PKCE): who comes back gets the session that a token would have got. */
import { ROLES, type Role } from "@airlift/protocol/api/credentials";
import { EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import * as client from "openid-client";
import type { PersonId } from "../campaign/person.ts";

/** What the operator said of the provider. */
export interface OidcOptions {
  /** Where its discovery document is: "https://login.example". */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Where the claim with the roles is; dots go into objects: "realm_access.roles". */
  readonly roleClaim: string;
  /** Roles by the values of that claim that stand for them, besides "airlift-viewer" … "airlift-admin". */
  readonly roles: ReadonlyMap<string, Role>;
  /** What a person is called by; `sub` when it is not there. */
  readonly nameClaim: string;
}

/** What one attempt to sign in has to bring back. Kept by the browser until then. */
export interface OidcAttempt {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
}

export interface SignedIn {
  readonly name: string;
  /** The issuer and the subject: nobody else ever has both. */
  readonly account: PersonId;
  readonly role: Role;
}

/** How long the provider may take to answer. */
const PATIENCE_S = 10;
const LONGEST_NAME = 64;
/** Nobody signs in as a gateway. */
const OWN_ROLES: ReadonlyMap<string, Role> = new Map(
  ROLES.filter((role) => role !== "gateway").map((role) => [`airlift-${role}`, role]),
);

export class OidcProvider {
  readonly #options: OidcOptions;
  #configuration: Promise<client.Configuration> | undefined;

  constructor(options: OidcOptions) {
    this.#options = options;
  }

  /**
   * Where the browser is to go, and what it has to keep.
   *
   * @param redirectUri Our own address that the provider sends it back to.
   * @throws {EnvironmentError} OIDC_AWAY
   */
  async begin(redirectUri: string): Promise<{ url: string; attempt: OidcAttempt }> {
    const configuration = await this.#discover();
    const attempt = {
      state: client.randomState(),
      nonce: client.randomNonce(),
      verifier: client.randomPKCECodeVerifier(),
    };
    const url = client.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUri,
      scope: "openid profile email",
      state: attempt.state,
      nonce: attempt.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(attempt.verifier),
      code_challenge_method: "S256",
    });
    return { url: url.href, attempt };
  }

  /**
   * Who has come back.
   *
   * @param url Our own address with what the provider added to it.
   * @throws {UsageError} OIDC_REFUSED (403) when it is not what this attempt asked for, OIDC_NO_ROLE (403)
   * @throws {EnvironmentError} OIDC_AWAY
   */
  async finish(url: URL, { state, nonce, verifier }: OidcAttempt): Promise<SignedIn> {
    const configuration = await this.#discover();
    const tokens = await client
      .authorizationCodeGrant(configuration, url, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      })
      .catch((error: unknown) => {
        if (isNetworkTrouble(error)) throw away(error);
        throw new UsageError("OIDC_REFUSED", "the provider did not sign this browser in", {}, { cause: error });
      });
    const claims = tokens.claims() as Readonly<Record<string, unknown>>;
    const { roleClaim, nameClaim, roles } = this.#options;
    const role = roleOf(claimAt(claims, roleClaim), roles);
    const name = nameOf(claims, nameClaim);
    if (role !== undefined) return { name, role, account: `account ${claims["iss"]} ${claims["sub"]}` };
    const hint = `the provider's claim ${roleClaim} has to say airlift-viewer, airlift-operator, airlift-approver or airlift-admin`;
    throw new UsageError("OIDC_NO_ROLE", `${name} has no role here: ${hint}, or what --oidc-role names`, { name });
  }

  /** Asked for once; a provider that was away is asked again. */
  #discover(): Promise<client.Configuration> {
    const { issuer, clientId, clientSecret } = this.#options;
    // Without TLS only on this machine: the settings see to that.
    const execute = issuer.startsWith("http:") ? [client.allowInsecureRequests] : [];
    this.#configuration ??= client
      .discovery(new URL(issuer), clientId, clientSecret, undefined, { execute, timeout: PATIENCE_S })
      .catch((error: unknown) => {
        this.#configuration = undefined;
        throw away(error);
      });
    return this.#configuration;
  }
}

/**
 * The highest of a person's roles that a claim names: "airlift-operator", or a value that the operator of this server has
 * given a meaning. A bare "admin" is that of some other program.
 */
export function roleOf(claim: unknown, roles: ReadonlyMap<string, Role> = new Map()): Role | undefined {
  const values = [claim].flat().filter((one) => typeof one === "string");
  const named = [...values, ...values.flatMap((one) => one.split(" "))];
  const given = new Set(named.map((one) => roles.get(one) ?? OWN_ROLES.get(one)));
  return ROLES.toReversed().find((role) => given.has(role));
}

/** What is at a claim's place; a claim whose own name has dots goes before objects in objects. */
function claimAt(claims: Readonly<Record<string, unknown>>, place: string): unknown {
  if (Object.hasOwn(claims, place)) return claims[place];
  let found: unknown = claims;
  for (const name of place.split("."))
    found = typeof found === "object" && found !== null && Object.hasOwn(found, name) ? Reflect.get(found, name) : null;
  return found;
}

function nameOf(claims: Readonly<Record<string, unknown>>, place: string): string {
  const named = claimAt(claims, place);
  const name = typeof named === "string" && named !== "" ? named : `${claims["sub"]}`;
  return name.replaceAll(/\p{Cc}/gu, "").slice(0, LONGEST_NAME);
}

const isNetworkTrouble = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof Error && ["TimeoutError", "AbortError"].includes(error.name));

const away = (error: unknown): EnvironmentError =>
  new EnvironmentError("OIDC_AWAY", "the sign-in provider does not answer as one", {}, { cause: error });

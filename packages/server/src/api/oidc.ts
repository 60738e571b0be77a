/** Signing in with a company's own accounts (OpenID Connect Core 1.0, authorization code with PKCE): who comes back gets the session that a token would have got. */
import { ROLES, type Role } from "@airlift/protocol/api/credentials";
import { UsageError } from "@airlift/protocol/lib/errors";
import * as client from "openid-client";
import type { PersonId } from "../campaign/person.ts";
import { discoveryFailure, signInFailure } from "./oidc-failure.ts";

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
  /** The highest that the provider names; undefined = none that means anything here. */
  readonly role: Role | undefined;
}

type Claims = Readonly<Record<string, unknown>>;

/** How long the provider may take to answer. */
const PATIENCE_S = 10;
/** For so long its description is taken to be as it was: addresses in it move once in years. */
const DESCRIPTION_MS = 3_600_000;
const LONGEST_NAME = 64;
/** Nobody signs in as a gateway. */
const OWN_ROLES: ReadonlyMap<string, Role> = new Map(
  ROLES.filter((role) => role !== "gateway").map((role) => [`airlift-${role}`, role]),
);

export class OidcProvider {
  readonly #options: OidcOptions;
  #configuration: Promise<client.Configuration> | undefined;
  /** Monotonic. */
  #askedAtMs = 0;

  constructor(options: OidcOptions) {
    this.#options = options;
  }

  /** Whether it answers, and is the one that the settings name. @throws {EnvironmentError} OIDC_AWAY, OIDC_SETUP */
  async check(): Promise<void> {
    await this.#discover();
  }

  /**
   * Where the browser is to go, and what it has to keep.
   *
   * @param redirectUri Our own address that the provider sends it back to.
   * @throws {EnvironmentError} OIDC_AWAY, OIDC_SETUP
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
   * @throws {UsageError} OIDC_REFUSED (403) when it is not what this attempt asked for
   * @throws {EnvironmentError} OIDC_AWAY, OIDC_SETUP
   */
  async finish(url: URL, { state, nonce, verifier }: OidcAttempt): Promise<SignedIn> {
    const configuration = await this.#discover();
    try {
      const tokens = await client.authorizationCodeGrant(configuration, url, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: verifier,
        idTokenExpected: true,
      });
      return this.#signedIn(await this.#claimsOf(configuration, tokens));
    } catch (error) {
      const failure = signInFailure(error);
      // It may have moved: the next browser begins with what it says of itself then.
      if (failure.code !== "OIDC_REFUSED") this.#configuration = undefined;
      throw failure;
    }
  }

  /** {UsageError} OIDC_NO_ROLE (403) */
  roleMissing(name: string): UsageError {
    const hint = `the provider's claim ${this.#options.roleClaim} has to say airlift-viewer, airlift-operator, airlift-approver or airlift-admin`;
    return new UsageError("OIDC_NO_ROLE", `${name} has no role here: ${hint}, or what --oidc-role names`, { name });
  }

  /** Of the ID token; what is not in it a provider may tell at its UserInfo endpoint alone (OpenID Connect Core 1.0 §5.4). */
  async #claimsOf(
    configuration: client.Configuration,
    tokens: Awaited<ReturnType<typeof client.authorizationCodeGrant>>,
  ): Promise<Claims> {
    const claims = tokens.claims() as Claims;
    const { roleClaim, nameClaim } = this.#options;
    const isWhole = [roleClaim, nameClaim].every((place) => claimAt(claims, place) != null);
    if (isWhole || configuration.serverMetadata().userinfo_endpoint === undefined) return claims;
    const more = await client.fetchUserInfo(configuration, tokens.access_token, `${claims["sub"]}`);
    return { ...more, ...claims };
  }

  #signedIn(claims: Claims): SignedIn {
    const { roleClaim, nameClaim, roles } = this.#options;
    const role = roleOf(claimAt(claims, roleClaim), roles);
    return { name: nameOf(claims, nameClaim), role, account: `account ${claims["iss"]} ${claims["sub"]}` };
  }

  /** A provider that was away is asked again. */
  #discover(): Promise<client.Configuration> {
    const { issuer, clientId, clientSecret } = this.#options;
    const nowMs = performance.now();
    if (this.#configuration !== undefined && nowMs - this.#askedAtMs < DESCRIPTION_MS) return this.#configuration;
    this.#askedAtMs = nowMs;
    // Without TLS only on this machine: the settings see to that.
    const execute = issuer.startsWith("http:") ? [client.allowInsecureRequests] : [];
    const asked = client
      .discovery(new URL(issuer), clientId, clientSecret, undefined, { execute, timeout: PATIENCE_S })
      .catch((error: unknown) => {
        if (this.#configuration === asked) this.#configuration = undefined;
        throw discoveryFailure(error);
      });
    this.#configuration = asked;
    return asked;
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
function claimAt(claims: Claims, place: string): unknown {
  if (Object.hasOwn(claims, place)) return claims[place];
  let found: unknown = claims;
  for (const name of place.split("."))
    found = typeof found === "object" && found !== null && Object.hasOwn(found, name) ? Reflect.get(found, name) : null;
  return found;
}

function nameOf(claims: Claims, place: string): string {
  const named = claimAt(claims, place);
  const name = typeof named === "string" && named !== "" ? named : `${claims["sub"]}`;
  return name.replaceAll(/\p{Cc}/gu, "").slice(0, LONGEST_NAME);
}

/** Who may come in. */
import { ROLES, type Role } from "@airlift/protocol/api/credentials";
import { isLoopbackHost } from "./loopback.ts";
import { list, type Parsed, type Settings, shown, text, yesOrNo } from "./setting.ts";

/** Nobody signs in as a gateway. */
const PEOPLES_ROLES = ROLES.filter((role) => role !== "gateway");

export interface AccessConfig {
  /** Whether the operator said that requests need no token. */
  readonly noAuth: boolean;
  /** File of the key that device keys are encrypted under; null = `master.key` in `dataDir`. */
  readonly masterKeyFile: string | null;
  /** The key itself, from the environment, in place of a file. */
  readonly masterKey: string | null;
  /** Where people sign in with accounts of their own (OpenID Connect); null = with tokens alone. */
  readonly oidcIssuer: string | null;
  /** What this server is called there, and the file with the secret that proves it. */
  readonly oidcClientId: string | null;
  readonly oidcClientSecretFile: string | null;
  /** The claim with a person's roles, "realm_access.roles", and the one that people are called by. */
  readonly oidcRoleClaim: string;
  readonly oidcNameClaim: string;
  /** Roles by the values of the role claim that stand for them, besides "airlift-viewer" … "airlift-admin". */
  readonly oidcRoles: ReadonlyMap<string, Role>;
}

export const ACCESS_SETTINGS: Settings<AccessConfig> = {
  noAuth: { flag: "--no-auth", environment: ["AIRLIFT_NO_AUTH"], fallback: false, parse: yesOrNo },
  masterKeyFile: { flag: "--master-key-file", environment: ["AIRLIFT_MASTER_KEY_FILE"], fallback: null, parse: text },
  masterKey: { flag: "the master key", environment: ["AIRLIFT_MASTER_KEY"], fallback: null, parse: secret },
  oidcIssuer: { flag: "--oidc-issuer", environment: ["AIRLIFT_OIDC_ISSUER"], fallback: null, parse: issuerUrl },
  oidcClientId: { flag: "--oidc-client-id", environment: ["AIRLIFT_OIDC_CLIENT_ID"], fallback: null, parse: text },
  oidcClientSecretFile: {
    flag: "--oidc-client-secret-file",
    environment: ["AIRLIFT_OIDC_CLIENT_SECRET_FILE"],
    fallback: null,
    parse: text,
  },
  oidcRoleClaim: {
    flag: "--oidc-role-claim",
    environment: ["AIRLIFT_OIDC_ROLE_CLAIM"],
    fallback: "roles",
    parse: text,
  },
  oidcNameClaim: {
    flag: "--oidc-name-claim",
    environment: ["AIRLIFT_OIDC_NAME_CLAIM"],
    fallback: "preferred_username",
    parse: text,
  },
  oidcRoles: { flag: "--oidc-role", environment: ["AIRLIFT_OIDC_ROLE"], fallback: new Map(), parse: roleMap },
};

/** A setting that is wrong by itself is missing here. */
export function oidcProblems({
  oidcIssuer,
  oidcClientId,
  oidcClientSecretFile,
  noAuth,
}: Partial<AccessConfig>): string[] {
  const given = [oidcIssuer, oidcClientId, oidcClientSecretFile].filter((one) => one != null).length;
  const problems: string[] = [];
  if (given > 0 && given < 3)
    problems.push("--oidc-issuer, --oidc-client-id and --oidc-client-secret-file belong together");
  if (given > 0 && noAuth === true)
    problems.push("--no-auth: nobody is asked to sign in, so --oidc-issuer is of no use");
  return problems;
}

/** Tokens of the provider never travel in the clear. */
function issuerUrl(value: unknown): Parsed {
  const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : undefined;
  const isOurs = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
  return isOurs ? { value } : { problem: `${shown(value)} is not a URL that begins with https://` };
}

/** "fleet-team=operator", one or several. What comes before the last "=" is the provider's own. */
function roleMap(given: unknown): Parsed {
  const parsed = list("the form CLAIMVALUE=ROLE")(given);
  if ("problem" in parsed) return parsed;
  const roles = new Map<string, Role>();
  for (const pair of parsed.value as readonly string[]) {
    const [, value, role] = /^(.+)=([^=]*)$/.exec(pair) ?? [];
    const known = PEOPLES_ROLES.find((one) => one === role);
    if (value === undefined || known === undefined)
      return {
        problem: `${shown(pair)} is not of the form CLAIMVALUE=ROLE with a role of ${PEOPLES_ROLES.join(", ")}`,
      };
    roles.set(value, known);
  }
  return { value: roles };
}

/** The value stays out of every message. */
function secret(value: unknown): Parsed {
  return typeof value === "string" && value !== "" ? { value } : { problem: "not a text" };
}

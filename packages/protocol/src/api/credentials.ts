/** The REST API's nouns of who may come in: device credentials and their authorities, tokens of people and programs. */
import { z } from "zod";

const instant = z.iso.datetime({ precision: 3 });

/** What a token may do; each role may do what those before it may, but `gateway` is for its own gateway's routes alone. */
export const ROLES = ["gateway", "viewer", "operator", "approver", "admin"] as const;
export type Role = (typeof ROLES)[number];

export const CREDENTIAL_KINDS = ["psk", "rpk", "x509"] as const;
export type CredentialKind = (typeof CREDENTIAL_KINDS)[number];

/** Where a credential may speak: as a device at `/rd`, or at the Bootstrap interface alone. */
export const CREDENTIAL_PURPOSES = ["device", "bootstrap"] as const;
export type CredentialPurpose = (typeof CREDENTIAL_PURPOSES)[number];

/** `ending`: a newer one was made, this one is valid until that is used. `withdrawn`: a certificate that is refused for good. */
export const CREDENTIAL_STATES = ["active", "ending", "withdrawn"] as const;
export type CredentialState = (typeof CREDENTIAL_STATES)[number];

/** A credential as everybody may see it: without the key. */
export const Credential = z.object({
  id: z.string(),
  endpoint: z.string(),
  kind: z.enum(CREDENTIAL_KINDS),
  purpose: z.enum(CREDENTIAL_PURPOSES),
  /** The PSK identity; the fingerprint of a public key or certificate. */
  identity: z.string(),
  /** SHA-256 of the SubjectPublicKeyInfo or of the certificate, hex; null for a PSK. */
  fingerprint: z.string().nullable(),
  state: z.enum(CREDENTIAL_STATES),
  createdAt: instant,
  lastUsedAt: instant.nullable(),
  /** When it ends at the latest; null = no time was set. */
  endsAt: instant.nullable(),
});
export type Credential = z.infer<typeof Credential>;

/** The answer to its creation, the only one that ever holds a key: hex when the server made it, null when it was given. */
export const CreatedCredential = Credential.extend({ key: z.string().nullable() });
export type CreatedCredential = z.infer<typeof CreatedCredential>;

/** A PSK identity: 1 … 128 octets of UTF-8 (RFC 7925 §4.2) that can be printed. */
const identity = z
  .string()
  .regex(/^[^\p{Cc}]{1,128}$/u, "an identity has 1 … 128 characters without control characters")
  .refine((text) => octetsOf(text) <= 128, "an identity has at most 128 octets");

/** A pre-shared key: 8 … 64 octets in hex. */
const pskKey = z.string().regex(/^([0-9A-Fa-f]{2}){8,64}$/, "a key has 8 … 64 octets, written in hex");
const pem = z.string().max(16_384);
const purpose = z.enum(CREDENTIAL_PURPOSES).default("device");

/** The body of `POST /api/v1/devices/{endpoint}/credentials`. */
export const NewCredential = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("psk"), identity: identity.optional(), key: pskKey.optional(), purpose }),
  /** PEM, `PUBLIC KEY`. */
  z.strictObject({ kind: z.literal("rpk"), publicKeyPem: pem, purpose }),
  /** PEM, one `CERTIFICATE` whose common name is the endpoint's name. */
  z.strictObject({ kind: z.literal("x509"), certificatePem: pem, purpose }),
]);
export type NewCredential = z.input<typeof NewCredential>;

/** The body of `POST /api/v1/devices/{endpoint}/credentials/rotate`. */
export const CredentialRotation = z.object({
  credential: NewCredential,
  /** The old ones end after this at the latest, in seconds; absent = only when the new one is first used. */
  overlapS: z.int().min(0).max(31_536_000).optional(),
});
export type CredentialRotation = z.input<typeof CredentialRotation>;

/** Most credentials of one `POST /api/v1/credentials`. */
export const LARGEST_IMPORT = 500;

/** One line of a bulk import: as `NewCredential` with its endpoint; keys are always given. */
export const ImportedCredential = z.object({ endpoint: z.string().min(1).max(255), credential: NewCredential });
export type ImportedCredential = z.input<typeof ImportedCredential>;

/** The body of `POST /api/v1/credentials`; what of it is wrong is told for each line. */
export const CredentialImport = z.object({ items: z.array(z.unknown()).min(1).max(LARGEST_IMPORT) });

export const ImportOutcome = z.object({
  /** In the order of the items; `unchanged` = the same credential was there. */
  items: z.array(
    z.object({
      outcome: z.enum(["added", "unchanged", "refused"]),
      code: z.string().nullable(),
      detail: z.string().nullable(),
    }),
  ),
});
export type ImportOutcome = z.infer<typeof ImportOutcome>;

/** Who vouches for device certificates. */
export const CertificateAuthority = z.object({
  /** SHA-256 of the certificate, hex. */
  fingerprint: z.string(),
  subject: z.string(),
  validUntil: instant,
  createdAt: instant,
});
export type CertificateAuthority = z.infer<typeof CertificateAuthority>;

export const NewAuthority = z.object({ certificatePem: pem });

const tokenName = z.string().regex(/^[^\p{Cc}]{1,64}$/u, "a name has 1 … 64 characters without control characters");

export const Token = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  createdAt: instant,
  expiresAt: instant.nullable(),
  lastUsedAt: instant.nullable(),
  revokedAt: instant.nullable(),
});
export type Token = z.infer<typeof Token>;

/** The answer to its creation, the only one that holds the token's text. */
export const CreatedToken = Token.extend({ token: z.string() });
export type CreatedToken = z.infer<typeof CreatedToken>;

export const NewToken = z.object({
  role: z.enum(ROLES),
  name: tokenName.default("unnamed"),
  /** Seconds until it expires; absent = never. */
  expiresInS: z.int().min(1).max(315_360_000).optional(),
});
export type NewToken = z.input<typeof NewToken>;

/** The body of `POST /api/v1/session`. */
export const NewSession = z.object({ token: z.string().max(256) });

/** How a browser can sign in: with a token always, with the provider at `/api/v1/session/oidc` when `oidc` is true. */
export const SignInMethods = z.object({ token: z.literal(true), oidc: z.boolean() });

/** Who asks, as the server sees it. */
export const Session = z.object({
  name: z.string(),
  role: z.enum(ROLES),
  /** Tells a person from another of the same name: issuer and subject of who came by a sign-in provider; null = the name does. */
  account: z.string().nullable(),
  expiresAt: instant.nullable(),
});
export type Session = z.infer<typeof Session>;

/** What a change of the master key did. */
export const MasterKeyRotation = z.object({ keyVersion: z.string(), reencryptedCount: z.int().nonnegative() });
export type MasterKeyRotation = z.infer<typeof MasterKeyRotation>;

/** Octets of a text in UTF-8. */
function octetsOf(text: string): number {
  let octets = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    octets += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return octets;
}

/** The tables of keys, tokens and sessions as kysely sees them. */
import type { CredentialKind, CredentialPurpose, Role } from "@airlift/protocol/api/credentials";
import type { Generated } from "kysely";
import type { PersonId } from "../campaign/person.ts";
import type { Instant, MaybeInstant } from "./columns.ts";

export interface DeviceCredentialTable {
  id: string;
  endpoint: string;
  kind: CredentialKind;
  purpose: CredentialPurpose;
  identity: string;
  /** A sealed pre-shared key. */
  secret: Buffer | null;
  /** The master key that it is sealed under. */
  key_version: string | null;
  public_pem: string | null;
  /** The credential that takes its place. */
  successor: string | null;
  created_at: Instant;
  last_used_at: MaybeInstant;
  ends_at: MaybeInstant;
  withdrawn_at: MaybeInstant;
}

export interface CertificateAuthorityTable {
  fingerprint: string;
  subject: string;
  pem: string;
  valid_until: Instant;
  created_at: Instant;
}

export interface ApiTokenTable {
  id: string;
  seq: Generated<number>;
  /** SHA-256 of the token's text, hex. */
  hash: string;
  name: string;
  role: Role;
  /** Who signed in with an account at a provider; null = the token speaks for itself. */
  account: PersonId | null;
  created_at: Instant;
  expires_at: MaybeInstant;
  last_used_at: MaybeInstant;
  revoked_at: MaybeInstant;
}

export interface ApiSessionTable {
  /** SHA-256 of the cookie, hex. */
  hash: string;
  token_id: string;
  created_at: Instant;
  expires_at: Instant;
}

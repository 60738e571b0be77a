/** What the rest of the server may ask of the kept credentials and tokens. */
import type {
  CertificateAuthority,
  CreatedCredential,
  CreatedToken,
  Credential,
  ImportOutcome,
  MasterKeyRotation,
  NewCredential,
  NewToken,
  Role,
  Token,
} from "@airlift/protocol/api/credentials";
import type { PersonId } from "../campaign/person.ts";
import type { DeviceCredentials } from "../fleet/credentials.ts";
import type { Sealed } from "./master-keys.ts";
import type { Page, PageRequest } from "./ports.ts";

/** Everything rejects with {EnvironmentError} DATABASE_AWAY while the database does not answer. */
export interface CredentialStore extends DeviceCredentials {
  /** Oldest first. */
  list(endpoint: string): Promise<Credential[]>;
  /**
   * @throws {UsageError} CREDENTIAL_EXISTS (409: the identity belongs to a credential), CREDENTIALS_FULL (409),
   *   PUBLIC_KEY, CERTIFICATE, CERTIFICATE_NAME
   */
  add(endpoint: string, asked: NewCredential): Promise<CreatedCredential>;
  /**
   * As `add`; the endpoint's other credentials for the same place end when the new one is first used, and at the latest
   * after `overlapMs` when that is given.
   */
  rotate(endpoint: string, asked: NewCredential, overlapMs?: number): Promise<CreatedCredential>;
  /**
   * Ends a credential at once. A certificate is kept as withdrawn, so that no authority's word lets it in again.
   *
   * @throws {UsageError} UNKNOWN_CREDENTIAL (404)
   */
  remove(endpoint: string, id: string): Promise<void>;
  /** Adds many; what is there already stays as it is. One that is wrong does not keep the others out. */
  addAll(items: readonly unknown[]): Promise<ImportOutcome>;
  authorities(): Promise<CertificateAuthority[]>;
  /** The same certificate again is the one that is there. @throws {UsageError} AUTHORITY */
  addAuthority(certificatePem: string): Promise<CertificateAuthority>;
  /** @throws {UsageError} UNKNOWN_AUTHORITY (404) */
  removeAuthority(fingerprint: string): Promise<void>;
  /** Seals every key under a fresh master key; goes on where an earlier change stopped. @throws {UsageError} MASTER_KEY_FIXED (409) */
  rotateMasterKey(): Promise<MasterKeyRotation>;
  /** For a secret that is kept elsewhere, `place` says where. */
  seal(secret: Uint8Array, place: string): Sealed;
  /** @throws {EnvironmentError} SEALED */
  unseal(sealed: Sealed, place: string): Buffer;
  /** Ends what is due and writes what is queued; also done every few seconds. */
  tidy(): Promise<void>;
}

/** Whom a token or session speaks for. */
export interface TokenHolder {
  readonly tokenId: string;
  readonly name: string;
  /** Whose token it is: its own, unless somebody with an account signed in. */
  readonly personId: PersonId;
  readonly role: Role;
  /** UTC milliseconds; null = never. */
  readonly expiresAtMs: number | null;
}

/** A browser that signed in. */
export interface OpenedSession extends TokenHolder {
  /** The cookie's value. */
  readonly secret: string;
  readonly expiresAtMs: number;
}

export interface TokenStore {
  /** @param account Whoever has signed in with an account; absent = the token speaks for itself. */
  create(token: NewToken, account?: PersonId): Promise<CreatedToken>;
  /**
   * Makes an administrator's token when there is no token at all; `undefined` when there is one.
   *
   * @param keep Puts the text where its owner finds it; when it rejects there is no token.
   */
  createFirst(keep: (text: string) => Promise<void>): Promise<Token | undefined>;
  /** Newest first. */
  list(page: PageRequest): Promise<Page<Token>>;
  /** Also ends its sessions. @throws {UsageError} UNKNOWN_TOKEN (404) */
  revoke(id: string): Promise<Token>;
  /** Ends all that an account has with another role than `role`; undefined = all that it has. */
  revokeOtherRoles(account: PersonId, role: Role | undefined): Promise<void>;
  /** Who shows this token; `undefined` when it never was one, was revoked or has expired. */
  holderOf(text: string): Promise<TokenHolder | undefined>;
  /** Whether this token or cookie was good a while ago, without asking the database. */
  wasGood(text: string): boolean;
  /** @throws {UsageError} TOKEN_REFUSED when the token is not good. */
  openSession(text: string): Promise<OpenedSession>;
  sessionHolder(secret: string): Promise<TokenHolder | undefined>;
  /** With the token of whoever signed in with an account: nobody has its text. */
  closeSession(secret: string): Promise<void>;
}

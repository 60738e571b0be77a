/** Many credentials at once: each line stands for itself, and the same lines again change nothing. */
import {
  type CredentialKind,
  ImportedCredential,
  type ImportOutcome,
  type NewCredential,
} from "@airlift/protocol/api/credentials";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { CredentialRow } from "./credential-changes.ts";
import { type CredentialMaterial, isSameKey, materialOf } from "./credential-material.ts";

type Outcome = ImportOutcome["items"][number];

/** What the store does for an import. */
export interface ImportTarget {
  add(endpoint: string, asked: NewCredential): Promise<unknown>;
  find(kind: CredentialKind, identity: string): Promise<CredentialRow | undefined>;
  keyOf(row: CredentialRow): Buffer | null;
}

/** Rejects only for what concerns all of them, such as a database that is away. */
export async function importCredentials(items: readonly unknown[], target: ImportTarget): Promise<ImportOutcome> {
  // All at once: they share transactions.
  return { items: await Promise.all(items.map((item) => importOne(item, target))) };
}

async function importOne(item: unknown, target: ImportTarget): Promise<Outcome> {
  try {
    const { endpoint, credential } = parse(item);
    const material = materialOf(endpoint, credential);
    const found = await target.find(material.kind, material.identity);
    if (found === undefined) {
      await target.add(endpoint, credential);
      return { outcome: "added", code: null, detail: null };
    }
    if (isSame(found, endpoint, material, target.keyOf(found)))
      return { outcome: "unchanged", code: null, detail: null };
    throw new UsageError("CREDENTIAL_EXISTS", `${material.identity} belongs to another credential`);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { outcome: "refused", code: error.code, detail: error.message };
  }
}

function parse(item: unknown): { endpoint: string; credential: NewCredential } {
  const parsed = ImportedCredential.safeParse(item);
  if (!parsed.success) {
    // The messages name places and rules; what stood there may be a key and stays out.
    const problems = parsed.error.issues.map((issue) => `${issue.path.join(".") || "line"}: ${issue.message}`);
    throw new UsageError("VALIDATION", problems.join("; "));
  }
  const { endpoint, credential } = parsed.data;
  if (credential.kind === "psk" && (credential.key === undefined || credential.identity === undefined))
    throw new UsageError("VALIDATION", "an imported PSK has identity and key");
  return { endpoint, credential };
}

const isSame = (found: CredentialRow, endpoint: string, asked: CredentialMaterial, key: Buffer | null): boolean =>
  found.withdrawn_at === null &&
  found.endpoint === endpoint &&
  found.purpose === asked.purpose &&
  isSameKey(key, asked.key);

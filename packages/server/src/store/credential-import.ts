/** Many credentials at once: each line stands for itself, and the same lines again change nothing. */
import { ImportedCredential, type ImportOutcome, type NewCredential } from "@airlift/protocol/api/credentials";
import { UsageError } from "@airlift/protocol/lib/errors";
import type { CredentialRow } from "./credential-changes.ts";
import { type CredentialMaterial, isSameKey, materialOf } from "./credential-material.ts";

type Outcome = ImportOutcome["items"][number];

/** What the store does for an import. */
export interface ImportTarget {
  add(endpoint: string, asked: NewCredential): Promise<unknown>;
  /** Whatever has one of these identities, of any kind. */
  find(identities: readonly string[]): Promise<readonly CredentialRow[]>;
  keyOf(row: CredentialRow): Buffer | null;
}

/** A line that can be read, or what is wrong with it. */
type Line =
  | { readonly endpoint: string; readonly credential: NewCredential; readonly material: CredentialMaterial }
  | { readonly refusal: Outcome };

/** Rejects only for what concerns all of them, such as a database that is away. */
export async function importCredentials(items: readonly unknown[], target: ImportTarget): Promise<ImportOutcome> {
  const lines = items.map(readLine);
  const rows = await target.find(lines.flatMap((line) => ("material" in line ? [line.material.identity] : [])));
  const found = new Map(rows.map((row) => [`${row.kind} ${row.identity}`, row]));
  // All at once: they share transactions.
  return { items: await Promise.all(lines.map((line) => importLine(line, found, target))) };
}

function readLine(item: unknown): Line {
  try {
    const { endpoint, credential } = parse(item);
    return { endpoint, credential, material: materialOf(endpoint, credential) };
  } catch (error) {
    return { refusal: refusalOf(error) };
  }
}

async function importLine(line: Line, found: ReadonlyMap<string, CredentialRow>, target: ImportTarget) {
  if ("refusal" in line) return line.refusal;
  const { endpoint, credential, material } = line;
  const row = found.get(`${material.kind} ${material.identity}`);
  try {
    if (row === undefined) await target.add(endpoint, credential);
    else if (!isSame(row, endpoint, material, target.keyOf(row)))
      throw new UsageError("CREDENTIAL_EXISTS", `${material.identity} belongs to another credential`);
    return { outcome: row === undefined ? "added" : "unchanged", code: null, detail: null } as const;
  } catch (error) {
    return refusalOf(error);
  }
}

function refusalOf(error: unknown): Outcome {
  if (!(error instanceof UsageError)) throw error;
  return { outcome: "refused", code: error.code, detail: error.message };
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

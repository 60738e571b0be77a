/** The REST API's nouns of who changed what. */
import { z } from "zod";

/** One change that was asked for, or one that was refused; none of its content. */
export const AuditLine = z.object({
  /** From 1 on, without a gap. */
  id: z.int().positive(),
  /** ISO 8601 in UTC. */
  at: z.string(),
  /** The token's name; "-" when nothing good was shown. */
  who: z.string(),
  /** Who that is, whatever they are called: "token ID", or "account ISSUER SUBJECT"; null = nobody was asked. */
  person: z.string().nullable(),
  role: z.string().nullable(),
  /** The address it came from. */
  peer: z.string(),
  /** "POST /api/v1/updates/4f1c/cancel". */
  action: z.string(),
  /** The status it was answered with. */
  outcome: z.int(),
  /** SHA-256 over the line before and this one, hex. */
  hash: z.string(),
});
export type AuditLine = z.infer<typeof AuditLine>;

/** A line's number and hash, "812:9f…": kept elsewhere, it shows later that nothing up to it was changed or cut off. */
export const AuditCheckpoint = z.string().regex(/^\d{1,15}:[0-9a-f]{64}$/, "a checkpoint is NUMBER:HASH");

export const AuditVerification = z.object({
  isWhole: z.boolean(),
  /** The newest line; null when there is none. */
  checkpoint: z.string().nullable(),
  /** The oldest line that is kept; those before it were cut. */
  firstId: z.int().positive().nullable(),
  /** The first line that does not follow from the one before it, or is missing. */
  brokenAtId: z.int().positive().nullable(),
});
export type AuditVerification = z.infer<typeof AuditVerification>;

/** The body of `POST /api/v1/audit/cut`. */
export const AuditCut = z.object({
  before: z.iso.datetime({ error: "has to be a time in UTC, 2026-01-31T00:00:00Z" }),
});

export const AuditCutOutcome = z.object({
  cutCount: z.int().nonnegative(),
  /** The last line that was cut; null when none was. */
  checkpoint: z.string().nullable(),
});
export type AuditCutOutcome = z.infer<typeof AuditCutOutcome>;

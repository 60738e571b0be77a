/** What is wrong with a campaign as it was written, told by the place in the file. */
import type { z } from "zod";
import { UsageError } from "../lib/errors.ts";
import { CampaignSpec } from "./campaign.ts";
import { plainWords } from "./plain-words.ts";

/** One mistake: the member's place, "waves.0.soak" ("" = the whole), and what is wrong with it. */
export interface CampaignProblem {
  readonly path: string;
  readonly message: string;
}

/**
 * Reads what a YAML or JSON parser made of a campaign's file, with its defaults filled in.
 *
 * @throws {UsageError} `CAMPAIGN_SPEC` with every mistake in `facts.problems`.
 */
export function readCampaignSpec(value: unknown): CampaignSpec {
  const parsed = CampaignSpec.safeParse(value, { error: plainWords });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.flatMap((issue) => problemsOf(issue));
  const sentence = problems.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("\n");
  throw new UsageError("CAMPAIGN_SPEC", sentence, { problems });
}

function problemsOf(issue: z.core.$ZodIssue): CampaignProblem[] {
  const path = issue.path.join(".");
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({ path: [...issue.path, key].join("."), message: "there is no such member" }));
  return [{ path, message: issue.message }];
}

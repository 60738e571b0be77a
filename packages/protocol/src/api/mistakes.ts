/** What is wrong with something that somebody wrote: all of it at once, each mistake with its place. In a problem's `facts.problems`. */
import type { z } from "zod";
import type { Facts } from "../lib/errors.ts";

/** One mistake. */
export interface Mistake {
  /** The member's place, "waves.0.soak"; "" = the whole. */
  readonly path: string;
  /** Stable, for programs: `QUERY_FIELD`. */
  readonly code: string;
  /** Plain words, without the place. */
  readonly message: string;
}

/** Of one document; more of them are seldom more than what follows from these. */
export const MOST_MISTAKES = 100;

/** "waves.0.soak: a duration is …". */
export const mistakeText = ({ path, message }: Mistake): string => (path === "" ? message : `${path}: ${message}`);

/** All of them in one sentence. */
export const mistakesText = (mistakes: readonly Mistake[]): string => mistakes.map(mistakeText).join("; ");

/** The mistakes that a problem tells of; empty when it is about something else. */
export function mistakesIn(facts: Facts | undefined): readonly Mistake[] {
  const told = facts?.["problems"];
  return Array.isArray(told) && told.every(isMistake) ? told : [];
}

/** What a schema finds wrong: one for each member, also for each that there is not. */
export function mistakesOf(issue: z.core.$ZodIssue): Mistake[] {
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({
      path: [...issue.path, key].join("."),
      code: "UNKNOWN_MEMBER",
      message: "there is no such member",
    }));
  return [{ path: issue.path.join("."), code: "MEMBER", message: issue.message }];
}

const isMistake = (one: Partial<Record<keyof Mistake, unknown>> | null): one is Mistake =>
  typeof one === "object" && typeof one?.path === "string" && typeof one.message === "string";

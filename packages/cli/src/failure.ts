/** How a command ends: 0 done, 1 failed, 2 wrong usage; a failure is one clear line on stderr. */
import { mistakesIn, mistakeText } from "@airlift/protocol/api/mistakes";
import type { Problem } from "@airlift/protocol/api/schemas";
import { AirliftError, EnvironmentError, UsageError } from "@airlift/protocol/lib/errors";
import { CommanderError } from "commander";
import { printable } from "./text.ts";

/** The server understood and said no. */
export class RefusedError extends AirliftError {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.code, problem.detail, problem.facts ?? {});
    this.problem = problem;
  }
}

/** Whether the same may be asked again soon: the server is not there, or what it needs is not (503, as without its database). */
export const isAway = (error: unknown): boolean =>
  error instanceof RefusedError
    ? error.problem.status === 503
    : error instanceof EnvironmentError && error.code === "UNREACHABLE";

/** What to print and with which code to exit; nothing is printed for what has been said already. */
export interface Ending {
  readonly exitCode: 0 | 1 | 2;
  readonly lines: readonly string[];
}

export function endingOf(error: unknown): Ending {
  // Commander has printed its own line: help, version, or a mistake in the arguments.
  if (error instanceof CommanderError) return { exitCode: error.exitCode === 0 ? 0 : 2, lines: [] };
  if (error instanceof RefusedError && error.code === "TOKEN_MISSING")
    return { exitCode: 1, lines: ["the server wants a token: give --token, or set AIRLIFT_TOKEN (TOKEN_MISSING)"] };
  if (error instanceof RefusedError) return refusal(error);
  if (error instanceof UsageError) return { exitCode: 2, lines: error.message.split("\n") };
  if (error instanceof AirliftError) return { exitCode: 1, lines: [`${error.message} (${error.code})`] };
  return { exitCode: 1, lines: [error instanceof Error ? error.message : String(error)] };
}

/** Several mistakes are a line each. */
function refusal({ code, message, facts }: RefusedError): Ending {
  const exitCode = code === "VALIDATION" || code === "CAMPAIGN_SPEC" ? 2 : 1;
  const mistakes = mistakesIn(facts);
  const told = mistakes.length > 1 ? mistakes.map(mistakeText) : [message];
  return { exitCode, lines: told.map((one) => `${one} (${code})`) };
}

/** Prints a failure's lines and sets the exit code, so that what is still being written gets out. */
export function fail(error: unknown): void {
  const { exitCode, lines } = endingOf(error);
  for (const line of lines) process.stderr.write(`airlift: ${printable(line)}\n`);
  process.exitCode = exitCode;
}

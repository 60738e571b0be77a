/** What follows from the answer to a delivery. */
import { countText } from "@airlift/protocol/lib/count-text";
import { type DeliveryOutcome, GONE } from "../store/webhook-outbox.ts";
import type { Answer } from "./post.ts";

export interface RetryOptions {
  /** The pause after the first failure; it doubles with each. Default 5 s. */
  readonly firstMs?: number;
  /** Default 1 h. */
  readonly longestMs?: number;
  /** A delivery that is older is given up. Default 24 h: a receiver that is away over a night misses nothing. */
  readonly longestAgeMs?: number;
  /** Default 40: more than fit into the longest age. */
  readonly mostAttempts?: number;
}

export interface Attempt {
  readonly kind: string;
  /** With this one. */
  readonly attempts: number;
  readonly ageMs: number;
  /** 0 … 1: spreads those that failed together. */
  readonly chance: number;
}

/** Only 2xx is success; a redirect is followed nowhere. */
export function planNext(answer: Answer, attempt: Attempt, options: RetryOptions = {}): DeliveryOutcome {
  const { firstMs = 5000, longestMs = 3_600_000, longestAgeMs = 86_400_000, mostAttempts = 40 } = options;
  const { status } = answer;
  if (status !== null && status >= 200 && status < 300) return { kind: "delivered", status };
  const problem = status === null ? answer.problem : problemOf(status);
  // Who asks for a test looks at it now.
  if (status === GONE || (status === null && answer.isFinal === true) || attempt.kind === "webhook.test")
    return { kind: "dead", status, problem };
  // From a half of it to one and a half.
  const afterMs = Math.min(longestMs, firstMs * 2 ** Math.min(30, attempt.attempts - 1)) * (0.5 + attempt.chance);
  if (attempt.attempts >= mostAttempts || attempt.ageMs + afterMs > longestAgeMs)
    return { kind: "dead", status, problem: `${problem}; given up after ${countText(attempt.attempts, "attempt")}` };
  return { kind: "again", status, problem, afterMs };
}

function problemOf(status: number): string {
  if (status >= 300 && status < 400) return `answered ${status}: redirects are not followed`;
  return status === GONE ? "answered 410: it is gone for good" : `answered ${status}`;
}

/** A line of the table of goals. */

/** One measured line. */
export interface GoalLine {
  readonly measure: string;
  readonly ours: string;
  readonly goal: string;
  readonly isMet: boolean;
  readonly others: string;
}

/** 0 of none. */
export function mean(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / Math.max(1, values.length);
}

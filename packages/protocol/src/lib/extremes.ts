/** Extremes of lists that grow with a fleet. `Math.min(...list)` makes an argument of each entry, and breaks at some hundred thousand. */

/** The least; Infinity of none. */
export function leastOf(numbers: Iterable<number>): number {
  let least = Number.POSITIVE_INFINITY;
  for (const number of numbers) if (number < least) least = number;
  return least;
}

/** The largest; -Infinity of none. */
export function largestOf(numbers: Iterable<number>): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const number of numbers) if (number > largest) largest = number;
  return largest;
}

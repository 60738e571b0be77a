/** How much parity to send: before anybody has answered, and after. Source: profile 8 and 10. */

/** Share of the devices that parity is sized for before the first poll. */
export const OPEN_LOOP_SHARE = 0.98;

/** Parity chunks beyond the number that is missing which a decoder needs; the mean over many is 1.6. */
const CODE_OVERHEAD = 2;

/** What a broadcast goes by. */
export interface LossAssumption {
  /** K. */
  readonly dataCount: number;
  /** Share of packets a device loses, 0 … below 1. */
  readonly loss: number;
  /** How much more the number of lost packets varies than if each were lost on its own; 1 = it does not. */
  readonly clumping?: number;
}

/** Parity chunks after which `share` of the devices have all: the open loop. */
export function openLoopRepairs(assumption: LossAssumption, share: number = OPEN_LOOP_SHARE): number {
  const z = normalQuantile(share);
  return Math.max(1, Math.ceil(packetsForQuantile(assumption, z) - assumption.dataCount));
}

/** Parity chunks that bring the device with the largest deficit to its end, most of the time. */
export function repairsForDeficit(deficit: number, loss: number): number {
  return Math.ceil(deficit / (1 - loss)) + 2;
}

/** The loss that a device must have had whose deficit is left after so many packets, if more than was assumed. */
export function lossAfter(
  { dataCount, loss }: LossAssumption,
  { sentCount, deficit }: { readonly sentCount: number; readonly deficit: number },
): number {
  const lostCount = sentCount - dataCount + deficit;
  return Math.min(0.95, Math.max(loss, lostCount / Math.max(1, sentCount)));
}

/** Whether the stragglers cost less airtime when each asks for its packets than another round of parity for all does. */
export function isPullCheaper(deficits: readonly number[], loss: number): boolean {
  let alone = 0;
  let largest = 0;
  for (const deficit of deficits) {
    alone += deficit / (1 - loss);
    largest = Math.max(largest, deficit);
  }
  return alone < repairsForDeficit(largest, loss);
}

/** Whether a deficit is that of a device that came late: far beyond what chance loses. It gets the head again, not more parity. */
export function isLate(deficit: number, assumption: LossAssumption): boolean {
  const { dataCount, loss, clumping = 1 } = assumption;
  const deviation = Math.sqrt(dataCount * loss * (1 - loss) * clumping);
  return deficit > dataCount * 0.02 + 8 * deviation + 16;
}

/**
 * Packets that are sent until all of `deviceCount` devices have all, in the mean: the closed form for an ideal code, which
 * is within 0.2 % of the truth.
 */
export function idealPackets(assumption: LossAssumption, deviceCount: number): number {
  return packetsForQuantile(assumption, normalQuantile(1 - 0.56 / Math.max(1, deviceCount)), 0);
}

/** T such that T packets leave K or more with a probability of z standard deviations. */
function packetsForQuantile(
  { dataCount, loss, clumping = 1 }: LossAssumption,
  z: number,
  extra = CODE_OVERHEAD,
): number {
  const kept = 1 - loss;
  const variance = z * z * loss * kept * clumping;
  const root = Math.sqrt(variance + 4 * kept * (dataCount + extra));
  const side = (Math.sign(z) * Math.sqrt(variance) + root) / (2 * kept);
  return side * side;
}

/** The z below which a standard normal variable stays with this probability, 0 < share < 1. */
export function normalQuantile(share: number): number {
  let [low, high] = [-9, 9];
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (upperTail(middle) > 1 - share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The probability above z, by Simpson's rule: a planner has time. */
function upperTail(z: number): number {
  if (z < 0) return 1 - upperTail(-z);
  const steps = 400;
  const width = 10 / steps;
  let sum = density(z) + density(z + 10);
  for (let i = 1; i < steps; i += 1) sum += density(z + i * width) * (i % 2 === 1 ? 4 : 2);
  return (sum * width) / 3;
}

const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

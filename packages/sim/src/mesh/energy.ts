/** What a broadcast costs a receiver's battery. */

/** A sub-GHz transceiver that draws 14.4 mA at 3.3 V while it listens, and 2 µA when it sleeps. */
export const DEFAULT_RECEIVER_POWER = { listenMw: 47.5, sleepMw: 0.0066, guardMs: 3 } as const;

export interface ReceiverPower {
  readonly listenMw: number;
  readonly sleepMw: number;
  /** Listening before a packet is due: the radio starts, and clocks differ. */
  readonly guardMs: number;
}

/** One broadcast as a receiver sees it. */
export interface Listening {
  readonly packetCount: number;
  readonly airtimeMs: number;
  /** Between the beginnings of two packets. */
  readonly gapMs: number;
}

/** Joules of a receiver that sleeps in the announced gaps. */
export function sleepingJoules(listening: Listening, power: ReceiverPower = DEFAULT_RECEIVER_POWER): number {
  const awakeMs = Math.min(listening.gapMs, listening.airtimeMs + power.guardMs);
  const milliwattMs = awakeMs * power.listenMw + (listening.gapMs - awakeMs) * power.sleepMw;
  return (listening.packetCount * milliwattMs) / 1e6;
}

/** Joules of a receiver that listens all the time. */
export function alwaysListeningJoules(listening: Listening, power: ReceiverPower = DEFAULT_RECEIVER_POWER): number {
  return (listening.packetCount * listening.gapMs * power.listenMw) / 1e6;
}

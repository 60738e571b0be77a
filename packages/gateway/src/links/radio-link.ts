/** A way to the radio: whole frames go out and come in. What a modem, a multicast group and a simulated channel have in common. */

export interface LinkCounts {
  readonly isUp: boolean;
  readonly sentCount: number;
  readonly heardCount: number;
  /** Times it was lost and found again. */
  readonly healedCount: number;
  /** Frames that its radio did not take in time. Absent where that cannot be told. */
  readonly lostCount?: number;
  /** Why it could not be opened the last time, while it is down and that is known. */
  readonly problem?: string | undefined;
}

/** What radio is like: nothing is acknowledged, frames may be lost, doubled or damaged, and never come cut or joined. */
export interface RadioLink {
  /** As configured: "udp://239.1.2.3:5700". */
  readonly uri: string;
  /**
   * Never throws and never blocks. A frame that cannot go out in its slot, which begins now or with the end of the one before, is lost.
   *
   * @param frame 15 … 1043 octets; copied. @param airtimeMs Its slot, as it was booked; absent = at the usual rate.
   */
  send(frame: Uint8Array, airtimeMs?: number): void;
  /** Called for each frame that is heard, own ones perhaps among them. One listener; before it, frames are lost. */
  listen(listener: (frame: Uint8Array) => void): void;
  readonly counts: LinkCounts;
  /** Settles when nothing is held any more. May be called twice. */
  close(): Promise<void>;
}

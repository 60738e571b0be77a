/** What the fuzz driver runs. */

export interface FuzzTarget {
  readonly name: string;
  /** Inputs to begin with; they are mutated and crossed. */
  readonly corpus: readonly Uint8Array[];
  /** Must return for any octets. Whatever it throws is a finding: a target catches what its subject may throw. */
  run(bytes: Uint8Array): void;
}

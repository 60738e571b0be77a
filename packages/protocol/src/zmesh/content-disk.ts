/** The disk of a content store, as a port. */
import type { Claim } from "./release-ledger.ts";

/** Where payloads and claims outlast a restart. Calls for different SEQ may overlap. */
export interface ContentDisk {
  /** Durable when it settles. A payload is written once. */
  write(name: Uint8Array, seq: number, payload: Uint8Array): Promise<void>;
  read(name: Uint8Array, seq: number): Promise<Uint8Array | undefined>;
  /** Removes all payloads of a content; nothing happens when there are none. */
  remove(name: Uint8Array): Promise<void>;
  /** Durable when it settles; kept for good. */
  keepClaim(claim: Claim): Promise<void>;
}

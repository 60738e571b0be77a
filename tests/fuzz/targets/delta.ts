/** Fuzz target: the header of a delta is decoded, or is a PeerError, and what is decoded encodes to the same octets. */
import { DELTA_HEADER_BYTES, decodeDeltaHeader, encodeDeltaHeader } from "@airlift/protocol/image/delta";
import { equalBytes } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import type { FuzzTarget } from "../target.ts";

const sha = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

export const delta: FuzzTarget = {
  name: "delta",
  corpus: [
    encodeDeltaHeader({ baseSizeBytes: 1, imageSizeBytes: 2, baseSha256: sha(1), imageSha256: sha(2) }),
    encodeDeltaHeader({
      baseSizeBytes: Number.MAX_SAFE_INTEGER,
      imageSizeBytes: 0,
      baseSha256: sha(0),
      imageSha256: sha(0xff),
    }),
  ],

  run(bytes: Uint8Array): void {
    try {
      const again = encodeDeltaHeader(decodeDeltaHeader(bytes));
      if (!equalBytes(again, bytes.subarray(0, DELTA_HEADER_BYTES))) throw new Error("encodes to something else");
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
    }
  },
};

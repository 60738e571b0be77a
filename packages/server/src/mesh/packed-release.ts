/** What is on record of an image that was packed for the air; its keys are kept apart, its octets in files. */
import type { GatewayContent } from "@airlift/protocol/api/gateway";

/** A content as gateways are told of it, and what a schedule says besides. */
export interface PackedShape {
  readonly content: GatewayContent;
  readonly uri: string;
  readonly mtuBytes: number;
  readonly chunkBytes: number;
  readonly lengthBytes: number;
}

/** Made once for each image, and the same for all groups and campaigns: a name stands for one sequence of octets for good. */
export interface PackedRelease {
  readonly image: PackedShape;
  /** Signed; it travels before the image. */
  readonly manifest: PackedShape;
  /** Announced in the manifest. */
  readonly gapMs: number;
  /** As devices tell it. */
  readonly version: readonly [number, number, number];
}

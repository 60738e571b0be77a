/** Fuzz target: the MCUboot decoder throws nothing but PeerError, and what it accepts lies within the octets it was given. */

import type { SigningKey } from "@airlift/protocol/image/crypto-port";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { decodeMcuboot } from "@airlift/protocol/image/mcuboot";
import { HEADER_FIELDS_BYTES } from "@airlift/protocol/image/mcuboot-header";
import { PeerError } from "@airlift/protocol/lib/errors";
import { imageCrypto } from "@airlift/runtime/crypto";

const version = { major: 1, minor: 2, revision: 3, build: 4 };
const payload = Uint8Array.of(1, 2, 3, 4, 5);
const id = new Uint8Array(16).fill(7);
// A key that signs everything with zeros: the decoder does not verify, and a corpus has to be the same in every run.
const key: SigningKey = {
  publicKey: { kind: "ed25519", spki: id, embedded: id },
  createSigner: () => ({ update: () => {}, sign: () => new Uint8Array(64) }),
};
const signing = { crypto: imageCrypto, key };

export const image = {
  name: "image",
  corpus: [
    makeMcubootImage(payload, { version }, { crypto: imageCrypto }),
    makeMcubootImage(payload, { version, securityCounter: 9, vendorId: id, classId: id }, signing),
    makeMcubootImage(payload, { version, dependencies: [{ imageIndex: 1, version }], hash: "sha512" }, signing),
  ] as Uint8Array[],

  run(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const tailOffset = bytes.length < HEADER_FIELDS_BYTES ? 0 : view.getUint16(8, true) + view.getUint32(12, true);
    try {
      const found = decodeMcuboot(bytes, bytes.subarray(tailOffset), bytes.length);
      if (found.sizeBytes + found.trailingSizeBytes !== bytes.length) throw new Error("sizes do not add up");
      if (found.signedSizeBytes > found.sizeBytes) throw new Error("more is signed than there is");
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
    }
  },
};

/** Fuzz targets: manifests, contents as they are put together, and what a content store hears. */
import type { PublicKey } from "@airlift/protocol/image/crypto-port";
import { equalBytes } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { ENC_TYPE } from "@airlift/protocol/zmesh/chunking";
import { ContentAssembly, type HeardMessage } from "@airlift/protocol/zmesh/content-assembly";
import { encodeItem, signSign1, verifySign1 } from "@airlift/protocol/zmesh/cose";
import { decodeManifest, encodeManifest } from "@airlift/protocol/zmesh/manifest";
import { packRelease } from "@airlift/protocol/zmesh/release";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { FuzzTarget } from "../target.ts";

const manifest = {
  manufacturer: "ACME",
  model: "TH-100",
  hardwareRevisions: ["A"],
  version: "1.2.3",
  securityCounter: 4,
  imageDigest: new Uint8Array(32),
  lengthBytes: 100,
  chunkBytes: 48,
  dataCount: 3,
  blockDigests: new Uint8Array(16),
  gapMs: 40,
  baseVersion: "1",
};

export const zmeshManifest: FuzzTarget = {
  name: "zmesh-manifest",
  corpus: [encodeManifest(manifest), encodeItem(new Map([[1, "A"]])), Uint8Array.of(0x81, 0x81, 0xc1, 0)],
  run(bytes) {
    only(() => {
      if (!equalBytes(encodeManifest(decodeManifest(bytes)), bytes)) throw new Error("is written back otherwise");
    });
  },
};

const publicKeys: PublicKey[] = (["ed25519", "ecdsa-p256"] as const).map((kind) => ({
  kind,
  spki: new Uint8Array(1),
  embedded: new Uint8Array(1),
}));
const signed = publicKeys.map((publicKey) =>
  signSign1(Uint8Array.of(1, 2, 3), {
    publicKey,
    // A key that signs everything alike: in DER for the one, raw for the other.
    createSigner: () => ({
      update: () => {},
      sign: () => (publicKey.kind === "ed25519" ? new Uint8Array(64) : Uint8Array.of(0x30, 7, 2, 2, 0, 0x80, 2, 1, 1)),
    }),
  }),
);
// It lets every signature through: this target is after the form, and what is done before the signature is checked.
const crypto = {
  createHash: () => ({ update: () => {}, digest: () => new Uint8Array(32) }),
  createVerifier: () => ({ update: () => {}, verify: (signature: Uint8Array) => signature.length >= 8 }),
};

export const zmeshCose: FuzzTarget = {
  name: "zmesh-cose",
  corpus: signed,
  run(bytes) {
    only(() => verifySign1(bytes, { keys: publicKeys, crypto }));
  },
};

const { image } = packRelease(
  {
    identity: { manufacturer: "A", model: "B", version: "1" },
    image: new Uint8Array(200).fill(5),
    keys: { key: new Uint8Array(16), iv: new Uint8Array(9) },
  },
  { encType: ENC_TYPE.none, isPlainAllowed: true },
  zmeshCrypto,
);
const assembly = new ContentAssembly({ encType: ENC_TYPE.none, name: image.name, ...image.keys }, zmeshCrypto);

/** Messages as SEQ(3) ‖ length(1) ‖ payload, one behind the other; the highest bit of SEQ says that it is an End. */
export const zmeshAssembly: FuzzTarget = {
  name: "zmesh-assembly",
  corpus: [written([0, 1, 2, 3, 4, 5, 6]), written([1, 2, 4, 6, 7, 8, 9]), written([0, 6, 7, 8, 9, 10, 11, 12])],
  run(bytes) {
    only(() => {
      const { bytes: found } = assembly.assemble(read(bytes));
      if (found.length === 0) throw new Error("an empty image");
    });
  },
};

function written(seqs: readonly number[]): Uint8Array {
  const isEnd = (seq: number) => (seq === image.dataCount + 1 ? 0x80 : 0);
  const octets = seqs.flatMap((seq) => {
    const payload = image.payloadAt(seq);
    return [isEnd(seq), seq >> 8, seq, payload.length, ...payload];
  });
  return Uint8Array.from(octets);
}

function read(bytes: Uint8Array): HeardMessage[] {
  const messages: HeardMessage[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const [high = 0, middle = 0, low = 0, sizeBytes = 0] = bytes.subarray(at, at + 4);
    const seq = ((high & 0x7f) << 16) | (middle << 8) | low;
    messages.push({ seq, payload: bytes.subarray(at + 4, at + 4 + sizeBytes), isEnd: high >= 0x80 });
    at += 4 + sizeBytes;
  }
  return messages;
}

function only(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
  }
}

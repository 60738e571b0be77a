/** The manifests of a mesh device: which are believed, and what they say of the image that is coming. Source: profile 6. */
import type { PublicKey } from "@airlift/protocol/image/crypto-port";
import { equalBytes } from "@airlift/protocol/lib/bytes";
import { manifestIv } from "@airlift/protocol/zmesh/content-cipher";
import { type ExpectedContent, expectedContentOf } from "@airlift/protocol/zmesh/content-proof";
import { type Manifest, verifyManifest } from "@airlift/protocol/zmesh/manifest";
import type { Refusals } from "@airlift/protocol/zmesh/refusals";
import type { Schedule } from "@airlift/protocol/zmesh/schedule";
import { assertTarget, type TargetDevice } from "@airlift/protocol/zmesh/target";
import { imageCrypto } from "@airlift/runtime/crypto";
import type { MeshMemoryFile, StoredManifest } from "./mesh-memory.ts";

/** Manifests that are remembered. */
const MAX_MANIFESTS = 8;

export interface MeshManifestsOptions {
  readonly memory: MeshMemoryFile;
  /** Keys whose manifests count; `allow-unsigned` takes images without a manifest too. */
  readonly trust: readonly PublicKey[] | "allow-unsigned";
  readonly refusals: Refusals;
  /** What the device is now. */
  target(): TargetDevice;
}

export class MeshManifests {
  readonly #options: MeshManifestsOptions;
  #known: { readonly schedule: Schedule; readonly expected: ExpectedContent | undefined } | undefined;

  constructor(options: MeshManifestsOptions) {
    this.#options = options;
  }

  /** Whether the image that is scheduled cannot be judged: its manifest has not come yet. */
  get isLacking(): boolean {
    const { memory, trust } = this.#options;
    const { schedule } = memory.memory.image;
    return (
      trust !== "allow-unsigned" && schedule !== undefined && !this.#storedFor(schedule) && !this.isRefused(schedule)
    );
  }

  /** Its manifest came, and is not to be believed: the image is refused with its first message, not waited for. */
  isRefused({ key, iv }: Pick<Schedule, "key" | "iv">): boolean {
    const { refused } = this.#options.memory.memory;
    return refused !== undefined && equalBytes(refused.key, key) && equalBytes(refused.iv, iv);
  }

  /** Takes the manifest that came under a schedule of its own. @returns Whether it is believed; if not, that is remembered. */
  take({ key, iv: ownIv }: Schedule, bytes: Uint8Array): boolean {
    const { memory, trust, refusals, target } = this.#options;
    if (trust === "allow-unsigned") return true;
    const manifest = refusals.guard(() => {
      const verified = verifyManifest(bytes, { keys: trust, crypto: imageCrypto });
      assertTarget(verified, target());
      return verified;
    });
    const iv = manifestIv(ownIv);
    if (manifest === undefined) memory.change({ refused: { key, iv } });
    else memory.change({ manifests: [...memory.memory.manifests, { key, iv, bytes }].slice(-MAX_MANIFESTS) });
    return manifest !== undefined;
  }

  /** That of the image which is scheduled or was last. */
  current(): Manifest | undefined {
    const { memory, trust } = this.#options;
    const { schedule } = memory.memory.image;
    const stored = schedule && this.#storedFor(schedule);
    return stored && trust !== "allow-unsigned"
      ? verifyManifest(stored.bytes, { keys: trust, crypto: imageCrypto })
      : undefined;
  }

  /** What is to come, by the manifest. Asked for at every message: a signature is checked once for each schedule. */
  expected(): ExpectedContent | undefined {
    const { schedule } = this.#options.memory.memory.image;
    if (schedule === undefined) return undefined;
    if (this.#known?.schedule !== schedule || this.#known.expected === undefined) {
      const manifest = this.current();
      this.#known = { schedule, expected: manifest && expectedContentOf(manifest) };
    }
    return this.#known.expected;
  }

  /** The verified manifest that came with the same key and the other IV. */
  #storedFor({ key, iv }: Schedule): StoredManifest | undefined {
    return this.#options.memory.memory.manifests.find((one) => equalBytes(one.key, key) && equalBytes(one.iv, iv));
  }
}

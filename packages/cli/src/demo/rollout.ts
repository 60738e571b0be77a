/** One image to every device of the cast: start, watch, and cut the power where the script says so. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Image, Update } from "@airlift/protocol/api/schemas";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { isFinalUpdateState } from "@airlift/protocol/update/device-update";
import type { Client } from "../client.ts";
import type { CastMember } from "./cast.ts";

export interface RolloutOptions {
  readonly client: Client;
  readonly image: Image;
  readonly cast: readonly CastMember[];
  /** Called about five times a second with all updates as they are now. */
  readonly onProgress: (updates: readonly Update[]) => void | Promise<void>;
  readonly limitMs: number;
}

/** @returns The updates as they ended, in the order of the cast. @throws {EnvironmentError} ROLLOUT_TOO_SLOW */
export async function rollOut(options: RolloutOptions): Promise<Update[]> {
  const { client, image, cast, limitMs } = options;
  const started = await Promise.all(
    cast.map(({ endpoint, method }) => client.startUpdate({ endpoint, imageId: image.id, by: method })),
  );
  const deadlineMs = performance.now() + limitMs;
  for (;;) {
    const updates = await Promise.all(started.map(({ id }) => client.update(id)));
    await options.onProgress(updates);
    const open = updates.filter(({ state }) => !isFinalUpdateState(state));
    if (open.length === 0) return updates;
    if (performance.now() > deadlineMs) {
      const waiting = open.map(({ endpoint, sentence }) => `${endpoint}: ${sentence}`);
      throw new EnvironmentError("ROLLOUT_TOO_SLOW", `not done after ${limitMs / 1000} s\n${waiting.join("\n")}`);
    }
    await sleep(200);
  }
}

/** Cuts one device's power when it has half of the image, and watches that it goes on instead of starting over. */
export class PowerCut {
  readonly #endpoint: string;
  readonly #cut: () => Promise<void>;
  #cutAtBytes: number | undefined;
  #leastBytesAfter = Number.POSITIVE_INFINITY;

  constructor(endpoint: string, cut: () => Promise<void>) {
    this.#endpoint = endpoint;
    this.#cut = cut;
  }

  async watch(updates: readonly Update[]): Promise<void> {
    const update = updates.find(({ endpoint }) => endpoint === this.#endpoint);
    if (update?.state !== "transferring") return;
    const { acknowledgedBytes, totalBytes } = update;
    if (this.#cutAtBytes !== undefined) this.#leastBytesAfter = Math.min(this.#leastBytesAfter, acknowledgedBytes);
    else if (acknowledgedBytes >= 0.4 * totalBytes) {
      this.#cutAtBytes = acknowledgedBytes;
      await this.#cut();
    }
  }

  /** Where the power was cut, and where the download went on; `undefined` when it was never cut. */
  get story(): { readonly cutAtBytes: number; readonly resumedAtBytes: number } | undefined {
    if (this.#cutAtBytes === undefined) return undefined;
    return { cutAtBytes: this.#cutAtBytes, resumedAtBytes: Math.min(this.#leastBytesAfter, this.#cutAtBytes) };
  }
}

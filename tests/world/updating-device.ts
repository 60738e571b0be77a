/**
 * A device with two slots on flash that loses power, the update's core on top of it, and a server that wants the next
 * version. No socket and no clock: the server sends block after block, time stands where it was set.
 */
import assert from "node:assert/strict";
import { createSlots, type Slots } from "@airlift/device/node/slots";
import { HandlerError, type UpgradeProgress } from "@airlift/device/ports";
import { FirmwareUpdate } from "@airlift/device/update/firmware-update";
import type { HandlerOutcome, UpdateInput, UpdateOutput } from "@airlift/device/update/messages";
import { fromStore, toStore } from "@airlift/device/update/persisted";
import { makeMcubootImage } from "@airlift/protocol/image/make-mcuboot";
import { generateSigningKey, imageCrypto, loadPublicKey, loadSigningKey } from "@airlift/runtime/crypto";
import { Flash } from "@airlift/sim/flash";

const pair = generateSigningKey();
const signing = { crypto: imageCrypto, key: loadSigningKey(pair.privatePem) };
const trust = [loadPublicKey(pair.publicPem)];
const CHUNK_BYTES = 100;

/** A signed image of version `major`.0.0, somewhat more than 1000 octets. */
export function imageOf(major: number): Uint8Array {
  const body = Uint8Array.from({ length: 900 }, (_, i) => i * major);
  const version = { major, minor: 0, revision: 0, build: 0 };
  return makeMcubootImage(body, { version, securityCounter: major }, signing);
}

const IMAGES = [imageOf(1), imageOf(2), imageOf(3)] as const;

export const etagOf = (major: number): Uint8Array => Uint8Array.of(major);
const uriOf = (major: number): string => `coap://files.example/fw/${major}`;

/** The server wants `wanted`; `hasServer` false: nobody is there, and the device only boots. */
export interface Wish {
  readonly wanted: 2 | 3;
  /** How the package comes. */
  readonly by: "pull" | "push";
}

/** One run from a start of the device to its next restart, a power cut, or until nothing is left to do. */
class Life {
  readonly #slots: Slots;
  readonly #core: FirmwareUpdate;
  readonly #wish: Wish;
  readonly #queue: UpdateOutput[] = [];
  #nowMs = 0;
  #sentBytes = 0;
  isRestarting = false;

  private constructor(slots: Slots, core: FirmwareUpdate, wish: Wish) {
    this.#slots = slots;
    this.#core = core;
    this.#wish = wish;
  }

  /** Boots, and checks that what is booted is whole and what is told is true. */
  static async begin(flash: Flash, wish: Wish): Promise<Life> {
    const slots = createSlots({ directory: flash, trust, persistEveryBytes: 250 });
    await slots.boot();
    const core = new FirmwareUpdate(fromStore(await slots.store.load()), { utcMs: () => 0 });
    const life = new Life(slots, core, wish);
    life.#assertTruth(flash);
    await life.#feed({ kind: "start" });
    return life;
  }

  get outcome(): string {
    const { state, result } = this.#core.facts;
    return `${this.#slots.version()} ${state} ${result}`;
  }

  /** What agent and server do with the device as they find it. */
  async drive(): Promise<void> {
    const { state } = this.#core.facts;
    const { wanted, by } = this.#wish;
    if (state === "updating" && this.#slots.running().isTrial) {
      await this.#slots.confirm();
      await this.#feed({ kind: "setResult", result: "success" });
    } else if (state === "idle" && this.#slots.version() !== `${wanted}.0.0`) {
      if (by === "push") await this.#push(IMAGES[wanted - 1] as Uint8Array);
      else await this.#feed({ kind: "writeUri", exchange: 1, uri: uriOf(wanted), supported: true });
    } else if (state === "downloaded") await this.#feed({ kind: "executeUpdate", exchange: 2 });
    if (this.#core.wakeAtMs === undefined) return;
    this.#nowMs = this.#core.wakeAtMs;
    await this.#feed({ kind: "wake" });
  }

  async #push(image: Uint8Array): Promise<void> {
    for (let at = 0; at < image.length && (at === 0 || this.#core.facts.state === "downloading"); at += CHUNK_BYTES) {
      const bytes = image.subarray(at, at + CHUNK_BYTES);
      const last = at + CHUNK_BYTES >= image.length;
      await this.#feed({
        kind: "packageChunk",
        push: 1,
        exchange: 1,
        first: at === 0,
        last,
        bytes,
        encoding: "opaque",
      });
    }
  }

  async #feed(input: UpdateInput): Promise<void> {
    this.#queue.push(...this.#core.step(input, this.#nowMs));
    for (let output = this.#queue.shift(); output; output = this.#queue.shift()) await this.#perform(output);
  }

  async #perform(output: UpdateOutput): Promise<void> {
    const more = (input: UpdateInput): void => void this.#queue.push(...this.#core.step(input, this.#nowMs));
    if (output.kind === "save") await this.#slots.store.save(toStore(output.persisted)).catch(ignoreRefusal);
    else if (output.kind === "call") {
      const outcome = await this.#call(output);
      more({ kind: "handlerSettled", call: output.call, outcome });
    } else if (output.kind === "startPull") {
      const major = Number(output.uri.at(-1));
      more({ kind: "pullOrigin", pull: output.pull, etag: etagOf(major) });
      this.#sentBytes = output.offset - (output.offset % CHUNK_BYTES);
      more(this.#nextBlock(output.pull));
    } else if (output.kind === "pullNext") more(this.#nextBlock(output.pull));
  }

  #nextBlock(pull: number): UpdateInput {
    const image = IMAGES[Number(this.#core.facts.uri.at(-1)) - 1] as Uint8Array;
    const offset = this.#sentBytes;
    if (offset >= image.length) return { kind: "pullEnded", pull };
    this.#sentBytes += CHUNK_BYTES;
    return { kind: "pullChunk", pull, offset, bytes: image.subarray(offset, offset + CHUNK_BYTES) };
  }

  async #call(call: Extract<UpdateOutput, { kind: "call" }>): Promise<HandlerOutcome> {
    const { handlers } = this.#slots;
    try {
      let value: UpgradeProgress | undefined;
      if (call.handler === "openStream") await handlers.openStream(call.origin);
      else if (call.handler === "write") await handlers.write(call.bytes);
      else if (call.handler === "performUpgrade") value = (await handlers.performUpgrade()) as UpgradeProgress;
      else await handlers[call.handler]();
      this.isRestarting ||= value === "restarting";
      return { ok: true, value };
    } catch (error) {
      if (isPowerCut(error)) throw error;
      return { ok: false, reason: error instanceof HandlerError ? error.result : undefined };
    }
  }

  #assertTruth(flash: Flash): void {
    const { slot, isTrial } = this.#slots.running();
    const { state, result } = this.#core.facts;
    const version = this.#slots.version();
    const told = `told ${state} ${result}, runs ${version}${isTrial ? " on trial" : ""}`;
    const image = (name: string): Buffer => Buffer.from(flash.peek(name) ?? []);
    const isWhole = (name: string, major: number): boolean => image(name).equals(IMAGES[major - 1] as Uint8Array);
    assert.ok(isWhole(`${slot}/image`, Number(version[0])), `what runs is not whole: ${told}`);
    assert.equal(state === "updating", isTrial, told);
    const other = slot === "a" ? "b/image" : "a/image";
    if (state === "downloaded") {
      assert.ok(
        [1, 2, 3].some((major) => isWhole(other, major)),
        `what is downloaded is not whole: ${told}`,
      );
    }
    if (state === "downloading" && this.#core.facts.uri !== "") {
      const held = image(other).subarray(0, this.#core.facts.storedBytes);
      const wanted = IMAGES[Number(this.#core.facts.uri.at(-1)) - 1]?.subarray(0, held.length);
      assert.ok(held.equals(wanted ?? new Uint8Array()), `what is to be continued is torn: ${told}`);
    }
    if (state === "idle" && result === "success") assert.ok(!isTrial, told);
  }
}

/** Lives until the device runs the wanted version and says so. Throws `PowerCut` where the power goes. */
export async function updateTo(flash: Flash, wish: Wish): Promise<void> {
  for (let lives = 0; lives < 10; lives += 1) {
    const life = await Life.begin(flash, wish);
    for (let turn = 0; turn < 6 && !life.isRestarting; turn += 1) {
      await life.drive();
      if (life.outcome === `${wish.wanted}.0.0 idle success`) return;
    }
    if (!life.isRestarting) throw new Stuck(life.outcome);
  }
  throw new Stuck("it restarts for ever");
}

/** The device got no further by itself; `outcome` is where it stands. */
export class Stuck extends Error {
  readonly outcome: string;
  constructor(outcome: string) {
    super(`stuck: ${outcome}`);
    this.outcome = outcome;
  }
}

/** A device that runs version 1 from a slot, and has a history. */
export async function createDevice(capacityBytes?: number): Promise<Flash> {
  const flash = new Flash(capacityBytes);
  for (let round = 0; round < 2; round += 1) {
    const slots = createSlots({ directory: flash, trust });
    await slots.boot();
    await slots.handlers.openStream({});
    await slots.handlers.write(IMAGES[0]);
    await slots.handlers.finish();
    await slots.handlers.performUpgrade();
    const next = createSlots({ directory: flash, trust });
    await next.boot();
    await next.confirm();
  }
  flash.restart("kept");
  return flash;
}

export function isPowerCut(error: unknown): boolean {
  return error instanceof Error && error.name === "PowerCut";
}

/** The medium is full: the agent tells it and goes on. */
function ignoreRefusal(error: unknown): void {
  if (isPowerCut(error)) throw error;
}

/** A device loses its power at every step of an update: it tells the truth after the restart, and the update completes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PersistedUpdate } from "@airlift/device/ports";
import { FirmwareUpdate } from "@airlift/device/update/firmware-update";
import type { HandlerOutcome, UpdateInput, UpdateOutput } from "@airlift/device/update/messages";
import { fromStore, toStore } from "@airlift/device/update/persisted";
import { concat, equalBytes } from "@airlift/protocol/lib/bytes";

const IMAGE = Uint8Array.from({ length: 50 }, (_, i) => i + 1);
const URI = "coap://files.example/fw/2";
const ETAG = Uint8Array.of(2);
const CHUNK_BYTES = 10;

class PowerCut extends Error {}

/** What survives: the record, the octets in the other slot, and which slot boots. */
class Flash {
  update: PersistedUpdate = { state: "idle", result: "initial" };
  stored: Uint8Array = new Uint8Array();
  version = 1;
  trial: "next" | "running" | undefined;
  fetchedBytes = 0;
  hasFallenBack = false;

  /** A boot loader: tries a new image once, and knows an update that never began. */
  boot(): void {
    const { uri } = this.update;
    const kept = uri === undefined ? {} : { uri };
    if (this.trial === "next") {
      this.trial = "running";
      this.version = 2;
    } else if (this.trial === "running") this.fallBack(kept);
    else if (this.update.state === "updating") this.update = { state: "downloaded", result: "failed", ...kept };
  }

  fallBack(kept: { uri?: string }): void {
    this.trial = undefined;
    this.hasFallenBack = true;
    this.version = 1;
    this.update = { state: "idle", result: "failed", ...kept };
  }

  load(): PersistedUpdate {
    const { update } = this;
    return update.state === "downloading" ? { ...update, offset: this.stored.length } : update;
  }
}

/** One run of the device, from its start to the next power cut or to its end. */
class Life {
  readonly #flash: Flash;
  readonly #core: FirmwareUpdate;
  readonly #tick: () => void;
  readonly #queue: UpdateOutput[] = [];
  #nowMs = 0;
  isRestarting = false;

  constructor(flash: Flash, tick: () => void) {
    this.#flash = flash;
    this.#tick = tick;
    flash.boot();
    this.#core = new FirmwareUpdate(fromStore(flash.load()), { utcMs: () => 0 });
    this.#assertTruth();
    this.#feed({ kind: "start" });
  }

  get state(): string {
    return `${this.#core.facts.state} ${this.#core.facts.result}`;
  }

  /** What a server does that wants version 2, whatever it finds. */
  drive(): void {
    if (this.#flash.trial === "running") {
      this.#tick();
      this.#flash.trial = undefined;
      this.#flash.update = { state: "idle", result: "success", uri: URI };
      this.#feed({ kind: "setResult", result: "success" });
    }
    const { state } = this.#core.facts;
    if (state === "idle" && this.#flash.version === 1) {
      this.#feed({ kind: "writeUri", exchange: 1, uri: URI, supported: true });
    }
    if (this.#core.facts.state === "downloaded") this.#feed({ kind: "executeUpdate", exchange: 2 });
    if (this.#core.wakeAtMs !== undefined) {
      this.#nowMs = this.#core.wakeAtMs;
      this.#feed({ kind: "wake" });
    }
  }

  #feed(input: UpdateInput): void {
    this.#queue.push(...this.#core.step(input, this.#nowMs));
    for (let output = this.#queue.shift(); output; output = this.#queue.shift()) {
      this.#tick();
      this.#perform(output);
    }
  }

  #perform(output: UpdateOutput): void {
    const more = (input: UpdateInput): number => this.#queue.push(...this.#core.step(input, this.#nowMs));
    if (output.kind === "save") this.#flash.update = toStore(output.persisted);
    else if (output.kind === "call") {
      const outcome = this.#call(output);
      this.#tick();
      more({ kind: "handlerSettled", call: output.call, outcome });
    } else if (output.kind === "startPull") {
      more({ kind: "pullOrigin", pull: output.pull, etag: ETAG });
      this.#send(output.pull, output.offset, more);
    } else if (output.kind === "pullNext") this.#send(output.pull, this.#core.storedBytes, more);
  }

  #send(pull: number, offset: number, more: (input: UpdateInput) => void): void {
    // A block begins at a multiple of its size: what is held of it comes again.
    const from = Math.floor(offset / CHUNK_BYTES) * CHUNK_BYTES;
    if (offset >= IMAGE.length) more({ kind: "pullEnded", pull });
    else {
      const bytes = IMAGE.subarray(from, from + CHUNK_BYTES);
      this.#flash.fetchedBytes += bytes.length;
      more({ kind: "pullChunk", pull, offset: from, bytes });
    }
  }

  #call(call: Extract<UpdateOutput, { kind: "call" }>): HandlerOutcome {
    const flash = this.#flash;
    switch (call.handler) {
      case "openStream":
      case "reset":
        if (flash.trial === undefined) flash.stored = new Uint8Array();
        return { ok: true };
      case "write": {
        const half = call.bytes.length / 2;
        flash.stored = concat([flash.stored, call.bytes.subarray(0, half)]);
        this.#tick();
        flash.stored = concat([flash.stored, call.bytes.subarray(half)]);
        return { ok: true };
      }
      case "finish":
        return equalBytes(flash.stored, IMAGE) ? { ok: true } : { ok: false, reason: "integrityFailed" };
      case "performUpgrade":
        flash.trial = "next";
        this.isRestarting = true;
        return { ok: true, value: "restarting" };
    }
  }

  /** What the server would read now. */
  #assertTruth(): void {
    const { state, result } = this.#core.facts;
    const flash = this.#flash;
    if (result === "success") assert.equal(flash.version, 2, "success is told of version 2 only");
    if (state === "downloaded") assert.deepEqual(flash.stored, IMAGE, "Downloaded means whole");
    if (flash.trial === "running") assert.equal(state, "updating", "a trial is no outcome");
  }
}

/** Lives until version 2 is confirmed, with the power cut at the steps of `cuts`; how many steps it took. */
function updateWith(cuts: readonly number[]): { steps: number; lives: number; flash: Flash } {
  const flash = new Flash();
  let steps = 0;
  const tick = (): void => {
    steps += 1;
    if (cuts.includes(steps)) throw new PowerCut();
  };
  for (let lives = 1; lives < 20; lives += 1) {
    try {
      const life = new Life(flash, tick);
      for (let turn = 0; turn < 5 && !life.isRestarting; turn += 1) life.drive();
      if (life.state === "idle success" && flash.version === 2) return { steps, lives, flash };
      assert.ok(life.isRestarting, `stuck in ${life.state}`);
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
    }
  }
  return assert.fail(`no end with cuts at ${cuts.join()}`);
}

const UNCUT = updateWith([]);

test("without a cut: one restart, into the new version", () => {
  assert.equal(UNCUT.lives, 2);
});

test(`a cut at any of the ${UNCUT.steps} steps: the truth is told, and the update completes`, () => {
  for (let at = 1; at <= UNCUT.steps; at += 1) assert.ok(updateWith([at]).lives >= 2, `cut at ${at}`);
});

test("two cuts at any two steps", () => {
  for (let first = 1; first <= UNCUT.steps; first += 1) {
    for (let second = first + 1; second <= 2 * UNCUT.steps; second += 1) updateWith([first, second]);
  }
});

test("what is stored before a cut is not fetched again, unless the new version fell back", () => {
  for (let at = 1; at <= UNCUT.steps; at += 1) {
    const { flash } = updateWith([at]);
    const mostBytes = flash.hasFallenBack ? 2 * IMAGE.length : IMAGE.length + CHUNK_BYTES;
    assert.ok(flash.fetchedBytes <= mostBytes, `cut at ${at}: ${flash.fetchedBytes} octets`);
  }
});

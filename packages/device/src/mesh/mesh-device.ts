/** A device of a Z-Mesh network on an operating system: receives broadcasts into files, verifies them, installs them in its slots. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { PublicKey } from "@airlift/protocol/image/crypto-port";
import { equalBytes, toHex } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import type { Join } from "@airlift/protocol/zmesh/command";
import type { CommandChannel } from "@airlift/protocol/zmesh/command-channel";
import { NO_FSEQ, openFreshCommand } from "@airlift/protocol/zmesh/command-gate";
import { isReleaseIv, manifestIv } from "@airlift/protocol/zmesh/content-cipher";
import { ForeignFrames, type HeardCounts } from "@airlift/protocol/zmesh/foreign-frames";
import { decodeFrame, type Frame } from "@airlift/protocol/zmesh/frame";
import { AT_ONCE } from "@airlift/protocol/zmesh/instant";
import { LARGEST_MANIFEST_BYTES } from "@airlift/protocol/zmesh/manifest";
import { Receiver } from "@airlift/protocol/zmesh/receiver";
import type {
  ReceiverInput,
  ReceiverOutput,
  ReceiverRecord,
  ReceiverStatus,
} from "@airlift/protocol/zmesh/receiver-types";
import { Refusals } from "@airlift/protocol/zmesh/refusals";
import type { AirtimeLimit } from "@airlift/protocol/zmesh/regions";
import type { Schedule } from "@airlift/protocol/zmesh/schedule";
import { Attempts, assertSchedule, DEFAULT_DRIFT_PPM } from "@airlift/protocol/zmesh/schedule-rules";
import type { TargetDevice } from "@airlift/protocol/zmesh/target";
import { zmeshCrypto } from "@airlift/runtime/zmesh-crypto";
import type { BootReport } from "../node/slot-boot.ts";
import type { Slots } from "../node/slots.ts";
import { FileFlash } from "./file-flash.ts";
import { rememberingKeystreams } from "./keystreams.ts";
import { MeshManifests } from "./mesh-manifests.ts";
import { MeshMemoryFile } from "./mesh-memory.ts";
import { type MeshRadio, MeshVoice } from "./mesh-radio.ts";

/** The largest image taken: 4 MiB. Memory of this size is used, as it is touched. */
export const DEFAULT_MAX_MESH_IMAGE_BYTES = 4 * 1024 * 1024;
const LEAST_SCRATCH_BYTES = 128 * 1024;
/** Octets that go to the slots at a time. */
const PIECE_BYTES = 65_536;

export interface MeshDeviceOptions {
  readonly radio: MeshRadio;
  /** Its own channel, from onboarding: name, device-management key, IV. */
  readonly channel: CommandChannel;
  /** Channels of the groups it belongs to. */
  readonly groups: readonly CommandChannel[];
  readonly networkKey: Uint8Array;
  readonly target: Omit<TargetDevice, "version" | "securityCounter">;
  /** Keys whose manifests count; `allow-unsigned` takes images without a manifest too. */
  readonly trust: readonly PublicKey[] | "allow-unsigned";
  /** Its own folder, beside the slots'. */
  readonly folder: string;
  /** Booted. They trust what this device has verified: open them with `allow-unsigned`. */
  readonly slots: Slots;
  readonly bootReport: BootReport;
  /** Of the device's own transmissions. */
  readonly limit: AirtimeLimit;
  /** Whether it asks for packets itself. */
  readonly pulls: boolean;
  readonly maxImageBytes?: number;
  readonly newsSpreadMs?: number;
  readonly rateBps?: number;
  readonly ttl?: number;
  readonly random?: () => number;
  /** The device goes down now, to start with the new image. */
  restart(): void;
  readonly onStatus?: (status: ReceiverStatus) => void;
  /** Most of what it hears it cannot open: the network key may be wrong. Once an hour at the most. */
  readonly onForeign?: (counts: HeardCounts) => void;
}

type Part = "image" | "manifest";

/** Groups that a device can be made a member of. */
const MAX_GROUPS = 8;

export class MeshDevice {
  /** What was refused of what came over the air. */
  readonly refusals = new Refusals();
  readonly #foreign = new ForeignFrames();
  readonly #options: MeshDeviceOptions;
  readonly #memory: MeshMemoryFile;
  readonly #attempts: Attempts;
  readonly #manifests: MeshManifests;
  readonly #voice: MeshVoice;
  readonly #flashes: Readonly<Record<Part, { readonly slot: FileFlash; readonly scratch: FileFlash }>>;
  readonly #receivers: Readonly<Record<Part, Receiver>>;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** Opens its files; it listens from `start` on. The errors are those of node:fs. */
  constructor(options: MeshDeviceOptions) {
    this.#options = options;
    const { folder, maxImageBytes = DEFAULT_MAX_MESH_IMAGE_BYTES } = options;
    mkdirSync(folder, { recursive: true });
    this.#memory = new MeshMemoryFile(join(folder, "mesh.json"));
    const { attempts, image, manifest } = this.#memory.memory;
    this.#attempts = new Attempts(zmeshCrypto, attempts);
    const { target, trust } = options;
    this.#manifests = new MeshManifests({
      memory: this.#memory,
      trust,
      refusals: this.refusals,
      target: () => ({ ...target, version: this.#version(), securityCounter: this.#memory.memory.securityCounter }),
    });
    const { radio, channel, networkKey, limit, random = Math.random, ttl = 0, rateBps, newsSpreadMs } = options;
    this.#voice = new MeshVoice({
      radio,
      channel,
      networkKey,
      limit,
      random,
      ttl,
      crypto: zmeshCrypto,
      memory: this.#memory,
      version: () => this.#version(),
      ...(rateBps !== undefined && { rateBps }),
      ...(newsSpreadMs !== undefined && { newsSpreadMs }),
    });
    this.#flashes = {
      image: this.#open("image", maxImageBytes),
      manifest: this.#open("manifest", LARGEST_MANIFEST_BYTES + 1024),
    };
    const common = { random, canRequest: options.pulls };
    const nowMs = performance.now();
    this.#receivers = {
      image: new Receiver(
        {
          ...common,
          crypto: rememberingKeystreams(zmeshCrypto),
          slotFlash: this.#flashes.image.slot,
          scratchFlash: this.#flashes.image.scratch,
          allowsUnsigned: options.trust === "allow-unsigned",
          expectedContent: () => this.#manifests.expected(),
        },
        image,
        nowMs,
      ),
      manifest: new Receiver(
        {
          ...common,
          crypto: zmeshCrypto,
          slotFlash: this.#flashes.manifest.slot,
          scratchFlash: this.#flashes.manifest.scratch,
          // Its signature is what it is believed for.
          allowsUnsigned: true,
        },
        manifest,
        nowMs,
      ),
    };
  }

  /** What it is at: of the image that is coming, and for a look. */
  get receiver(): Receiver {
    return this.#receivers.image;
  }

  /** Says what became of an installation, then listens. */
  async start(): Promise<void> {
    const { bootReport, slots } = this.#options;
    const { versionBefore } = this.#memory.memory;
    if (bootReport.outcome === "trial") await slots.confirm();
    this.#options.radio.listen((bytes) => this.#hear(bytes));
    for (const part of ["image", "manifest"] as const) this.#feed(part, { kind: "clock", utcMs: Date.now() });
    if (this.#receivers.manifest.state === "applying") this.#takeManifest();
    if (this.receiver.state === "applying") {
      const isNew = bootReport.outcome === "trial" || slots.version() !== versionBefore;
      if (isNew) this.#confirmed();
      else if (bootReport.outcome === "unchanged") await this.#install();
      else this.#feed("image", { kind: "installed", outcome: "rolledBack" });
    }
  }

  /** Deaf and silent from now on. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#voice.close();
    for (const { slot, scratch } of Object.values(this.#flashes)) {
      slot.close();
      scratch.close();
    }
  }

  // What is heard

  #hear(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    const { networkKey } = this.#options;
    let refusal: string | undefined;
    const frame = this.refusals.guard(
      () => decodeFrame(bytes, { networkKey, crypto: zmeshCrypto }),
      (code) => {
        refusal = code;
      },
    );
    if (this.#foreign.hear(refusal, performance.now())) this.#options.onForeign?.(this.#foreign);
    if (frame?.kind === "command") this.refusals.guard(() => this.#obey(frame));
    else if (frame?.kind === "content") this.#takeContent(frame);
  }

  #takeContent({ name, fseq, payload }: Frame): void {
    for (const part of ["image", "manifest"] as const) {
      const { schedule } = this.#memory.memory[part];
      if (!schedule || !equalBytes(schedule.name, name)) continue;
      // Before there is a manifest nothing of the image can be judged: it is as if it had been lost, and repaired later.
      if (part === "image" && this.#manifests.isLacking) return;
      this.#feed(part, { kind: "content", seq: fseq, payload });
    }
  }

  #obey(frame: Frame): void {
    const { channel: own, groups } = this.#options;
    // A group's newer key stands in for the one that the device was made with.
    const channel = [own, ...this.#memory.memory.joined, ...groups].find(({ name }) => equalBytes(name, frame.name));
    if (!channel) return;
    const { accepted } = this.#memory.memory;
    const key = toHex(channel.name);
    const command = openFreshCommand({ ...channel, crypto: zmeshCrypto }, accepted[key] ?? NO_FSEQ, frame);
    const isAccepted = { accepted: { ...accepted, [key]: frame.fseq } };
    if (command.kind === "schedule") {
      if (channel === own && this.#attempts.has(command.schedule)) this.#tellStanding(command.schedule, isAccepted);
      else this.#accept(command.schedule, isAccepted);
      return;
    }
    if (command.kind === "join") {
      // Only the network, in the device's own channel, says what it belongs to.
      if (channel === own) this.#join(command.join, isAccepted.accepted);
      return;
    }
    this.#memory.change(isAccepted);
    for (const part of ["image", "manifest"] as const) {
      if (command.kind === "cancel") this.#feed(part, command);
      else if (command.kind === "poll") {
        // Of an image that it cannot judge yet it can take nothing: an answer would only have the whole of it sent again.
        if (part === "manifest" || !this.#manifests.isLacking) this.#feed(part, command);
      } else if (command.kind === "apply") this.#feed(part, { kind: "apply", name: command.apply.name });
    }
  }

  #join({ lastFseq, ...group }: Join, accepted: Readonly<Record<string, number>>): void {
    const joined = this.#memory.memory.joined.filter(({ name }) => !equalBytes(name, group.name));
    this.#memory.change({
      accepted: { ...accepted, [toHex(group.name)]: lastFseq },
      joined: [...joined, group].slice(-MAX_GROUPS),
    });
    this.#voice.answer({
      name: group.name,
      state: "idle",
      detail: "none",
      result: "initial",
      receivedCount: 0,
      deficit: 0,
    });
  }

  /** The network asks what became of an image that it scheduled before; on request means that what is missing is to be asked for now. */
  #tellStanding({ name, iv, updateAtMs }: Schedule, isAccepted: object): void {
    this.#memory.change(isAccepted);
    if (updateAtMs === AT_ONCE) this.#feed(isReleaseIv(iv) ? "image" : "manifest", { kind: "fetch", name });
    if (isReleaseIv(iv)) this.#voice.answer(this.receiver.standing(name));
  }

  #accept(schedule: Schedule, isAccepted: object): void {
    const utcMs = Date.now();
    const clock = { utcMs, syncedAtMs: utcMs, driftPpm: DEFAULT_DRIFT_PPM };
    const isPlainAllowed = this.#options.trust === "allow-unsigned";
    assertSchedule(schedule, { clock, attempts: this.#attempts, isPlainAllowed });
    this.#attempts.begin(schedule);
    const isAgain = this.#manifests.isRefused({
      ...schedule,
      iv: isReleaseIv(schedule.iv) ? schedule.iv : manifestIv(schedule.iv),
    });
    this.#memory.change({
      ...isAccepted,
      attempts: this.#attempts.entries,
      ...(isAgain && { refused: undefined }),
    });
    this.#feed(isReleaseIv(schedule.iv) ? "image" : "manifest", { kind: "schedule", schedule, utcMs });
  }

  // The cores

  #feed(part: Part, input: ReceiverInput): void {
    if (this.#isClosed) return;
    const before = this.#memory.memory[part];
    const outputs = this.#receivers[part].step(input, performance.now());
    // The chunks first: the list of those that are there is in the scratch.
    this.#flashes[part].slot.flush();
    this.#flashes[part].scratch.flush();
    for (const output of outputs) this.#perform(part, output, before);
    this.#arm();
  }

  #perform(part: Part, output: ReceiverOutput, before: ReceiverRecord): void {
    switch (output.kind) {
      case "save":
        this.#memory.change({ [part]: output.record });
        break;
      case "status":
        this.#tell(part, output.status, before);
        break;
      case "interest": {
        const { schedule } = this.#memory.memory[part];
        if (schedule) this.#voice.ask({ name: schedule.name, ...output.interest });
        break;
      }
      case "install":
        if (part === "image") void this.#install();
        else this.#takeManifest();
        break;
    }
  }

  #tell(part: Part, status: ReceiverStatus, { state, schedule }: ReceiverRecord): void {
    const isFailed = status.state === "idle" && status.result !== "initial" && status.result !== "success";
    if (isFailed && schedule) {
      this.#attempts.fail(schedule);
      this.#memory.change({ attempts: this.#attempts.entries });
    }
    // A device that is asked says what it lacks, and is in the state it was in; what it came to by itself is news.
    const isAnswer = state === this.#receivers[part].state && status.deficit > 0;
    if (isAnswer) this.#voice.answer(status);
    if (part === "manifest") {
      if (status.detail === "verified")
        queueMicrotask(() => this.#feed("manifest", { kind: "apply", name: status.name }));
      return;
    }
    this.#options.onStatus?.(status);
    const isUnderWay = status.state === "downloading";
    if (!isUnderWay) this.#voice.news(status, status.state === "idle" && status.detail !== "scheduled");
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const wakes = Object.values(this.#receivers).map(({ wakeAtMs }) => wakeAtMs ?? Number.POSITIVE_INFINITY);
    const delayMs = Math.min(...wakes) - performance.now();
    if (this.#isClosed || !Number.isFinite(delayMs)) return;
    this.#timer = setTimeout(() => this.#wake(), Math.min(2 ** 31 - 1, Math.max(1, delayMs)));
  }

  #wake(): void {
    for (const part of ["manifest", "image"] as const) this.#feed(part, { kind: "wake" });
  }

  // Manifest and image

  #takeManifest(): void {
    const { schedule, profile } = this.#memory.memory.manifest;
    // The core is done with it either way; not within its own step.
    queueMicrotask(() => this.#feed("manifest", { kind: "installed", outcome: "confirmed" }));
    if (!schedule || !profile) return;
    const bytes = new Uint8Array(profile.lengthBytes);
    this.#flashes.manifest.slot.read(0, bytes);
    if (this.#manifests.take(schedule, bytes)) return;
    this.#attempts.fail(schedule);
    this.#memory.change({ attempts: this.#attempts.entries });
  }

  async #install(): Promise<void> {
    const { slots, restart } = this.#options;
    const { profile } = this.#memory.memory.image;
    if (!profile) return;
    this.#memory.change({ versionBefore: slots.version() });
    this.#flashes.image.slot.sync();
    try {
      await slots.handlers.openStream({});
      for (let at = 0; at < profile.lengthBytes; at += PIECE_BYTES) {
        const piece = new Uint8Array(Math.min(PIECE_BYTES, profile.lengthBytes - at));
        this.#flashes.image.slot.read(at, piece);
        await slots.handlers.write(piece);
      }
      await slots.handlers.finish();
      await slots.handlers.performUpgrade();
    } catch (error) {
      if (error instanceof PeerError) this.refusals.count(error.code);
      this.#feed("image", { kind: "installed", outcome: "rolledBack" });
      return;
    }
    if (!this.#isClosed) restart();
  }

  /** What runs, as the network knows it. */
  #version(): string {
    const { named } = this.#memory.memory;
    const bySlots = this.#options.slots.version();
    return named?.bySlots === bySlots ? named.byManifest : bySlots;
  }

  #confirmed(): void {
    const securityCounter = this.#manifests.current()?.securityCounter ?? 0;
    if (securityCounter > this.#memory.memory.securityCounter) this.#memory.change({ securityCounter });
    const byManifest = this.#manifests.current()?.version;
    if (byManifest !== undefined)
      this.#memory.change({ named: { bySlots: this.#options.slots.version(), byManifest } });
    this.#feed("image", { kind: "installed", outcome: "confirmed" });
  }

  #open(part: Part, slotBytes: number): { readonly slot: FileFlash; readonly scratch: FileFlash } {
    const { folder } = this.#options;
    return {
      slot: new FileFlash(join(folder, `${part}.flash`), slotBytes),
      scratch: new FileFlash(join(folder, `${part}.scratch`), Math.max(LEAST_SCRATCH_BYTES, slotBytes / 4)),
    };
  }
}

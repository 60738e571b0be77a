/** A device with a Firmware Update object that bends the rules in the ways that devices in the field do. Virtual time. */

/** How one device differs from what object 5 says. Everything absent is as it should be. */
export interface DeviceFaults {
  /** State stays 0 until the package is there (no State 1 is ever seen). */
  readonly hidesDownloading?: boolean;
  /** While a package is pushed, every other request is answered 5.03. */
  readonly busyWhilePushed?: boolean;
  /** Notifications never arrive. */
  readonly losesNotifications?: boolean;
  /** After an installation it goes on without registering again. */
  readonly staysRegistered?: boolean;
  /** The only form of reset that it knows; the other one is refused. */
  readonly knowsReset?: "emptyUri" | "zeroPackage";
  /** It accepts resets and does nothing. */
  readonly ignoresResets?: boolean;
  /** It takes packages as base64 text only and refuses octets with 4.15. */
  readonly wantsText?: boolean;
  /** Octets at which a push breaks off, one after the other. */
  readonly breaksAt?: readonly number[];
  /** A push that broke off cannot go on: its blocks are forgotten (4.08, and the server starts over). */
  readonly forgetsBlocks?: boolean;
  /** Update Result as it stands from an older update, and stays until the next outcome. */
  readonly staleResult?: number;
  /** What it says after the installation, whatever runs. */
  readonly saysVersion?: string;
  readonly saysResult?: number;
  /** The new image does not start, and the old one says that all went well. */
  readonly fallsBack?: boolean;
  /** So often it comes back with the image not installed. */
  readonly losesInstallCount?: number;
  /** So often it answers an Execute with 5.03. */
  readonly busyExecuteCount?: number;
  /** The user defers for so long; the installation begins by itself then. */
  readonly defersMs?: number;
  /** Resource 13, as it tells it. */
  readonly maximumDeferPeriodS?: number;
  /** The download ends with this Update Result instead of an image, so often. */
  readonly failsDownload?: readonly number[];
  /** It answers nothing at all from this moment on. */
  readonly diesAtMs?: number;
  /** Whenever it is read, it notifies. */
  readonly notifiesEveryRead?: boolean;
  /** It holds an image that somebody else sent. */
  readonly holdsImage?: boolean;
  /** State that it is in, for ever. */
  readonly stuckInState?: number;
}

export type DeviceNews = "notified" | "registered";

/** An answer to a request, as object 5 knows them. */
export type DeviceAnswer =
  | { readonly outcome: "accepted" }
  | { readonly outcome: "refused"; readonly code: string }
  | { readonly outcome: "noAnswer" };

/** What a read of /3/0 and /5/0 brings. */
export interface DeviceReading {
  readonly state: number;
  readonly result: number;
  readonly version: string;
  readonly maximumDeferPeriodS: number | null;
}

const ACCEPTED: DeviceAnswer = { outcome: "accepted" };
const refused = (code: string): DeviceAnswer => ({ outcome: "refused", code });

/** Octets that a fetch or a push moves in a second. */
const RATE_BPS = 10_000;
const INSTALL_MS = 60_000;
const SUCCESS = 1;

/** What it takes a server to see that a request stays without an answer (RFC 7252 §4.8.2, MAX_TRANSMIT_WAIT). */
const GIVEN_UP_MS = 93_000;

export class MisbehavingDevice {
  readonly #faults: DeviceFaults;
  readonly #imageBytes: number;
  readonly #imageVersion: string;
  readonly #tell: (news: DeviceNews) => void;
  #tasks: { readonly atMs: number; readonly run: (nowMs: number) => void }[] = [];
  #state: number;
  #result: number;
  #version = "1.0.0";
  #isPushing = false;
  #breaks: number[];
  #failures: number[];
  #installsToLose: number;
  #busyExecutes: number;
  #hasDeferred = false;

  /** @param tell Called when the device gives news by itself. */
  constructor(
    faults: DeviceFaults,
    image: { readonly sizeBytes: number; readonly version: string },
    tell: (news: DeviceNews) => void,
  ) {
    this.#faults = faults;
    this.#imageBytes = image.sizeBytes;
    this.#imageVersion = image.version;
    this.#tell = tell;
    this.#state = faults.stuckInState ?? (faults.holdsImage ? 2 : 0);
    this.#result = faults.staleResult ?? 0;
    this.#breaks = [...(faults.breaksAt ?? [])];
    this.#failures = [...(faults.failsDownload ?? [])];
    this.#installsToLose = faults.losesInstallCount ?? 0;
    this.#busyExecutes = faults.busyExecuteCount ?? 0;
  }

  get wakeAtMs(): number | undefined {
    return this.#tasks.length === 0 ? undefined : Math.min(...this.#tasks.map(({ atMs }) => atMs));
  }

  wake(nowMs: number): void {
    const due = this.#tasks.filter(({ atMs }) => atMs <= nowMs);
    this.#tasks = this.#tasks.filter(({ atMs }) => atMs > nowMs);
    for (const { run } of due) run(nowMs);
  }

  /** `undefined` = no answer. */
  read(nowMs: number): DeviceReading | "busy" | undefined {
    if (this.#isDead(nowMs)) return undefined;
    if (this.#isPushing && this.#faults.busyWhilePushed) return "busy";
    if (this.#faults.notifiesEveryRead) this.#later(nowMs, 1, () => this.#notify());
    return {
      state: this.#faults.stuckInState ?? this.#state,
      result: this.#result,
      version: this.#version,
      maximumDeferPeriodS: this.#faults.maximumDeferPeriodS ?? null,
    };
  }

  /** Told to fetch the image; `progress` hears of what has arrived. */
  writeUri(nowMs: number, progress: (bytes: number) => void): DeviceAnswer {
    if (this.#isDead(nowMs)) return { outcome: "noAnswer" };
    if (this.#state !== 0) return refused("4.00");
    this.#begin();
    this.#later(nowMs, (1000 * this.#imageBytes) / RATE_BPS / 2, () => progress(Math.floor(this.#imageBytes / 2)));
    this.#later(nowMs, (1000 * this.#imageBytes) / RATE_BPS, () => {
      progress(this.#imageBytes);
      this.#received();
    });
    return ACCEPTED;
  }

  /** A package is pushed from `offset` on; `done` hears how it ended. */
  push(
    nowMs: number,
    { offset, isText }: { readonly offset: number; readonly isText: boolean },
    on: { progress(bytes: number): void; done(answer: DeviceAnswer): void },
  ): void {
    const refusal = this.#refusalOfPush(nowMs, isText);
    if (refusal !== undefined) {
      this.#later(nowMs, refusal.outcome === "noAnswer" ? GIVEN_UP_MS : 0, () => on.done(refusal));
      return;
    }
    const start = this.#faults.forgetsBlocks ? 0 : offset;
    this.#begin();
    this.#isPushing = true;
    const breakAt = this.#breaks.shift();
    const end = breakAt === undefined ? this.#imageBytes : Math.min(Math.max(start + 16, breakAt), this.#imageBytes);
    this.#later(nowMs, (1000 * (end - start)) / RATE_BPS, (atMs) => {
      on.progress(end);
      if (end < this.#imageBytes) {
        this.#later(atMs, GIVEN_UP_MS, () => this.#breakOff(on.done));
        return;
      }
      this.#isPushing = false;
      this.#received();
      on.done(ACCEPTED);
    });
  }

  #refusalOfPush(nowMs: number, isText: boolean): DeviceAnswer | undefined {
    if (this.#isDead(nowMs)) return { outcome: "noAnswer" };
    if (this.#faults.wantsText && !isText) return refused("4.15");
    return this.#state > 1 ? refused("4.00") : undefined;
  }

  execute(nowMs: number): DeviceAnswer {
    if (this.#isDead(nowMs)) return { outcome: "noAnswer" };
    if (this.#busyExecutes > 0) {
      this.#busyExecutes -= 1;
      return refused("5.03");
    }
    if (this.#state !== 2) return refused("4.05");
    if (this.#faults.defersMs !== undefined && !this.#hasDeferred) {
      this.#hasDeferred = true;
      this.#result = 11;
      this.#later(nowMs, this.#faults.defersMs, (atMs) => this.#install(atMs));
    } else this.#install(nowMs);
    this.#notify();
    return ACCEPTED;
  }

  reset(nowMs: number, form: string): DeviceAnswer {
    if (this.#isDead(nowMs)) return { outcome: "noAnswer" };
    const { knowsReset, ignoresResets } = this.#faults;
    if (knowsReset !== undefined && form !== knowsReset) return refused("4.00");
    if (this.#state === 3) return refused("4.05");
    if (!ignoresResets) {
      this.#state = 0;
      this.#tasks = [];
    }
    return ACCEPTED;
  }

  #begin(): void {
    this.#state = this.#faults.hidesDownloading ? 0 : 1;
    if (this.#faults.staleResult === undefined) this.#result = 0;
  }

  /** The server heard nothing for so long that it gave up; the device waits for the next block all the same. */
  #breakOff(done: (answer: DeviceAnswer) => void): void {
    this.#isPushing = false;
    this.#state = 0;
    done({ outcome: "noAnswer" });
  }

  #received(): void {
    const failure = this.#failures.shift();
    this.#state = failure === undefined ? 2 : 0;
    if (failure !== undefined) this.#result = failure;
    this.#notify();
  }

  #install(nowMs: number): void {
    this.#state = 3;
    this.#result = 0;
    this.#later(nowMs, INSTALL_MS, () => this.#boot());
  }

  #boot(): void {
    if (this.#installsToLose > 0) {
      this.#installsToLose -= 1;
      this.#state = 2;
    } else {
      this.#state = 0;
      this.#version = this.#faults.saysVersion ?? (this.#faults.fallsBack ? this.#version : this.#imageVersion);
      this.#result = this.#faults.saysResult ?? SUCCESS;
    }
    if (this.#faults.staysRegistered) this.#notify();
    else this.#tell("registered");
  }

  #notify(): void {
    if (!this.#faults.losesNotifications) this.#tell("notified");
  }

  #isDead(nowMs: number): boolean {
    return this.#faults.diesAtMs !== undefined && nowMs >= this.#faults.diesAtMs;
  }

  #later(nowMs: number, delayMs: number, run: (nowMs: number) => void): void {
    this.#tasks.push({ atMs: nowMs + delayMs, run });
  }
}

/** What one update asks of its device: each errand is started here, and what came of it goes back as an input. */
import { AirliftError, EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import type { Logger } from "pino";
import { base64Source } from "../delivery/base64-source.ts";
import type { PullScheme } from "../delivery/delivery-choice.ts";
import type { DriverInput, DriverOutput, UpdateOrder } from "../delivery/driver-messages.ts";
import type { DeviceReport } from "../delivery/report.ts";
import type { ApplyStep, ResetForm } from "../delivery/update-object.ts";
import { isStillAt, type Registration } from "../fleet/registration.ts";
import type { Stores } from "../store/ports.ts";
import type { DeviceLink } from "./device-link.ts";
import type { ExchangeLog } from "./exchange-log.ts";
import type { SentFile } from "./image-door.ts";

export type Errand = Extract<
  DriverOutput,
  {
    kind:
      | "look"
      | "observe"
      | "startTransfer"
      | "execute"
      | "withdrawExecute"
      | "resetDevice"
      | "stopTransfer"
      | "endObservation";
  }
>;

/** What a device told of itself; without `firmware` when something else of it was looked at. */
export type KnownOfDevice = Omit<DeviceReport, "firmware"> & {
  readonly firmware: DeviceReport["firmware"] | undefined;
};

export interface ErrandOptions {
  readonly stores: Pick<Stores, "images">;
  /** A link to devices that looks at the update's target and notes every exchange. */
  readonly linkFor: (order: UpdateOrder, exchanges: ExchangeLog) => DeviceLink;
  readonly log: Logger;
  /** The registration of an endpoint that is here. */
  readonly registrationOf: (endpoint: string) => Registration | undefined;
  /** The Package URI under which this device can fetch what an update sends. */
  readonly packageUri: (file: SentFile, scheme: PullScheme, registration: Registration) => Promise<string>;
  /** The schemes under which this device can reach our images. */
  readonly schemesFor: (registration: Registration) => readonly PullScheme[];
  /** A device told what it runs. */
  readonly onReport: (endpoint: string, report: KnownOfDevice) => void;
}

/** What one update's errands are given beside the options of all. */
export interface ErrandPorts {
  readonly exchanges: ExchangeLog;
  /** Takes what came of an errand. */
  feed(input: DriverInput): void;
  /** The device is told to fetch this. */
  onPackageUri(uri: string): void;
  /** The device refused blocks of the package as too large, and gets smaller ones. */
  onSmallerBlocks(blockBytes: number): void;
}

type Transfer = Extract<Errand, { kind: "startTransfer" }>;

export class Errands {
  readonly #options: ErrandOptions;
  readonly #order: UpdateOrder;
  readonly #feed: (input: DriverInput) => void;
  readonly #link: DeviceLink;
  readonly #ports: ErrandPorts;
  #transfer: AbortController | undefined;
  #execution: AbortController | undefined;
  #endObservations: (() => void)[] = [];
  #isOver = false;

  constructor(order: UpdateOrder, options: ErrandOptions, ports: ErrandPorts) {
    this.#order = order;
    this.#options = options;
    this.#ports = ports;
    this.#feed = (input) => ports.feed(input);
    this.#link = options.linkFor(order, ports.exchanges);
  }

  /** Begins an errand and returns at once. */
  run(errand: Errand): void {
    switch (errand.kind) {
      case "stopTransfer":
        this.stopTransfer();
        break;
      case "withdrawExecute":
        this.#execution?.abort();
        break;
      case "endObservation":
        this.#endObserving();
        break;
      case "observe":
        this.#endObserving();
        this.#withDevice((registration) => this.#observe(registration));
        break;
      case "resetDevice":
        this.#withDevice((registration) => this.#reset(registration, errand.form));
        break;
      default:
        this.#ask(errand);
    }
  }

  stopTransfer(): void {
    this.#ports.exchanges.endFetch();
    this.#transfer?.abort();
    this.#transfer = undefined;
  }

  /** The update has ended: an observation that is still being set up is ended as soon as it stands. */
  close(): void {
    this.#isOver = true;
    this.#execution?.abort();
    this.stopTransfer();
    this.#endObserving();
  }

  /** What the update waits for: no device is as good as no answer. */
  #ask(errand: Extract<Errand, { kind: "look" | "startTransfer" | "execute" }>): void {
    switch (errand.kind) {
      case "look":
        this.#withDevice(
          (registration) => this.#look(registration, errand.look),
          () => this.#feed({ kind: "report", look: errand.look, report: undefined, schemes: [] }),
        );
        break;
      case "startTransfer":
        this.#withDevice(
          (registration) => this.#startTransfer(registration, errand),
          () => this.#feed({ kind: "transferAnswered", outcome: "noAnswer" }),
        );
        break;
      case "execute":
        this.#withDevice(
          (registration) => this.#execute(registration, errand.step),
          () => this.#feed({ kind: "executeAnswered", outcome: "noAnswer" }),
        );
    }
  }

  #endObserving(): void {
    for (const end of this.#endObservations.splice(0)) end();
  }

  #withDevice(act: (registration: Registration) => Promise<void>, otherwise?: () => void): void {
    const { registrationOf, log } = this.#options;
    const { endpoint } = this.#order;
    const registration = registrationOf(endpoint);
    if (registration === undefined) {
      otherwise?.();
      return;
    }
    act(registration).catch((error) => {
      log.error({ err: error, endpoint }, "talking to a device failed");
      otherwise?.();
    });
  }

  async #look(registration: Registration, look: number): Promise<void> {
    const { log, onReport, registrationOf } = this.#options;
    const { endpoint } = this.#order;
    let report: DeviceReport | undefined;
    let why: string | undefined;
    try {
      report = await this.#link.readReport(registration);
      const isFirmware = this.#order.target.kind === "firmware";
      if (isStillAt(registration, registrationOf(endpoint)))
        onReport(endpoint, isFirmware ? report : { ...report, firmware: undefined });
    } catch (error) {
      if (!(error instanceof AirliftError)) throw error;
      why = whyUnread(error, registration);
      if (error.code === "DEVICE_ASLEEP") this.#feed({ kind: "asleep" });
      log.debug({ endpoint, code: error.code }, "a device did not report");
    }
    const schemes = this.#options.schemesFor(registration);
    this.#feed({ kind: "report", look, report, schemes, ...(why !== undefined && { why }) });
  }

  async #observe(registration: Registration): Promise<void> {
    const ends = await this.#link.observe(registration, () => this.#feed({ kind: "notified" }));
    if (this.#isOver) for (const end of ends) end();
    else this.#endObservations.push(...ends);
  }

  async #startTransfer(registration: Registration, errand: Transfer): Promise<void> {
    const { choice, holdBack, packageId } = errand;
    const transfer = new AbortController();
    this.#transfer = transfer;
    if (holdBack) {
      const told = await this.#link.holdBack(registration);
      if (transfer.signal.aborted) return;
      if (told.outcome !== "accepted") return this.#feed({ kind: "transferAnswered", ...told });
    }
    if (choice.kind === "push") return this.#push(registration, errand, transfer.signal);
    const uri = await this.#options.packageUri(
      { packageId, updateId: this.#order.updateId },
      choice.scheme,
      registration,
    );
    if (transfer.signal.aborted) return;
    this.#ports.onPackageUri(uri);
    const outcome = await this.#link.writePackageUri(registration, uri);
    this.#feed({ kind: "transferAnswered", ...outcome });
  }

  async #push(registration: Registration, { choice, packageId, offset }: Transfer, signal: AbortSignal): Promise<void> {
    try {
      const image = await this.#options.stores.images.openSource(packageId);
      if (image === undefined)
        throw new EnvironmentError("IMAGE_READ", "the image's file is gone", { imageId: packageId });
      signal.throwIfAborted();
      const isText = choice.kind === "push" && choice.encoding === "base64";
      const source = isText ? base64Source(image) : image;
      const onProgress = ({ bytes }: { readonly bytes: number }): void =>
        this.#feed({
          kind: "progress",
          acknowledgedBytes: Math.floor((bytes * image.sizeBytes) / Math.max(1, source.sizeBytes)),
        });
      const contentFormat = isText ? CONTENT_FORMATS.text : CONTENT_FORMATS.opaque;
      const outcome = await this.#link.pushPackage(registration, source, {
        signal,
        onProgress,
        onSmallerBlocks: (blockBytes) => this.#ports.onSmallerBlocks(blockBytes),
        offset,
        contentFormat,
      });
      if (!signal.aborted) this.#feed({ kind: "pushEnded", ...outcome });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #execute(registration: Registration, step: ApplyStep): Promise<void> {
    const execution = new AbortController();
    this.#execution = execution;
    try {
      const outcome = await this.#link.apply(registration, step, execution.signal);
      this.#feed({ kind: "executeAnswered", ...outcome });
    } catch (error) {
      if (!execution.signal.aborted) throw error;
      this.#feed({ kind: "executeAnswered", outcome: "noAnswer" });
    }
  }

  async #reset(registration: Registration, form: ResetForm): Promise<void> {
    const outcome = await this.#link.reset(registration, form);
    this.#feed({ kind: "resetAnswered", ...outcome });
  }
}

/** Why a device could not be read, in words for its timeline. */
function whyUnread(error: AirliftError, { home }: Registration): string {
  if (error.code === "COAP_TIMEOUT")
    return home === undefined
      ? "the device does not answer"
      : `the device knows the server ${home} and does not answer this one`;
  return error instanceof PeerError
    ? `the device's answer cannot be read (${error.code}: ${error.message})`
    : `the device cannot be asked (${error.code}: ${error.message})`;
}

/** What one update asks of its device: each errand is started here, and what came of it goes back as an input. */
import { AirliftError, EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import { FIRMWARE_UPDATE_RESOURCES } from "@airlift/protocol/lwm2m/objects/firmware-update";
import type { Logger } from "pino";
import type { DeliveryChoice, PullScheme } from "../delivery/delivery-choice.ts";
import type { DriverInput, DriverOutput, UpdateOrder } from "../delivery/driver-messages.ts";
import type { DeviceReport } from "../delivery/report.ts";
import type { Registration } from "../fleet/registration.ts";
import type { Stores } from "../store/ports.ts";
import type { DeviceLink } from "./device-link.ts";

export type Errand = Extract<
  DriverOutput,
  { kind: "look" | "observe" | "startTransfer" | "execute" | "resetDevice" | "stopTransfer" | "endObservation" }
>;

export interface ErrandOptions {
  readonly stores: Pick<Stores, "images">;
  readonly link: DeviceLink;
  readonly log: Logger;
  /** The registration of an endpoint that is here. */
  readonly registrationOf: (endpoint: string) => Registration | undefined;
  /** The Package URI under which this device can fetch the image of an update. */
  readonly packageUri: (order: UpdateOrder, scheme: PullScheme, registration: Registration) => Promise<string>;
  /** The schemes under which this device can reach our images. */
  readonly schemesFor: (registration: Registration) => readonly PullScheme[];
  /** A device told what it runs. */
  readonly onReport: (endpoint: string, report: DeviceReport) => void;
}

/** Takes what came of an errand. */
export type FeedDriver = (input: DriverInput) => void;

export class Errands {
  readonly #options: ErrandOptions;
  readonly #order: UpdateOrder;
  readonly #feed: FeedDriver;
  #transfer: AbortController | undefined;
  #endObservations: (() => void)[] = [];
  #isOver = false;

  constructor(order: UpdateOrder, options: ErrandOptions, feed: FeedDriver) {
    this.#order = order;
    this.#options = options;
    this.#feed = feed;
  }

  /** Begins an errand and returns at once. */
  run(errand: Errand): void {
    switch (errand.kind) {
      case "stopTransfer":
        this.stopTransfer();
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
    this.#transfer?.abort();
    this.#transfer = undefined;
  }

  /** The update has ended: an observation that is still being set up is ended as soon as it stands. */
  close(): void {
    this.#isOver = true;
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
          (registration) => this.#startTransfer(registration, errand.choice),
          () => this.#feed({ kind: "transferAnswered", outcome: "noAnswer" }),
        );
        break;
      case "execute":
        this.#withDevice(
          (registration) => this.#execute(registration),
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
    const { link, log, onReport } = this.#options;
    const { endpoint } = this.#order;
    let report: DeviceReport | undefined;
    let why: string | undefined;
    try {
      report = await link.readReport(registration);
      onReport(endpoint, report);
    } catch (error) {
      if (!(error instanceof AirliftError)) throw error;
      why = whyUnread(error);
      log.debug({ endpoint, code: error.code }, "a device did not report");
    }
    const schemes = this.#options.schemesFor(registration);
    this.#feed({ kind: "report", look, report, schemes, ...(why !== undefined && { why }) });
  }

  async #observe(registration: Registration): Promise<void> {
    for (const resource of [FIRMWARE_UPDATE_RESOURCES.state, FIRMWARE_UPDATE_RESOURCES.updateResult]) {
      const end = await this.#options.link.observeFirmware(registration, resource, () =>
        this.#feed({ kind: "notified" }),
      );
      if (end === undefined) continue;
      if (this.#isOver) end();
      else this.#endObservations.push(end);
    }
  }

  async #startTransfer(registration: Registration, choice: DeliveryChoice): Promise<void> {
    const transfer = new AbortController();
    this.#transfer = transfer;
    if (choice.kind === "push") return this.#push(registration, transfer.signal);
    const uri = await this.#options.packageUri(this.#order, choice.scheme, registration);
    if (transfer.signal.aborted) return;
    const outcome = await this.#options.link.writePackageUri(registration, uri);
    this.#feed({ kind: "transferAnswered", ...outcome });
  }

  async #push(registration: Registration, signal: AbortSignal): Promise<void> {
    const { stores, link } = this.#options;
    try {
      const source = await stores.images.openSource(this.#order.imageId);
      if (source === undefined)
        throw new EnvironmentError("IMAGE_READ", "the image's file is gone", { ...this.#order });
      signal.throwIfAborted();
      const onProgress = ({ bytes }: { readonly bytes: number }): void =>
        this.#feed({ kind: "progress", acknowledgedBytes: bytes });
      const outcome = await link.pushPackage(registration, source, { signal, onProgress });
      if (!signal.aborted) this.#feed({ kind: "pushEnded", ...outcome });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #execute(registration: Registration): Promise<void> {
    const outcome = await this.#options.link.executeUpdate(registration);
    this.#feed({ kind: "executeAnswered", ...outcome });
  }

  async #reset(registration: Registration, form: "emptyUri" | "zeroPackage"): Promise<void> {
    const { link } = this.#options;
    const outcome = await (form === "emptyUri"
      ? link.writePackageUri(registration, "")
      : link.writeZeroPackage(registration));
    this.#feed({ kind: "resetAnswered", ...outcome });
  }
}

/** Why a device could not be read, in words for its timeline. */
function whyUnread(error: AirliftError): string {
  if (error.code === "COAP_TIMEOUT") return "the device does not answer";
  return error instanceof PeerError
    ? `the device's answer cannot be read (${error.code}: ${error.message})`
    : `the device cannot be asked (${error.code}: ${error.message})`;
}

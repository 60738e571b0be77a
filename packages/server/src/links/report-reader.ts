/** Asks devices that have just registered what they run; a few at a time, so that a fleet that wakes at once is not a flood. */
import { AirliftError } from "@airlift/protocol/lib/errors";
import type { Logger } from "pino";
import type { DeviceReport } from "../delivery/report.ts";
import { isStillAt, type Registration } from "../fleet/registration.ts";
import type { DeviceLink } from "./device-link.ts";

/** Devices asked at once. With 100 ms round trips this reads some 600 devices a second. */
const AT_ONCE = 200;

/** Devices that may wait for their turn; one beyond is asked when it registers next. */
const WAITING_LIMIT = 100_000;

export interface ReportReaderOptions {
  readonly link: DeviceLink;
  readonly log: Logger;
  readonly onReport: (endpoint: string, report: DeviceReport) => void;
  /** The registration of an endpoint that is here. */
  readonly registrationOf: (endpoint: string) => Registration | undefined;
  /** Asks the device what else is to be known of it, in the same turn. */
  readonly readMore: (registration: Registration) => Promise<void>;
}

export class ReportReader {
  readonly #link: DeviceLink;
  readonly #log: Logger;
  readonly #onReport: (endpoint: string, report: DeviceReport) => void;
  readonly #registrationOf: ReportReaderOptions["registrationOf"];
  readonly #readMore: (registration: Registration) => Promise<void>;
  /** By endpoint, so that a device that registers again while it waits is asked once, at its new address. */
  readonly #waiting = new Map<string, Registration>();
  #runningCount = 0;

  constructor({ link, log, onReport, registrationOf, readMore }: ReportReaderOptions) {
    this.#link = link;
    this.#log = log;
    this.#onReport = onReport;
    this.#registrationOf = registrationOf;
    this.#readMore = readMore;
  }

  read(registration: Registration): void {
    if (this.#waiting.size < WAITING_LIMIT || this.#waiting.has(registration.endpoint)) {
      this.#waiting.set(registration.endpoint, registration);
      this.#next();
    } else this.#log.warn({ endpoint: registration.endpoint }, "too many devices wait to be read");
  }

  close(): void {
    this.#waiting.clear();
  }

  #next(): void {
    const [registration] = this.#waiting.values();
    if (registration === undefined || this.#runningCount >= AT_ONCE) return;
    this.#waiting.delete(registration.endpoint);
    this.#runningCount += 1;
    this.#readOne(registration).finally(() => {
      this.#runningCount -= 1;
      this.#next();
    });
  }

  async #readOne(registration: Registration): Promise<void> {
    const { endpoint } = registration;
    try {
      const report = await this.#link.readReport(registration);
      // It is read anew where it is now.
      if (!isStillAt(registration, this.#registrationOf(endpoint))) return;
      this.#onReport(endpoint, report);
      await this.#readMore(registration);
    } catch (error) {
      if (error instanceof AirliftError) this.#log.debug({ endpoint, code: error.code }, "a device did not report");
      else this.#log.error({ err: error, endpoint }, "reading a device failed");
    }
  }
}

/** Asks devices that have just registered what they run; a few at a time, so that a fleet that wakes at once is not a flood. */
import { AirliftError } from "@airlift/protocol/lib/errors";
import type { Logger } from "pino";
import type { DeviceReport } from "../delivery/report.ts";
import { FairLine } from "../fleet/fair-line.ts";
import { hostOf } from "../fleet/host.ts";
import { isStillAt, type Registration } from "../fleet/registration.ts";
import type { DeviceLink } from "./device-link.ts";
import { parseAddress } from "./door.ts";

/** Devices of one kind that have a place at once. With 100 ms round trips this reads some 600 devices a second. */
const PLACE_COUNT = 200;

/**
 * How long a device has its place: most are read by then, and one that is silent is asked on without a place. Silent devices give
 * back 40 places a second, and at most 3,720 of them are asked at once (93 s each).
 */
const PLACE_MS = 5_000;

/** Devices of one kind that may wait for a place; one beyond is asked when it registers next. */
const WAITING_LIMIT = 100_000;

export interface ReportReaderOptions {
  readonly link: Pick<DeviceLink, "readReport">;
  readonly log: Logger;
  readonly onReport: (endpoint: string, report: DeviceReport) => void;
  /** The registration of an endpoint that is here. */
  readonly registrationOf: (endpoint: string) => Registration | undefined;
  /** Asks the device what else is to be known of it, in the same turn. */
  readonly readMore: (registration: Registration) => Promise<void>;
  readonly placeCount?: number | undefined;
  readonly placeMs?: number | undefined;
}

/** The places of one kind of devices, and the endpoints that wait for one. */
interface Room {
  readonly line: FairLine;
  takenCount: number;
}

/**
 * Whoever claims to be at an address over plain UDP may claim it of thousands, none of which answers. So they have places of their
 * own, for a short time, and each host has its turn; who has shown that it hears us waits for no claim.
 */
export class ReportReader {
  readonly #options: ReportReaderOptions;
  readonly #heard = createRoom();
  readonly #claimed = createRoom();

  constructor(options: ReportReaderOptions) {
    this.#options = options;
  }

  read(registration: Registration): void {
    const isClaim = registration.transport === "udp";
    (isClaim ? this.#heard : this.#claimed).line.delete(registration.endpoint);
    this.#enter(isClaim ? this.#claimed : this.#heard, registration);
  }

  /** The device has used the location that it was told: what we send comes to where it says it is. */
  proved(registration: Registration): void {
    if (this.#claimed.line.delete(registration.endpoint)) this.#enter(this.#heard, registration);
  }

  close(): void {
    for (const { line } of [this.#heard, this.#claimed]) line.clear();
  }

  #enter(room: Room, { endpoint, address }: Registration): void {
    const host = hostOf(parseAddress(address).address);
    if (room.line.add(endpoint, host)) this.#next(room);
    else this.#options.log.warn({ endpoint, host }, "too many devices wait to be read");
  }

  #next(room: Room): void {
    const { placeCount = PLACE_COUNT, registrationOf } = this.#options;
    while (room.takenCount < placeCount) {
      const endpoint = room.line.take();
      if (endpoint === undefined) return;
      // It is read where it is now, if it has not left.
      const registration = registrationOf(endpoint);
      if (registration !== undefined) void this.#readInPlace(room, registration);
    }
  }

  async #readInPlace(room: Room, registration: Registration): Promise<void> {
    room.takenCount += 1;
    const hasPlace = new AbortController();
    hasPlace.signal.addEventListener("abort", () => {
      room.takenCount -= 1;
      this.#next(room);
    });
    const timer = setTimeout(() => hasPlace.abort(), this.#options.placeMs ?? PLACE_MS).unref();
    await this.#readOne(registration);
    clearTimeout(timer);
    hasPlace.abort();
  }

  async #readOne(registration: Registration): Promise<void> {
    const { link, log, onReport, registrationOf, readMore } = this.#options;
    const { endpoint } = registration;
    try {
      const report = await link.readReport(registration);
      // It is read anew where it is now.
      if (!isStillAt(registration, registrationOf(endpoint))) return;
      onReport(endpoint, report);
      await readMore(registration);
    } catch (error) {
      if (error instanceof AirliftError) log.debug({ endpoint, code: error.code }, "a device did not report");
      else log.error({ err: error, endpoint }, "reading a device failed");
    }
  }
}

const createRoom = (): Room => ({ line: new FairLine({ limit: WAITING_LIMIT }), takenCount: 0 });

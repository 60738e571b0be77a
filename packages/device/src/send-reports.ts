/**
 * Tells the server by Send (LwM2M Core 1.2 §6.4.6) what it did not observe: State and Update Result whenever one of
 * them changes, and after a start that an update caused, which versions run now.
 */
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import { DEVICE_ID, DEVICE_RESOURCES } from "@airlift/protocol/lwm2m/objects/device";
import { FIRMWARE_UPDATE_ID, FIRMWARE_UPDATE_RESOURCES } from "@airlift/protocol/lwm2m/objects/firmware-update";
import type { Path } from "@airlift/protocol/lwm2m/path";

const { state, updateResult } = FIRMWARE_UPDATE_RESOURCES;
/** The result stands before the state, as in notifications. */
const OF_UPDATE: readonly Path[] = [updateResult, state].map((id) => [FIRMWARE_UPDATE_ID, 0, id]);
const OF_DEVICE: readonly Path[] = [DEVICE_RESOURCES.firmwareVersion, DEVICE_RESOURCES.softwareVersion].map((id) => [
  DEVICE_ID,
  0,
  id,
]);

export interface SendReportsOptions {
  /** What holds at a path at present; nothing where there is no such resource. */
  entriesAt(path: Path): Entry[];
  /** Sends; rejects when the server did not take it. */
  send(entries: readonly Entry[]): Promise<void>;
  /** The server is there and has not muted us. */
  isOpen(): boolean;
  onFailure(error: unknown): void;
  /** The start follows an update: its outcome, and the versions, are news. */
  readonly tellsStart: boolean;
  /** Update Result and State of each component (object 33629), in this order; none by default. */
  readonly components?: readonly (readonly [result: Path, state: Path])[];
}

/** One report is under way at a time; what changes meanwhile goes into the next, with the values of then. */
export class SendReports {
  readonly #options: SendReportsOptions;
  readonly #pending: Set<Path>;
  #isSending = false;

  constructor(options: SendReportsOptions) {
    this.#options = options;
    this.#pending = new Set(options.tellsStart ? [...OF_UPDATE, ...OF_DEVICE] : []);
  }

  /** Resources of /5/0 have changed. */
  changed(resources: readonly number[]): void {
    if (!resources.includes(state) && !resources.includes(updateResult)) return;
    for (const path of OF_UPDATE) this.#pending.add(path);
    this.flush();
  }

  /** These have changed, State or Update Result of a component among them or not. */
  changedAt(paths: readonly Path[]): void {
    const { components = [] } = this.#options;
    const touched = components.filter((pair) => pair.some((path) => paths.some((each) => isSame(each, path))));
    if (touched.length === 0) return;
    for (const path of touched.flat()) this.#pending.add(path);
    this.flush();
  }

  /** Sends what waits, if it can be sent now. */
  flush(): void {
    if (this.#isSending || this.#pending.size === 0 || !this.#options.isOpen()) return;
    const { components = [] } = this.#options;
    const paths = [...OF_UPDATE, ...components.flat(), ...OF_DEVICE].filter((path) => this.#pending.has(path));
    this.#pending.clear();
    this.#isSending = true;
    void this.#send(paths);
  }

  async #send(paths: readonly Path[]): Promise<void> {
    try {
      await this.#options.send(paths.flatMap((path) => this.#options.entriesAt(path)));
      this.#isSending = false;
      this.flush();
    } catch (error) {
      // Not at once again: the next change, registration or refresh takes it along.
      this.#isSending = false;
      for (const path of paths) this.#pending.add(path);
      this.#options.onFailure(error);
    }
  }
}

function isSame(a: Path, b: Path): boolean {
  return a.length === b.length && a.every((part, index) => part === b[index]);
}

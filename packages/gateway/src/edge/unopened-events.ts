/** Devices whose events the server has not opened yet: what an event says is sealed for the server. */
import type { EventReport } from "@airlift/protocol/api/gateway";
import { DEFAULT_MAX_WAITING, type WaitingReport } from "./outbox.ts";

export class UnopenedEvents {
  /** Hex names of the devices, by the number of the report. */
  readonly #devices = new Map<number, string>();

  /** @param waiting Reports of an earlier run, in order. */
  constructor(waiting: readonly WaitingReport[]) {
    for (const { number, json } of waiting) {
      const { kind, name } = JSON.parse(json) as Partial<EventReport>;
      if (kind === "event" && name !== undefined) this.#devices.set(number, name);
    }
  }

  /** @param number Of its report, higher than all before. @param device Hex name. */
  add(number: number, device: string): void {
    this.#devices.set(number, device);
    if (this.#devices.size <= DEFAULT_MAX_WAITING) return;
    // The server is away, and the outbox has no room for it either.
    const [oldest] = this.#devices.keys();
    if (oldest !== undefined) this.#devices.delete(oldest);
  }

  /** Hex name; empty when nobody remembers. */
  deviceOf(number: number): string {
    return this.#devices.get(number) ?? "";
  }

  /** Each device once that said something after report `number`. */
  since(number: number): string[] {
    const names = new Set<string>();
    for (const [one, name] of this.#devices) if (one > number) names.add(name);
    return [...names];
  }

  /** The server has all up to a number. */
  opened(number: number): void {
    for (const one of this.#devices.keys()) {
      if (one > number) break;
      this.#devices.delete(one);
    }
  }
}

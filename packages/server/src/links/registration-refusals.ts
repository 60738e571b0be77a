/** What devices were refused at the registration interface: counted, and told on the device's timeline, but not in floods. */
import { formatCode } from "@airlift/protocol/coap/codes";
import { decodeUtf8 } from "@airlift/protocol/lib/bytes";
import type { NewEvent } from "../store/ports.ts";

export interface RegistrationRefusal {
  readonly address: string;
  /** Who it says it is; `undefined` when it does not say. */
  readonly endpoint: string | undefined;
  readonly code: number;
  /** The diagnostic payload of the answer. */
  readonly reason: Uint8Array;
}

/** One event for a device in this time; the others are counted. */
const QUIET_MS = 60_000;
/** Devices whose last event is remembered; the one refused longest ago is forgotten first. */
const REMEMBERED = 1_000;
const LONGEST_NAME = 255;

export class RegistrationRefusals {
  /** By code, "4.00". */
  readonly counts = new Map<string, number>();
  readonly #toldAtMs = new Map<string, number>();

  /** The event to store, or `undefined` when this device's last one is too young. */
  note({ address, endpoint, code, reason }: RegistrationRefusal, nowMs: number): NewEvent | undefined {
    const name = formatCode(code);
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    const key = endpoint ?? address;
    if (nowMs - (this.#toldAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < QUIET_MS) return undefined;
    this.#toldAtMs.delete(key);
    this.#toldAtMs.set(key, nowMs);
    if (this.#toldAtMs.size > REMEMBERED) this.#toldAtMs.delete(this.#toldAtMs.keys().next().value as string);
    const why = decodeUtf8(reason) || "no such registration";
    const sentence = `a registration from ${address} was refused with ${name}: ${why}`;
    return { kind: "device.refused", endpoint: endpoint ?? null, sentence, facts: { address, code: name } };
  }
}

/** The name in the queries of a request that was refused, as far as it can be one. */
export function endpointIn(uriQuery: readonly string[]): string | undefined {
  const name = uriQuery.find((query) => query.startsWith("ep="))?.slice(3);
  return name === undefined || name === "" || name.length > LONGEST_NAME ? undefined : name;
}

/** What changes hands between servers on one database: what a dead one had, what one that is back gets again, and devices that come and go. */
import type { Event } from "@airlift/protocol/api/schemas";
import { AirliftError } from "@airlift/protocol/lib/errors";
import type { Logger } from "pino";
import { isOutdated, type Registration } from "../fleet/registration.ts";
import type { KeptRegistration, Stores } from "../store/ports.ts";
import type { DeliveryEngine } from "./delivery-engine.ts";

export interface TakeoverOptions {
  readonly stores: Pick<Stores, "devices" | "events" | "nodes" | "updates">;
  readonly delivery: Pick<DeliveryEngine, "takeOver">;
  /** Registrations that are this server's from now on, so that they expire when nothing is heard; those of which less is known here. */
  readonly onRegistrations: (kept: readonly KeptRegistration[]) => void;
  /** The device is this server's again, also one that never left here: what waits for it may have. */
  readonly onClaimed: (endpoint: string) => void;
  /** All registrations that are here, to be gone through bit by bit. */
  readonly registrations: () => Iterator<Registration>;
  /** Those of them whose home is another server. */
  readonly guests: () => Iterable<Registration>;
  readonly registrationOf: (endpoint: string) => Registration | undefined;
  /** Whether what others say of a device is older than that it has registered here. */
  readonly isArriving: (endpoint: string) => boolean;
  /** The device is at another server; it need not have been at this one. */
  readonly onLeft: (endpoint: string) => void;
  readonly log: Logger;
  /** How often it is looked for what nobody has. Default `LOOK_MS`. */
  readonly lookMs?: number | undefined;
}

/** Half a lease. */
const LOOK_MS = 5_000;
const DEVICES_AT_ONCE = 5_000;
const UPDATES_AT_ONCE = 1_000;
/** In the field: a hundred thousand devices are gone through in less than two minutes. */
const OWN_AT_ONCE = 5_000;

export class Takeover {
  readonly #options: TakeoverOptions;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #stopListening: (() => void) | undefined;
  #round: Iterator<Registration> | undefined;

  constructor(options: TakeoverOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopListening = this.#options.stores.events.subscribe((event) => this.#onEvent(event));
    this.#timer = setInterval(() => void this.look(), this.#options.lookMs ?? LOOK_MS).unref();
    void this.look();
  }

  /** Takes over what is there to be taken; never throws: what cannot be had now is looked for again. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error) => {
        const level = error instanceof AirliftError ? "warn" : "error";
        this.#options.log[level]({ err: error }, "what other servers left could not be taken over");
      })
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopListening?.();
    await this.#looking;
  }

  #onEvent({ kind, endpoint, at, facts: { node } }: Event): void {
    const { stores, registrationOf, isArriving, onLeft } = this.#options;
    if (kind !== "device.registered" || endpoint === null || typeof node !== "string") return;
    if (node === stores.nodes.id || isArriving(endpoint)) return;
    // What its home says of a guest may be of the time before; when the home is back, the record tells.
    if (registrationOf(endpoint)?.home === node) return;
    // A server that was without the database tells late what it has seen before the device came here.
    if (Date.parse(at) >= (registrationOf(endpoint)?.registeredAtMs ?? 0)) onLeft(endpoint);
  }

  async #look(): Promise<void> {
    const { stores, delivery, onRegistrations, onClaimed, registrationOf, log } = this.#options;
    if (!stores.nodes.holdsLease) return;
    const registrations = await stores.devices.claim(DEVICES_AT_ONCE);
    onRegistrations(registrations.filter((kept) => isOutdated(registrationOf(kept.endpoint), kept)));
    for (const { endpoint } of registrations) onClaimed(endpoint);
    await this.#leave(this.#nextOwn());
    await this.#leaveGuests();
    const updates = [
      ...(await stores.updates.claimFree(UPDATES_AT_ONCE)),
      ...(await stores.updates.claimStray(UPDATES_AT_ONCE)),
    ];
    await delivery.takeOver(updates);
    if (registrations.length + updates.length > 0)
      log.info({ devices: registrations.length, updates: updates.length }, "took what another server had");
  }

  /** Devices that are elsewhere by now though no event said so here: one may not have been stored, or not in the order of what it tells. */
  async #leave(own: readonly Registration[]): Promise<void> {
    const { stores, registrationOf, onLeft } = this.#options;
    const byEndpoint = new Map(own.map((registration) => [registration.endpoint, registration]));
    for (const endpoint of await stores.devices.leftAmong(own))
      if (registrationOf(endpoint) === byEndpoint.get(endpoint)) onLeft(endpoint);
  }

  /** All of them that have a home again: it takes them back without a word of theirs. */
  async #leaveGuests(): Promise<void> {
    const { stores, guests } = this.#options;
    const all = [...guests()];
    if (all.length === 0) return;
    const alive = new Set((await stores.nodes.list()).flatMap(({ id, isAlive }) => (isAlive ? [id] : [])));
    const wanted = all.filter(({ home }) => home !== undefined && alive.has(home));
    for (let from = 0; from < wanted.length; from += OWN_AT_ONCE)
      await this.#leave(wanted.slice(from, from + OWN_AT_ONCE));
  }

  #nextOwn(): Registration[] {
    this.#round ??= this.#options.registrations();
    const own: Registration[] = [];
    while (own.length < OWN_AT_ONCE) {
      const next = this.#round.next();
      if (next.done === true) {
        this.#round = undefined;
        break;
      }
      own.push(next.value);
    }
    return own;
  }
}

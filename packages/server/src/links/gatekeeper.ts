/** Asks whoever keeps the credentials for which endpoint a visitor may speak. */
import type { PlainDevices } from "../config/doors.ts";
import type { DeviceCredentials } from "../fleet/credentials.ts";
import type { Registration } from "../fleet/registration.ts";
import { isSecure, type Sender } from "../fleet/sender.ts";
import type { DeviceStore } from "../store/ports.ts";
import type { Visitor } from "./door.ts";
import { GatheredQuestion } from "./gathered-question.ts";

/** Endpoints that have registered with a proof so lately that it may not be on record yet. */
const LATELY_COUNT = 10_000;

export interface GatekeeperParts {
  readonly credentials: DeviceCredentials | undefined;
  readonly devices: Pick<DeviceStore, "securedAmong">;
  readonly plainDevices: PlainDevices;
}

const SECURED_BEFORE =
  "this endpoint has registered over a secured transport before and has to use one, until an operator allows otherwise";

export class Gatekeeper {
  readonly #credentials: DeviceCredentials | undefined;
  readonly #plainDevices: PlainDevices;
  /** Names of sessions and connections, for as long as these last; one whose credential is withdrawn ends. */
  readonly #names = new WeakMap<object, string>();

  readonly #lately = new Set<string>();
  readonly #devices: GatekeeperParts["devices"];
  readonly #wasSecured: GatheredQuestion;

  constructor({ credentials, devices, plainDevices }: GatekeeperParts) {
    this.#credentials = credentials;
    this.#devices = devices;
    this.#plainDevices = plainDevices;
    this.#wasSecured = new GatheredQuestion((endpoints) => devices.securedAmong(endpoints));
  }

  /** A device has registered with a proof: from now on its name is not to be had without one. */
  registered({ endpoint, transport }: Pick<Registration, "endpoint" | "transport">): void {
    if (!isSecure(transport)) return;
    this.#lately.delete(endpoint);
    this.#lately.add(endpoint);
    if (this.#lately.size > LATELY_COUNT) this.#lately.delete(this.#lately.values().next().value as string);
  }

  /** An operator lets it come without a proof again. */
  allowPlain(endpoint: string): void {
    this.#lately.delete(endpoint);
  }

  /** At once, but for the first request of a session. Rejects as `DeviceCredentials`. */
  senderOf(visitor: Visitor): Sender | Promise<Sender> {
    const { identity, peer } = visitor;
    if (identity === undefined || this.#credentials === undefined) return senderFrom(visitor, undefined);
    const name = this.#names.get(peer);
    if (name !== undefined) return senderFrom(visitor, name);
    return this.#credentials.endpointOf(identity).then((endpoint) => {
      if (endpoint !== undefined) this.#names.set(peer, endpoint);
      return senderFrom(visitor, endpoint);
    });
  }

  /** Whether a sender without proof is kept from registering under this name, and why. Rejects as `DeviceCredentials`. */
  whyNotPlain(endpoint: string): string | Promise<string | undefined> {
    if (this.#plainDevices === "refuse") return "this server takes registrations over secured transports only";
    return this.#whyNotOnRecord(endpoint);
  }

  async #whyNotOnRecord(endpoint: string): Promise<string | undefined> {
    const [has, wasSecured] = await Promise.all([
      this.#credentials?.hasCredentials(endpoint),
      this.#lately.has(endpoint) || this.#wasSecured.has(endpoint),
    ]);
    if (has === true) return "this endpoint has a credential and has to use it";
    return wasSecured ? SECURED_BEFORE : undefined;
  }

  /** Those of these endpoint names that `whyNotPlain` keeps out. Rejects as `DeviceCredentials`. */
  async keptFromPlain(endpoints: readonly string[]): Promise<ReadonlySet<string>> {
    if (this.#plainDevices === "refuse") return new Set(endpoints);
    const secured = await this.#devices.securedAmong(endpoints);
    return new Set([...secured, ...((await this.#credentials?.withCredentials(endpoints)) ?? [])]);
  }

  /** Whether nothing is left that this endpoint could register with over a secured transport. Rejects as `DeviceCredentials`. */
  async isBare(endpoint: string): Promise<boolean> {
    return this.#credentials !== undefined && !(await this.#credentials.hasCredentials(endpoint));
  }
}

function senderFrom({ transport, peerKey, address }: Visitor, provenEndpoint: string | undefined): Sender {
  return { transport, peerKey, address, provenEndpoint };
}

/** Asks whoever keeps the credentials for which endpoint a visitor may speak. */
import type { PlainDevices } from "../config/doors.ts";
import type { DeviceCredentials } from "../fleet/credentials.ts";
import type { Sender } from "../fleet/sender.ts";
import type { Visitor } from "./door.ts";

export class Gatekeeper {
  readonly #credentials: DeviceCredentials | undefined;
  readonly #plainDevices: PlainDevices;
  /** Names of sessions and connections, for as long as these last; one whose credential is withdrawn ends. */
  readonly #names = new WeakMap<object, string>();

  constructor(credentials: DeviceCredentials | undefined, plainDevices: PlainDevices) {
    this.#credentials = credentials;
    this.#plainDevices = plainDevices;
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
  whyNotPlain(endpoint: string): undefined | string | Promise<string | undefined> {
    if (this.#plainDevices === "refuse") return "this server takes registrations over secured transports only";
    return this.#credentials
      ?.hasCredentials(endpoint)
      .then((has) => (has ? "this endpoint has a credential and has to use it" : undefined));
  }

  /** Those of these endpoint names that `whyNotPlain` keeps out. Rejects as `DeviceCredentials`. */
  async keptFromPlain(endpoints: readonly string[]): Promise<ReadonlySet<string>> {
    if (this.#plainDevices === "refuse") return new Set(endpoints);
    return (await this.#credentials?.withCredentials(endpoints)) ?? new Set();
  }

  /** Whether nothing is left that this endpoint could register with over a secured transport. Rejects as `DeviceCredentials`. */
  async isBare(endpoint: string): Promise<boolean> {
    return this.#credentials !== undefined && !(await this.#credentials.hasCredentials(endpoint));
  }
}

function senderFrom({ transport, peerKey, address }: Visitor, provenEndpoint: string | undefined): Sender {
  return { transport, peerKey, address, provenEndpoint };
}

/** Under which URIs a device can fetch its image: where it already talks to the server, and no less securely. */
import { isLoopbackHost } from "../config/loopback.ts";
import type { PullScheme } from "../delivery/delivery-choice.ts";
import type { Registration } from "../fleet/registration.ts";
import { isSecure, type Transport } from "../fleet/sender.ts";
import { parseAddress, SCHEMES } from "./door.ts";
import { imagePath, type SentFile } from "./image-door.ts";
import { LocalAddresses, uriHost } from "./public-address.ts";

export interface PackageUriOptions {
  /** Host put into the URIs; null = the address of ours that the device would reach. */
  readonly publicHost: string | null;
  readonly http: { readonly scheme: "http" | "https"; readonly port: number };
  /** The port of a door; `undefined` where there is none. */
  portOf(transport: Transport): number | undefined;
}

/** The favourite first, by how the device registered; a device that proves who it is never fetches in the clear. */
const DOORS: Readonly<Record<Transport, readonly Transport[]>> = {
  udp: ["udp", "tcp"],
  dtls: ["dtls", "tls"],
  tcp: ["tcp", "udp"],
  tls: ["tls", "dtls"],
};

export class PackageUris {
  readonly #options: () => PackageUriOptions;
  readonly #addresses = new LocalAddresses();

  /** @param options Asked each time: ports are known once they are open. */
  constructor(options: () => PackageUriOptions) {
    this.#options = options;
  }

  /** The schemes under which this device can reach our images, the favourite first. */
  schemesFor({ transport, address }: Registration): readonly PullScheme[] {
    const { http, publicHost, portOf } = this.#options();
    const coap = DOORS[transport].filter((door) => portOf(door) !== undefined).map((door) => SCHEMES[door]);
    // Over HTTP only where the API listens: a proxy that the operator named, or this very machine.
    const isNear = publicHost !== null || isLoopbackHost(parseAddress(address).address);
    return isNear && (http.scheme === "https" || !isSecure(transport)) ? [...coap, http.scheme] : coap;
  }

  /** The secured address that a device at `from` is given to register at; `undefined` where there is no such door. */
  async serverUriFor(from: string): Promise<string | undefined> {
    const { publicHost, portOf } = this.#options();
    const transport = (["dtls", "tls"] as const).find((door) => portOf(door) !== undefined);
    if (transport === undefined) return undefined;
    const host = uriHost(publicHost ?? (await this.#addresses.towards(parseAddress(from).address)));
    return `${SCHEMES[transport]}://${host}:${portOf(transport)}`;
  }

  async uriFor(file: SentFile, scheme: PullScheme, registration: Registration): Promise<string> {
    const { publicHost, http, portOf } = this.#options();
    const { address } = parseAddress(registration.address);
    const host = uriHost(publicHost ?? (await this.#addresses.towards(address)));
    if (scheme === "http" || scheme === "https")
      return `${scheme}://${host}:${http.port}/firmware/${file.packageId}?u=${file.updateId}`;
    const door = (Object.keys(SCHEMES) as Transport[]).find((transport) => SCHEMES[transport] === scheme) ?? "udp";
    return `${scheme}://${host}:${portOf(door)}${imagePath(file)}`;
  }
}

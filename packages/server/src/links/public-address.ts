/** Under which address of ours a device can reach us: what a Package URI has to say. */
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";

/** Answers kept; a fleet behind a few gateways needs only some. */
const KEPT_LIMIT = 1_000;

/** Finds the local address from which the system would send to a remote one. No datagram is sent for it. */
export class LocalAddresses {
  readonly #kept = new Map<string, Promise<string>>();

  /** @throws {Error} as the system says when there is no route. */
  towards(remote: string): Promise<string> {
    const known = this.#kept.get(remote);
    if (known !== undefined) return known;
    if (this.#kept.size >= KEPT_LIMIT) this.#kept.clear();
    const asked = askSystem(remote);
    this.#kept.set(remote, asked);
    asked.catch(() => this.#kept.delete(remote));
    return asked;
  }
}

function askSystem(remote: string): Promise<string> {
  const socket = createSocket(isIPv6(remote) ? "udp6" : "udp4");
  return new Promise<string>((resolve, reject) => {
    socket.once("error", reject);
    // The port does not matter: connecting a UDP socket only looks up the route.
    socket.connect(5683, remote, () => resolve(socket.address().address));
  }).finally(() => socket.close());
}

/** An address as the host of a URI (RFC 3986 §3.2.2). */
export function uriHost(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}

/** Frames as datagrams of a multicast group: a radio channel for tests, demonstrations and wired segments. */
import { createSocket, type Socket } from "node:dgram";
import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { UsageError } from "@airlift/protocol/lib/errors";
import { LARGEST_FRAME_BYTES } from "@airlift/protocol/zmesh/frame";
import { KeptOpen, type OpenedWay, type RetryOptions } from "./link-retry.ts";
import type { LinkCounts, RadioLink } from "./radio-link.ts";

export interface UdpLinkOptions {
  readonly uri: string;
  /** A multicast address. */
  readonly group: string;
  readonly port: number;
  /** Name of the interface, such as "lo"; absent = the system's choice. */
  readonly interfaceName?: string;
  /** Routers that frames may pass, 0 = not even the network of this machine. Default 1: that network. */
  readonly hops?: number;
  readonly retry?: RetryOptions;
}

/** Octets the kernel may keep for us: a burst of 50 kb/s for several seconds. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;

interface Way extends OpenedWay {
  readonly socket: Socket;
}

/** Joins the group; a network that is not there yet is waited for. @throws {UsageError} `LINK_INTERFACE` when there is no such interface. */
export async function openUdpLink(options: UdpLinkOptions): Promise<RadioLink> {
  const { interfaceName } = options;
  if (interfaceName !== undefined && networkInterfaces()[interfaceName] === undefined)
    throw new UsageError("LINK_INTERFACE", `${options.uri}: there is no interface ${interfaceName}`);
  const link = new UdpLink(options);
  await link.start();
  return link;
}

class UdpLink implements RadioLink {
  readonly uri: string;
  readonly #options: UdpLinkOptions;
  readonly #kept: KeptOpen<Way>;
  #listener: ((frame: Uint8Array) => void) | undefined;
  #sentCount = 0;
  #heardCount = 0;

  constructor(options: UdpLinkOptions) {
    this.uri = options.uri;
    this.#options = options;
    this.#kept = new KeptOpen(() => this.#open(), options.retry);
  }

  get counts(): LinkCounts {
    return {
      isUp: this.#kept.way !== undefined,
      sentCount: this.#sentCount,
      heardCount: this.#heardCount,
      healedCount: Math.max(0, this.#kept.openedCount - 1),
      problem: this.#kept.problem,
    };
  }

  async start(): Promise<void> {
    await this.#kept.start();
  }

  listen(listener: (frame: Uint8Array) => void): void {
    this.#listener = listener;
  }

  send(frame: Uint8Array): void {
    const socket = this.#kept.way?.socket;
    if (!socket) return;
    const { group, port, interfaceName } = this.#options;
    // An IPv6 group is reached through an interface; the address says which.
    const scope = isIPv6(group) && interfaceName !== undefined ? `%${interfaceName}` : "";
    socket.send(frame.slice(), port, `${group}${scope}`, (error) => {
      if (error) socket.emit("lost");
    });
    this.#sentCount += 1;
  }

  async close(): Promise<void> {
    this.#listener = undefined;
    const socket = this.#kept.way?.socket;
    const closed = socket && new Promise((resolve) => socket.once("close", resolve));
    this.#kept.close();
    await closed;
  }

  async #open(): Promise<Way> {
    const { group, port, interfaceName, hops = 1 } = this.#options;
    const isSix = isIPv6(group);
    const socket = createSocket({ type: isSix ? "udp6" : "udp4", reuseAddr: true });
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const way: Way = {
      socket,
      ended,
      close: () => {
        socket.removeAllListeners("message");
        if (!isClosed(socket)) socket.close();
      },
    };
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind(port, isSix ? "::" : "0.0.0.0", resolve);
      });
      const at = interfaceAddress(interfaceName, isSix);
      socket.addMembership(group, at);
      if (at !== undefined) socket.setMulticastInterface(at);
      socket.setMulticastTTL(hops);
      socket.setMulticastLoopback(true);
      socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
    } catch (error) {
      way.close();
      throw error;
    }
    socket.on("error", () => end());
    socket.once("lost", () => end());
    socket.once("close", () => end());
    socket.on("message", (bytes) => this.#hear(bytes));
    return way;
  }

  #hear(bytes: Uint8Array): void {
    if (bytes.length > LARGEST_FRAME_BYTES) return;
    this.#heardCount += 1;
    this.#listener?.(new Uint8Array(bytes));
  }
}

/** What Node takes for an interface: an address with IPv4, a scope with IPv6. */
function interfaceAddress(name: string | undefined, isSix: boolean): string | undefined {
  if (name === undefined) return undefined;
  if (isSix) return `::%${name}`;
  return networkInterfaces()[name]?.find(({ family }) => family === "IPv4")?.address;
}

function isClosed(socket: Socket): boolean {
  try {
    socket.address();
    return false;
  } catch (error) {
    // An unbound socket has no address either, and is still to be closed.
    return (error as NodeJS.ErrnoException).code === "ERR_SOCKET_DGRAM_NOT_RUNNING";
  }
}

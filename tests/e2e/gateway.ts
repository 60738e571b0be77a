/** A gateway as mobile networks have them: it may forget a mapping at any time, and the device gets another port. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

const HOST = "127.0.0.1";

export class Gateway {
  readonly #inside = createSocket("udp4");
  readonly #target: number;
  #outside: Socket | undefined;
  #device: number | undefined;

  private constructor(target: number) {
    this.#target = target;
  }

  /** In front of one device, towards `target`, a port of this host. */
  static async open(target: number): Promise<Gateway> {
    const gateway = new Gateway(target);
    gateway.#inside.bind(0, HOST);
    await once(gateway.#inside, "listening");
    gateway.#inside.on("message", (bytes, { port }) => {
      gateway.#device = port;
      gateway.#outside?.send(bytes, target, HOST);
    });
    await gateway.rebind();
    return gateway;
  }

  /** Where the device sends to. */
  get port(): number {
    return this.#inside.address().port;
  }

  /** What the server sees as the device's port. */
  get outsidePort(): number | undefined {
    return this.#outside?.address().port;
  }

  /** Another port from now on; what is sent to the old one is lost. */
  async rebind(): Promise<void> {
    const next = createSocket("udp4");
    next.bind(0, HOST);
    await once(next, "listening");
    next.on("message", (bytes, { port }) => {
      if (port === this.#target && this.#device !== undefined) this.#inside.send(bytes, this.#device, HOST);
    });
    this.#outside?.close();
    this.#outside = next;
  }

  close(): void {
    this.#inside.close();
    this.#outside?.close();
  }
}

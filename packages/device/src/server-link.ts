/** The device's way to whatever server it has at present: one channel after the other, seen as one. */
import type { Peer } from "@airlift/protocol/coap/exchange";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import type { CoapHandler, ServeOptions } from "@airlift/runtime/coap";
import { type AnyCoap, type ContactFailure, explainPlainly, type ServerChannel } from "./server-channel.ts";
import type { PackageUri } from "./transfer/package-uri.ts";

export class ServerLink implements ServerChannel {
  readonly coap: AnyCoap;
  #current: ServerChannel | undefined;
  #serving: { readonly handler: CoapHandler<Peer>; readonly options: ServeOptions<Peer> | undefined } | undefined;

  constructor() {
    this.coap = {
      request: async (...asked) => this.#open().coap.request(...asked),
      requestWhole: async (...asked) => this.#open().coap.requestWhole(...asked),
      observe: async (...asked) => this.#open().coap.observe(...asked),
      download: async (...asked) => this.#open().coap.download(...asked),
      upload: async (...asked) => this.#open().coap.upload(...asked),
      serve: (handler, options) => {
        this.#serving = { handler, options };
        this.#current?.coap.serve(handler, options);
      },
    };
  }

  /** From now on this is the way; the former is closed. */
  async switchTo(channel: ServerChannel | undefined): Promise<void> {
    const former = this.#current;
    this.#current = channel;
    if (channel && this.#serving) channel.coap.serve(this.#serving.handler, this.#serving.options);
    await former?.close();
  }

  async reach(signal?: AbortSignal): Promise<Peer> {
    return this.#open().reach(signal);
  }

  isServer(peer: Peer): boolean {
    return this.#current?.isServer(peer) ?? false;
  }

  async holderOf(parts: PackageUri): Promise<Peer | undefined> {
    return this.#current?.holderOf(parts);
  }

  renew(): void {
    this.#current?.renew();
  }

  explain(error: unknown): ContactFailure {
    return this.#current?.explain(error) ?? explainPlainly(error);
  }

  rest(): void {
    this.#current?.rest();
  }

  close(): Promise<void> {
    return this.switchTo(undefined);
  }

  #open(): ServerChannel {
    if (this.#current) return this.#current;
    throw new EnvironmentError("NO_SERVER", "the device has no server at present");
  }
}

/** A CoAP endpoint on a channel of datagrams: client and server in one (RFC 7252, RFC 7641, RFC 7959). */
import { type BlockLimits, DATAGRAM_BLOCKS } from "@airlift/protocol/coap/block-option";
import { Endpoint, type EndpointLoad } from "@airlift/protocol/coap/endpoint";
import type { EndpointInput, EndpointOptions, EndpointOutput } from "@airlift/protocol/coap/endpoint-types";
import type { Peer } from "@airlift/protocol/coap/exchange";
import { CoapEndpoint } from "./coap-endpoint.ts";
import { createRandom } from "./coap-random.ts";
import type { DatagramChannel } from "./datagrams.ts";
import { type Driven, drive } from "./drive.ts";

export interface CoapNodeOptions {
  /** Limits and times of the endpoint; what is absent is as in `DEFAULT_ENDPOINT_OPTIONS`. */
  readonly endpoint?: Partial<EndpointOptions> | undefined;
  /** For demonstrations and tests: whether to lose this datagram, before it is sent or after it came. Default: none. */
  readonly loss?: ((direction: "in" | "out", datagram: Uint8Array) => boolean) | undefined;
}

export class CoapNode<P extends Peer> extends CoapEndpoint<P> {
  readonly #channel: DatagramChannel<P>;
  readonly #core: Endpoint<P>;
  readonly #driven: Driven<EndpointInput<P>, EndpointOutput<P>>;
  readonly #loss: CoapNodeOptions["loss"];

  constructor(channel: DatagramChannel<P>, options: CoapNodeOptions = {}) {
    super();
    this.#channel = channel;
    this.#loss = options.loss;
    this.#core = new Endpoint<P>(createRandom(), options.endpoint);
    this.#driven = drive(this.#core, { kind: "wake" }, (output) => this.#perform(output));
    channel.open({
      onDatagram: (peer, datagram) => {
        if (!this.#loss?.("in", datagram)) this.#driven.feed({ kind: "datagram", peer, datagram });
      },
      onUnreachable: (peer) => this.#driven.feed({ kind: "unreachable", peer }),
    });
  }

  get load(): EndpointLoad {
    return this.#core.load;
  }

  /** Stops at once. Requests that wait reject with `COAP_CLOSED`; peers are not told. May be called twice. */
  async close(): Promise<void> {
    this.#driven.stop();
    this.end();
    await this.#channel.close();
  }

  protected override feed(input: EndpointInput<P>): void {
    this.#driven.feed(input);
  }

  protected override blocksOf(): BlockLimits {
    return DATAGRAM_BLOCKS;
  }

  #perform(output: EndpointOutput<P>): void {
    if (output.kind !== "send") this.perform(output);
    else if (!this.#loss?.("out", output.datagram))
      this.#channel.send(output.peer, output.datagram, output.exchange !== undefined);
  }
}

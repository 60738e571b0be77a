/** How answers travel in a stream: in any order, told apart by their tokens; and Pings that wait for them (RFC 8323 §5.4.1). */
import type { CoapResponse, Peer } from "./exchange.ts";
import type { Replies, Serving } from "./server-exchanges.ts";
import { encodePong, hasCustody } from "./signals.ts";
import type { TcpConnection } from "./tcp-connection.ts";
import type { TcpLayer } from "./tcp-layer.ts";
import type { TcpMessage } from "./tcp-message.ts";

interface TcpServing<P extends Peer> extends Serving<P, TcpConnection<P>> {
  /** Its place among the requests of this connection. */
  readonly place: number;
}

export class TcpReplies<P extends Peer> implements Replies<P, TcpConnection<P>, TcpMessage> {
  readonly #layer: TcpLayer<P>;

  constructor(layer: TcpLayer<P>) {
    this.#layer = layer;
  }

  begin(connection: TcpConnection<P>, request: TcpMessage): TcpServing<P> {
    const { peer, blocks } = connection;
    connection.requestCount += 1;
    const place = connection.requestCount;
    connection.serving.add(place);
    return {
      peer,
      request,
      token: request.token,
      isConfirmable: true,
      blocks,
      state: connection,
      isAnswered: false,
      place,
    };
  }

  send(serving: TcpServing<P>, { code, options, payload }: CoapResponse): void {
    this.#layer.send(serving.state, { token: serving.token, code, options, payload });
    this.stayQuiet(serving);
  }

  stayQuiet({ state, place }: TcpServing<P>): void {
    state.serving.delete(place);
    const { custody } = state;
    if (custody === undefined || hasServingUpTo(state, custody.requestCount)) return;
    state.custody = undefined;
    this.#layer.write(state, encodePong(custody.token, true));
  }

  refuse(connection: TcpConnection<P>, { token }: TcpMessage, { code, options, payload }: CoapResponse): void {
    this.#layer.send(connection, { token, code, options, payload });
  }

  /** One Ping at a time may wait for answers; a further one is answered without the promise that it asks for. */
  pong(connection: TcpConnection<P>, ping: TcpMessage): void {
    const wantsCustody = hasCustody(ping);
    const { requestCount, serving } = connection;
    if (!wantsCustody || serving.size === 0) this.#layer.write(connection, encodePong(ping.token, wantsCustody));
    else if (connection.custody) this.#layer.write(connection, encodePong(ping.token, false));
    else connection.custody = { token: Uint8Array.from(ping.token), requestCount };
  }
}

/** Whether one of the first `requestCount` requests is not answered yet. */
function hasServingUpTo<P extends Peer>({ serving }: TcpConnection<P>, requestCount: number): boolean {
  for (const oldest of serving) return oldest <= requestCount;
  return false;
}

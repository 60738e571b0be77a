/** A CoAP server without scruples: each request is answered with whatever messages a test makes up. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { CoapRequest, CoapResponse } from "@airlift/protocol/coap/exchange";
import { decodeMessage, encodeMessage, MESSAGE_TYPE } from "@airlift/protocol/coap/message";

export interface RawCoapServer {
  readonly uri: string;
  close(): void;
}

/** @param answer All of it is sent as acknowledgement of the request, in this order. */
export async function openRawCoapServer(answer: (request: CoapRequest) => CoapResponse[]): Promise<RawCoapServer> {
  const socket = createSocket("udp4");
  socket.on("message", (datagram, { port, address }) => {
    const { type, messageId, token, code, options, payload } = decodeMessage(new Uint8Array(datagram));
    if (type !== MESSAGE_TYPE.confirmable) return;
    for (const response of answer({ code, options: [...options], payload })) {
      const message = { ...response, type: MESSAGE_TYPE.acknowledgement, messageId, token };
      socket.send(encodeMessage(message), port, address);
    }
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return { uri: `coap://127.0.0.1:${socket.address().port}/fw`, close: () => socket.close() };
}

/** A channel of datagrams that passes on what its peers may send: what is beyond is answered 4.29 or dropped, and is never decoded. */
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import type { Peer } from "@airlift/protocol/coap/exchange";
import { encodeMessage, MESSAGE_TYPE, peekHeader } from "@airlift/protocol/coap/message";
import { OPTION, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import type { DatagramChannel } from "@airlift/runtime/datagrams";
import type { PeerGate, PeerWork } from "../fleet/peer-gate.ts";

/** A peer has been refused so many messages since this was told last. */
export type OnFlood<P> = (peer: P, refusedCount: number) => void;

/** When a device that was refused may ask again (RFC 8516 §3). */
const RETRY_S = 5;
const HEADER_BYTES = 4;

export function gatedChannel<P extends Peer>(
  channel: DatagramChannel<P>,
  gate: PeerGate | undefined,
  onFlood: OnFlood<P>,
): DatagramChannel<P> {
  if (gate === undefined) return channel;
  return {
    send: (peer, bytes, isWatched) => channel.send(peer, bytes, isWatched),
    close: () => channel.close(),
    open: (receiver) =>
      channel.open({
        onUnreachable: (peer, error) => receiver.onUnreachable(peer, error),
        onDatagram: (peer, bytes) => {
          const nowMs = performance.now();
          if (gate.admits(peer.key, workIn(bytes), nowMs)) {
            receiver.onDatagram(peer, bytes);
            return;
          }
          const answer = refusalOf(bytes);
          if (answer !== undefined && gate.mayAnswer(peer.key)) channel.send(peer, answer, false);
          const refusedCount = gate.takeNews(peer.key, nowMs);
          if (refusedCount > 0) onFlood(peer, refusedCount);
        },
      }),
  };
}

/** What a message asks of us, by its code alone. What has no code makes as much work as a request. */
function workIn(bytes: Uint8Array): PeerWork {
  const code = bytes[1];
  if (code === undefined) return "request";
  // A GET fetches a block; an Empty message is an acknowledgement or a Reset, but for a ping (RFC 7252 §4.1).
  const isPing = code === CODE.empty && ((bytes[0] as number) >> 4) % 4 === MESSAGE_TYPE.confirmable;
  return code === METHOD.get || code >> 5 >= 2 || (code === CODE.empty && !isPing) ? "block" : "request";
}

/** 4.29 for a confirmable request (RFC 8516 §3); anything else is not worth an answer. */
function refusalOf(bytes: Uint8Array): Uint8Array | undefined {
  const header = peekHeader(bytes);
  const tokenLength = (bytes[0] as number) & 0x0f;
  const isRequest = header?.type === MESSAGE_TYPE.confirmable && workIn(bytes) === "request" && bytes[1] !== CODE.empty;
  if (!isRequest || tokenLength > 8 || bytes.length < HEADER_BYTES + tokenLength) return undefined;
  return encodeMessage({
    type: MESSAGE_TYPE.acknowledgement,
    code: CODE.tooManyRequests,
    messageId: header.messageId,
    token: bytes.subarray(HEADER_BYTES, HEADER_BYTES + tokenLength),
    options: [uintOption(OPTION.maxAge, RETRY_S)],
    payload: EMPTY,
  });
}

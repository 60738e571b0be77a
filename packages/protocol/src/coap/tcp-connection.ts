/** What an endpoint keeps of one connection. */
import { type BlockLimits, blockSizeWithin, MAX_BLOCK_BYTES } from "./block-option.ts";
import type { Peer } from "./exchange.ts";
import type { PeerWork, Turn } from "./exchange-layer.ts";
import { BASE_CAPABILITIES, type Capabilities } from "./signals.ts";
import { TcpDecoder } from "./tcp-decoder.ts";
import type { DisconnectReason, TcpEndpointOptions } from "./tcp-endpoint-types.ts";
import type { TcpMessage } from "./tcp-message.ts";

export interface TcpConnection<P extends Peer> extends PeerWork<P> {
  readonly decoder: TcpDecoder;
  readonly openedAtMs: number;
  lastHeardAtMs: number;
  /** What the peer can do. */
  capabilities: Capabilities;
  blocks: BlockLimits;
  /** Its first CSM has come. */
  isReady: boolean;
  /** It wants to end: nothing new is begun with it. */
  isReleased: boolean;
  congestedSinceMs: number | undefined;
  /** Since when a message is unfinished. */
  partialSinceMs: number | undefined;
  /** When a Ping was sent that is not answered. */
  pingedAtMs: number | undefined;
  /** What may be sent once the network takes more. */
  readonly waiting: Turn[];
  /** A request, or a Ping, that waits until there is room to answer it. */
  held: TcpMessage | undefined;
  isPaused: boolean;
  /** What `decoder` holds, as it was last counted. */
  countedBytes: number;
  /** The next deadline that was set. */
  wakeAtMs: number;
  requestCount: number;
  /** Requests being served, by their place in the stream, oldest first. */
  readonly serving: Set<number>;
  /** A Ping that is answered when the requests before it are. @see RFC 8323 §5.4.1 */
  custody: { readonly token: Uint8Array; readonly requestCount: number } | undefined;
}

export function openConnection<P extends Peer>(peer: P, options: TcpEndpointOptions, nowMs: number): TcpConnection<P> {
  return {
    peer,
    busyCount: 0,
    servingCount: 0,
    decoder: new TcpDecoder(options.maxMessageBytes),
    openedAtMs: nowMs,
    lastHeardAtMs: nowMs,
    capabilities: BASE_CAPABILITIES,
    blocks: blocksWithin(BASE_CAPABILITIES, options.bertBytes),
    isReady: false,
    isReleased: false,
    congestedSinceMs: undefined,
    partialSinceMs: undefined,
    pingedAtMs: undefined,
    waiting: [],
    held: undefined,
    isPaused: false,
    countedBytes: 0,
    wakeAtMs: Number.POSITIVE_INFINITY,
    requestCount: 0,
    serving: new Set(),
    custody: undefined,
  };
}

/** Left free in a message for its header, token and options. */
const OPTIONS_BYTES = 256;
/** The base size leaves so much beside a block of 1024 octets. */
const BASE_OPTIONS_BYTES = BASE_CAPABILITIES.maxMessageBytes - MAX_BLOCK_BYTES;

/** How bodies are cut for a peer: several blocks of 1024 octets at once if it takes them. @see RFC 8323 §5.3.2, §6 */
export function blocksWithin({ maxMessageBytes, isBlockwise }: Capabilities, bertBytes: number): BlockLimits {
  const roomBytes = Math.min(bertBytes, maxMessageBytes - OPTIONS_BYTES);
  const groupBytes = roomBytes - (roomBytes % MAX_BLOCK_BYTES);
  const maxBytes =
    isBlockwise && groupBytes > MAX_BLOCK_BYTES ? groupBytes : blockSizeWithin(maxMessageBytes - BASE_OPTIONS_BYTES);
  return { maxBytes, allowsBert: true };
}

/** When something about this connection is due, unless more is heard of it. */
export function connectionDueAtMs<P extends Peer>(connection: TcpConnection<P>, options: TcpEndpointOptions): number {
  const { isReady, openedAtMs, partialSinceMs, congestedSinceMs } = connection;
  return Math.min(
    isReady ? Number.POSITIVE_INFINITY : openedAtMs + options.csmTimeoutMs,
    (partialSinceMs ?? Number.POSITIVE_INFINITY) + options.messageTimeoutMs,
    (congestedSinceMs ?? Number.POSITIVE_INFINITY) + options.stallTimeoutMs,
    silenceDueAtMs(connection, options),
  );
}

/** What is due about it now: a Ping, or its end, with a last word if that can reach the peer. */
export function judgeConnection<P extends Peer>(
  connection: TcpConnection<P>,
  options: TcpEndpointOptions,
  nowMs: number,
): "ping" | { readonly reason: DisconnectReason; readonly diagnosis?: string } | undefined {
  const { isReady, openedAtMs, partialSinceMs, congestedSinceMs, pingedAtMs } = connection;
  const isOver = (sinceMs: number | undefined, limitMs: number) => sinceMs !== undefined && nowMs >= sinceMs + limitMs;
  if (!isReady && isOver(openedAtMs, options.csmTimeoutMs)) return { reason: "noCsm", diagnosis: "CSM missing" };
  if (isOver(congestedSinceMs, options.stallTimeoutMs)) return { reason: "stalled" };
  if (isOver(partialSinceMs, options.messageTimeoutMs)) return { reason: "malformed", diagnosis: "unfinished message" };
  if (nowMs < silenceDueAtMs(connection, options)) return undefined;
  return pingedAtMs === undefined ? "ping" : { reason: "silent" };
}

/** When a Ping is due, or its answer. What is not read cannot be heard: a connection that is paused is not silent. */
function silenceDueAtMs<P extends Peer>(connection: TcpConnection<P>, options: TcpEndpointOptions): number {
  const { isPaused, lastHeardAtMs, pingedAtMs } = connection;
  if (isPaused) return Number.POSITIVE_INFINITY;
  return pingedAtMs === undefined ? lastHeardAtMs + options.idleTimeoutMs : pingedAtMs + options.pongTimeoutMs;
}

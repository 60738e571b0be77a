/** CoAP for applications, the same over UDP, DTLS and TCP. */
import type { BlockSink, BlockSource, CoapAnswer, UploadSink } from "@airlift/protocol/coap/body";
import type { BusyLimits } from "@airlift/protocol/coap/busy-retry";
import type { CoapRequest, CoapResponse, Peer } from "@airlift/protocol/coap/exchange";
import type { TransmissionParameters } from "@airlift/protocol/coap/transmission";

export interface RequestOptions {
  /** Gives the request up; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Default true. Means nothing over a reliable transport. */
  readonly confirmable?: boolean | undefined;
  readonly transmission?: TransmissionParameters | undefined;
  /** How long to wait for the response after the request has arrived; default EXCHANGE_LIFETIME, 247 s. */
  readonly responseTimeoutMs?: number | undefined;
  /** Used instead of a new one; not while another exchange with this peer uses it. */
  readonly token?: Uint8Array | undefined;
  /** A retransmission was sent: 1, 2, … for this request. */
  readonly onRetransmission?: ((count: number) => void) | undefined;
}

export interface ObserveOptions extends RequestOptions {
  /** The observation is over, and was not ended by us: an error code came (`onNotification` got it), or all was closed. */
  readonly onEnd?: (() => void) | undefined;
}

/** Where a transfer stands. */
export interface TransferProgress {
  /** Octets of the body that are safely across: taken by the sink, or acknowledged by the peer. */
  readonly bytes: number;
  /** Of the whole body, if it is known. */
  readonly sizeBytes: number | undefined;
  /** Datagrams sent again so far, in this transfer. */
  readonly retransmissionCount: number;
}

export interface TransferOptions extends Omit<RequestOptions, "token" | "onRetransmission"> {
  /**
   * Largest block to use: 16 … 1024, a power of two; over TCP also a multiple of 1024, for several blocks at once (BERT).
   * Download: absent = the server chooses. Upload: default 1024, over TCP what the peer takes.
   */
  readonly blockBytes?: number | undefined;
  readonly onProgress?: ((progress: TransferProgress) => void) | undefined;
  /** How long a peer is asked again that answers 5.03. Default `DEFAULT_BUSY_LIMITS`; `requestWhole`: not at all. */
  readonly busy?: BusyLimits | undefined;
}

export interface UploadOptions extends TransferOptions {
  /** Octets that the peer has of an earlier transfer which broke off: it goes on there, or starts over if the peer says so. */
  readonly offset?: number | undefined;
  /** The peer refused a block as too large (4.13), and the transfer starts over with blocks of so many octets. */
  readonly onSmallerBlocks?: ((blockBytes: number) => void) | undefined;
}

export interface DownloadOptions extends TransferOptions {
  /** Octets already held; the sink gets what follows. */
  readonly offset?: number | undefined;
  /** The ETag of what is already held; a body with another one fails with `ETAG_CHANGED`. */
  readonly etag?: Uint8Array | undefined;
  /** A body known to be larger fails with `BODY_TOO_LARGE`. Default: no limit but that of block numbers. */
  readonly maxBytes?: number | undefined;
  /** Called once with the first response, before anything is written. */
  readonly onStart?: ((start: DownloadStart) => void | Promise<void>) | undefined;
}

export interface DownloadStart {
  readonly etag: Uint8Array | undefined;
  readonly sizeBytes: number | undefined;
  readonly response: CoapResponse;
}

export interface DownloadResult {
  /** Length of the whole body, with what was held before. */
  readonly sizeBytes: number;
  readonly etag: Uint8Array | undefined;
}

export interface WholeOptions extends TransferOptions {
  /** Longest body of a response; a longer one fails with `BODY_TOO_LARGE`. Default 64 KiB. */
  readonly maxBytes?: number | undefined;
  /** How long all blocks of a response may take; a longer one fails with `BODY_TOO_SLOW`. Default 15 min. */
  readonly maxMs?: number | undefined;
}

/** An observation of ours at a server. */
export interface Observation {
  /** The answer to the request. Without an Observe option in it the server does not keep us informed. */
  readonly response: CoapResponse;
  readonly isActive: boolean;
  /** Forgets the observation and tells the server so; may be called twice. */
  cancel(): Promise<void>;
}

/**
 * The asking side. All promises reject with `EnvironmentError` `COAP_TIMEOUT`, `COAP_UNREACHABLE`, `COAP_OVERLOADED`,
 * `COAP_CLOSED`, or `PeerError` `COAP_RESET`, `COAP_BAD_RESPONSE`, `COAP_TOO_LARGE`.
 */
export interface CoapClient<P extends Peer> {
  /** Any response, also one with an error code, fulfils the promise. */
  request(peer: P, request: CoapRequest, options?: RequestOptions): Promise<CoapResponse>;
  /**
   * Registers with `request`, to which the Observe option is added. The first response comes with the promise, the later
   * ones to `onNotification`, only newer ones. `signal` ends it without telling the server.
   */
  observe(
    peer: P,
    request: CoapRequest,
    onNotification: (response: CoapResponse) => void,
    options?: ObserveOptions,
  ): Promise<Observation>;
  /**
   * Like `request`, for bodies that may need blocks but fit into memory, in either direction. The response has the whole
   * body; its other options are those of its first block.
   */
  requestWhole(peer: P, request: CoapRequest, options?: WholeOptions): Promise<CoapResponse>;
  /** A body of any size into `sink`. Also rejects with `CoapRefusal`, and `PeerError` `ETAG_CHANGED`, `BLOCK_MISMATCH`. */
  download(peer: P, request: CoapRequest, sink: BlockSink, options?: DownloadOptions): Promise<DownloadResult>;
  /** `source` as the body of `request`; the response to its last block. An error code rejects with `CoapRefusal`. */
  upload(peer: P, request: CoapRequest, source: BlockSource, options?: UploadOptions): Promise<CoapResponse>;
}

/** A client that asked to observe what it requested. The handler may accept; if it does not, the request is an ordinary one. */
export interface ObservationOffer {
  readonly token: Uint8Array;
  /**
   * From now on `notify` reaches the client; the handler's answer is the first notification.
   *
   * @param onEnd The client withdrew, rejected a notification, or is gone. Not called after `end`.
   */
  accept(onEnd?: (reason: string) => void): ServerObservation;
}

export interface ServerObservation {
  readonly isActive: boolean;
  /** The new state. One that is confirmable replaces any that still waits (RFC 7641 §4.5.2). Default confirmable. */
  notify(response: CoapAnswer, options?: { readonly confirmable?: boolean }): void;
  /** Stops without a word. To tell the client, `notify` an error code. */
  end(): void;
}

/**
 * Answers a request. An answer given at once goes out with the acknowledgement; a promise may take its time.
 * A `CoapRefusal` thrown is sent, any other error becomes 5.00 and is reported.
 */
export type CoapHandler<P extends Peer> = (
  request: CoapRequest,
  peer: P,
  offer: ObservationOffer | undefined,
) => CoapAnswer | Promise<CoapAnswer>;

/** A body in blocks that was refused, or given up. */
export interface BodyRefusal {
  /** One of its requests, without its payload. */
  readonly request: CoapRequest;
  /** What the block was answered, or would be if another one came. */
  readonly code: number;
  readonly why: string;
}

export interface ServeOptions<P extends Peer> {
  /**
   * Asked with the first block of a body that comes in blocks, before anything is kept. A sink takes the blocks as they
   * come; an answer (an error code) refuses; `undefined` lets them be gathered, up to `gatherBytes`, for the handler.
   */
  readonly receive?: ((request: CoapRequest, peer: P) => UploadSink | CoapAnswer | undefined) | undefined;
  /** Longest body gathered in memory; a longer one is refused with 4.13. Default 64 KiB. */
  readonly gatherBytes?: number | undefined;
  /** Largest block sent or wished for. Default 1024, over TCP what the client takes. */
  readonly blockBytes?: number | undefined;
  /** Bodies being received at once; one more is answered 5.03. Default 1000. */
  readonly uploads?: number | undefined;
  /** Bodies of one peer; the oldest is given up for one more. Default 4. */
  readonly uploadsPerPeer?: number | undefined;
  /** How long a body may take that is gathered; then it is given up, and its next block is answered 4.08. Default 15 min. */
  readonly gatherMs?: number | undefined;
  /** A body in blocks was not taken. */
  readonly onBodyRefused?: ((refusal: BodyRefusal, peer: P) => void) | undefined;
  /** A handler threw something that is not a `CoapRefusal`. */
  readonly onError?: ((error: unknown, request: CoapRequest, peer: P) => void) | undefined;
}

export interface CoapServer<P extends Peer> {
  /** Answers requests from now on; replaces an earlier handler. Until then every request is answered 4.04. */
  serve(handler: CoapHandler<P>, options?: ServeOptions<P>): void;
}

/** One way into the server: a CoAP endpoint on one transport, its peers as visitors, and the devices reached through it. */
import type { BlockSource, CoapAnswer } from "@airlift/protocol/coap/body";
import type { CoapRequest, CoapResponse, Peer } from "@airlift/protocol/coap/exchange";
import type {
  BodyRefusal,
  CoapClient,
  CoapServer,
  Observation,
  ObserveOptions,
  UploadOptions,
  WholeOptions,
} from "@airlift/runtime/coap";
import type { SocketAddress } from "@airlift/runtime/udp";
import type { ProvenIdentity } from "../fleet/credentials.ts";
import type { PeerGate } from "../fleet/peer-gate.ts";
import type { Registration } from "../fleet/registration.ts";
import type { Transport } from "../fleet/sender.ts";

/** Who sent a request, before anybody asked what its credential is good for. */
export interface Visitor {
  readonly transport: Transport;
  /** As `Sender.peerKey`. */
  readonly peerKey: string;
  /** Where it was heard last, see `formatAddress`. */
  readonly address: string;
  /** `undefined` on a plain door, and for a client that proved nothing. */
  readonly identity: ProvenIdentity | undefined;
  /** The session or connection, the same object for as long as it lasts. */
  readonly peer: object;
}

/** A device that can be asked now. The promises reject as those of `CoapClient`. */
export interface DevicePeer {
  request(request: CoapRequest, options?: WholeOptions): Promise<CoapResponse>;
  upload(request: CoapRequest, source: BlockSource, options?: UploadOptions): Promise<CoapResponse>;
  observe(
    request: CoapRequest,
    onNotification: (response: CoapResponse) => void,
    options?: ObserveOptions,
  ): Promise<Observation>;
}

/** Who serves a door's visitors. */
export interface DoorService {
  readonly answer: Answerer;
  onError(error: unknown): void;
  /** A body in blocks was not taken. */
  onBodyRefused(refusal: BodyRefusal, visitor: Visitor): void;
}

export type Answerer = (request: CoapRequest, visitor: Visitor) => CoapAnswer | Promise<CoapAnswer>;

/** What a door holds now and has seen. Absent: means nothing on this transport. */
export interface DoorLoad {
  readonly transport: Transport;
  /** DTLS sessions, or connections. */
  readonly sessions?: number;
  readonly handshakes?: number;
  readonly resumable?: number;
  readonly droppedRecordCount?: number;
  readonly cookieCount?: number;
  readonly refusedHandshakeCount?: number;
  /** Requests of peers that flood, which were answered 4.29, and messages of theirs that were dropped or made to wait. */
  readonly refusedRequestCount?: number;
  readonly droppedMessageCount?: number;
}

/** What a door keeps its peers from. */
export interface DoorGate {
  /** Absent: peers may send as fast as they like. */
  readonly gate: PeerGate | undefined;
  /** A peer floods; told once a minute while it does. */
  onFlood(visitor: Visitor, refusedCount: number): void;
}

/** What a door whose devices need a session or connection is told beside. */
export interface DoorGuard extends DoorGate {
  /** The session or connection through which the device was reached is gone. */
  onLost(endpoint: string): void;
}

/** A gate's part of a door's load. */
export function gateLoad(gate: PeerGate | undefined): Pick<DoorLoad, "refusedRequestCount" | "droppedMessageCount"> {
  return gate === undefined ? {} : { refusedRequestCount: gate.refusedCount, droppedMessageCount: gate.droppedCount };
}

export interface Door {
  readonly transport: Transport;
  /** Where it listens. */
  readonly address: SocketAddress;
  readonly load: DoorLoad;
  /** Answers requests from now on, in place of an earlier service. */
  serve(service: DoorService): void;
  /** From now on the device is reached through this visitor of this door. */
  welcome(endpoint: string, visitor: Visitor): void;
  /** The device has no registration any more. */
  forget(endpoint: string): void;
  /** The way to a device that registered here; `undefined` when its session or connection is gone. */
  find(device: Registration): DevicePeer | undefined;
  /** The way back to a visitor of this door that has just asked, whether or not it is a registered device. */
  backTo(visitor: Visitor): DevicePeer;
  /** Believes these authorities of device certificates (PEM, "" = none) from the next handshake on. */
  setAuthorities(pem: string): void;
  /** Ends the sessions of an identity whose credential was withdrawn; the endpoints that were reached through them. */
  revoke(identity: ProvenIdentity): readonly string[];
  /** Ends all sessions that a certificate began: their devices have to show it again. */
  distrust(): void;
  close(): Promise<void>;
}

/** The transport of an URI scheme of CoAP. */
export const SCHEMES: Readonly<Record<Transport, "coap" | "coaps" | "coap+tcp" | "coaps+tcp">> = {
  udp: "coap",
  dtls: "coaps",
  tcp: "coap+tcp",
  tls: "coaps+tcp",
};

/** An address as it is shown and kept: "192.0.2.7:5683", "[2001:db8::7]:5683". */
export function formatAddress({ address, port }: SocketAddress): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** What `formatAddress` wrote. */
export function parseAddress(text: string): SocketAddress {
  const cut = text.lastIndexOf(":");
  return { address: text.slice(0, cut).replace(/^\[|\]$/g, ""), port: Number(text.slice(cut + 1)) };
}

/** A CoAP endpoint that asks one peer. */
export function towards<P extends Peer>(coap: CoapClient<P>, peer: P): DevicePeer {
  return {
    request: (request, options) => coap.requestWhole(peer, request, options),
    upload: (request, source, options) => coap.upload(peer, request, source, options),
    observe: (request, onNotification, options) => coap.observe(peer, request, onNotification, options),
  };
}

/** Serves a door's endpoint. */
export function serveDoor<P extends Peer>(
  coap: CoapServer<P>,
  visitorOf: (peer: P) => Visitor,
  { answer, onError, onBodyRefused }: DoorService,
): void {
  coap.serve((request, peer) => answer(request, visitorOf(peer)), {
    onError,
    onBodyRefused: (refusal, peer) => onBodyRefused(refusal, visitorOf(peer)),
  });
}

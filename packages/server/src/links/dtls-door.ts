/** CoAP over DTLS: a device is its newest session, whatever its address. */
import { CoapNode } from "@airlift/runtime/coap-node";
import { type DtlsEvent, type DtlsPeer, type DtlsServer, openDtlsServer } from "@airlift/runtime/dtls";
import type { DtlsServerCredentials } from "@airlift/runtime/dtls-credentials";
import type { SocketAddress, UdpOptions } from "@airlift/runtime/udp";
import type { ProvenIdentity } from "../fleet/credentials.ts";
import type { PeerGate } from "../fleet/peer-gate.ts";
import type { Registration } from "../fleet/registration.ts";
import {
  type DevicePeer,
  type Door,
  type DoorGuard,
  type DoorLoad,
  type DoorService,
  formatAddress,
  gateLoad,
  serveDoor,
  towards,
  type Visitor,
} from "./door.ts";
import { gatedChannel } from "./gated-channel.ts";

export interface DtlsDoorOptions extends DoorGuard {
  readonly udp: UdpOptions;
  readonly credentials: DtlsServerCredentials;
  /** What `exportSessions` of the last run gave. */
  readonly sessions: DoorSessions | undefined;
  /** A device has a new session; it is not welcome before somebody said for which endpoint it speaks. */
  onSession(visitor: Visitor): void;
  onRefused(refused: Extract<DtlsEvent, { kind: "refused" }>): void;
}

/** The sessions of a door over a restart. As secret as keys are. */
export interface DoorSessions {
  /** Of the DTLS server. */
  readonly sessions: string;
  /** The key of each endpoint's newest session. */
  readonly endpoints: readonly (readonly [endpoint: string, peerKey: string])[];
}

export interface DtlsDoor extends Door {
  /** All sessions; the door is silent from now on. */
  exportSessions(): DoorSessions;
}

/**
 * @throws {EnvironmentError} as `openUdp`
 * @throws {UsageError} `DTLS_CREDENTIAL`, `DTLS_SNAPSHOT`
 */
export async function openDtlsDoor(options: DtlsDoorOptions): Promise<DtlsDoor> {
  const door: { current: SessionDoor | undefined } = { current: undefined };
  const dtls = await openDtlsServer({
    udp: options.udp,
    credentials: options.credentials,
    sessions: options.sessions?.sessions,
    onEvent: (event) => {
      if (event.kind === "refused") options.onRefused(event);
      else if (event.kind === "opened") options.onSession(visitorOf(event.peer));
      else if (event.kind === "closed") door.current?.lost(event.peer);
    },
  });
  door.current = new SessionDoor(dtls, options);
  door.current.restore(options.sessions?.endpoints ?? []);
  return door.current;
}

class SessionDoor implements DtlsDoor {
  readonly transport = "dtls";
  readonly address: SocketAddress;
  readonly #dtls: DtlsServer;
  readonly #coap: CoapNode<DtlsPeer>;
  readonly #gate: PeerGate | undefined;
  readonly #onLost: DoorGuard["onLost"];
  /** The newest session of each device, and the device of each of these. */
  readonly #peers = new Map<string, DtlsPeer>();
  readonly #endpoints = new Map<DtlsPeer, string>();

  constructor(dtls: DtlsServer, { gate, onFlood, onLost }: DoorGuard) {
    this.#dtls = dtls;
    this.#gate = gate;
    this.#onLost = onLost;
    this.#coap = new CoapNode(gatedChannel(dtls, gate, (peer, count) => onFlood(visitorOf(peer), count)));
    this.address = dtls.address;
  }

  get load(): DoorLoad {
    return { transport: "dtls", ...this.#dtls.load, ...gateLoad(this.#gate) };
  }

  restore(endpoints: DoorSessions["endpoints"]): void {
    const byKey = new Map(endpoints.map(([endpoint, key]) => [key, endpoint]));
    for (const peer of this.#dtls.sessions()) {
      const endpoint = byKey.get(peer.key);
      if (endpoint !== undefined) this.welcome(endpoint, { peer });
    }
  }

  serve(service: DoorService): void {
    serveDoor(this.#coap, visitorOf, service);
  }

  welcome(endpoint: string, { peer }: Pick<Visitor, "peer">): void {
    const session = peer as DtlsPeer;
    if (this.#peers.get(endpoint) === session || !this.#dtls.has(session)) return;
    this.forget(endpoint);
    this.#peers.set(endpoint, session);
    this.#endpoints.set(session, endpoint);
  }

  forget(endpoint: string): void {
    const session = this.#peers.get(endpoint);
    if (session === undefined) return;
    this.#peers.delete(endpoint);
    this.#endpoints.delete(session);
  }

  find({ endpoint }: Registration): DevicePeer | undefined {
    const session = this.#peers.get(endpoint);
    return session && towards(this.#coap, session);
  }

  backTo({ peer }: Visitor): DevicePeer {
    return towards(this.#coap, peer as DtlsPeer);
  }

  lost(session: DtlsPeer): void {
    const endpoint = this.#endpoints.get(session);
    if (endpoint === undefined) return;
    this.forget(endpoint);
    this.#onLost(endpoint);
  }

  setAuthorities(pem: string): void {
    this.#dtls.setAuthorities(pem);
  }

  revoke(identity: ProvenIdentity): readonly string[] {
    const reached = [...this.#endpoints];
    this.#dtls.revoke(identity);
    return reached.filter(([peer]) => !this.#dtls.has(peer)).map(([, endpoint]) => endpoint);
  }

  distrust(): void {
    this.#dtls.revoke({ kind: "x509" });
  }

  exportSessions(): DoorSessions {
    const endpoints = Array.from(this.#peers, ([endpoint, { key }]) => [endpoint, key] as const);
    return { sessions: this.#dtls.exportSessions(), endpoints };
  }

  close(): Promise<void> {
    return this.#coap.close();
  }
}

function visitorOf(peer: DtlsPeer): Visitor {
  const { identity, key } = peer;
  return {
    transport: "dtls",
    peerKey: key,
    address: formatAddress(peer.address),
    identity: identity.kind === "anonymous" ? undefined : identity,
    peer,
  };
}

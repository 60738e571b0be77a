/** CoAP over TCP and over TLS: a device is its connection (RFC 8323). */
import { METHOD } from "@airlift/protocol/coap/codes";
import { type CoapTcp, openCoapTcp, type TcpPeer } from "@airlift/runtime/coap-tcp";
import type { ListenOptions } from "@airlift/runtime/tcp-listener";
import type { SocketAddress } from "@airlift/runtime/udp";
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

/** A TLS door where there is `security`, else a plain one. @throws {EnvironmentError} as `listenTcp` */
export async function openTcpDoor(listen: ListenOptions, guard: DoorGuard): Promise<Door> {
  const { gate, onFlood } = guard;
  const door: { current: TcpDoor | undefined } = { current: undefined };
  const coap = await openCoapTcp({
    listen,
    onDisconnect: (peer) => door.current?.lost(peer),
    ...(gate && {
      paceMs: (peer, { code }) => {
        const nowMs = performance.now();
        const waitMs = gate.paceMs(peer.key, code === METHOD.get ? "block" : "request", nowMs);
        const count = waitMs > 0 ? gate.takeNews(peer.key, nowMs) : 0;
        if (count > 0 && door.current) onFlood(door.current.visitorOf(peer), count);
        return waitMs;
      },
    }),
  });
  door.current = new TcpDoor(coap, listen.security ? "tls" : "tcp", guard);
  return door.current;
}

class TcpDoor implements Door {
  readonly transport: "tcp" | "tls";
  readonly address: SocketAddress;
  readonly #coap: CoapTcp;
  readonly #gate: PeerGate | undefined;
  readonly #onLost: DoorGuard["onLost"];
  /** The newest connection of each device, and the devices of each connection. */
  readonly #peers = new Map<string, TcpPeer>();
  readonly #endpoints = new Map<TcpPeer, Set<string>>();

  constructor(coap: CoapTcp, transport: "tcp" | "tls", { gate, onLost }: DoorGuard) {
    this.#coap = coap;
    this.#gate = gate;
    this.#onLost = onLost;
    this.transport = transport;
    this.address = coap.address ?? { address: "", port: 0 };
  }

  get load(): DoorLoad {
    return { transport: this.transport, sessions: this.#coap.peers().length, ...gateLoad(this.#gate) };
  }

  serve(service: DoorService): void {
    serveDoor(this.#coap, (peer) => this.visitorOf(peer), service);
  }

  visitorOf(peer: TcpPeer): Visitor {
    const { identity, key } = peer;
    return {
      transport: this.transport,
      peerKey: `${this.transport} ${key}`,
      address: formatAddress(peer),
      identity,
      peer,
    };
  }

  welcome(endpoint: string, { peer }: Visitor): void {
    this.forget(endpoint);
    const connection = peer as TcpPeer;
    this.#peers.set(endpoint, connection);
    const others = this.#endpoints.get(connection) ?? new Set();
    this.#endpoints.set(connection, others.add(endpoint));
  }

  forget(endpoint: string): void {
    const peer = this.#peers.get(endpoint);
    if (peer === undefined) return;
    this.#peers.delete(endpoint);
    const endpoints = this.#endpoints.get(peer);
    endpoints?.delete(endpoint);
    if (endpoints?.size === 0) this.#endpoints.delete(peer);
  }

  find({ endpoint }: Registration): DevicePeer | undefined {
    const peer = this.#peers.get(endpoint);
    return peer && towards(this.#coap, peer);
  }

  backTo({ peer }: Visitor): DevicePeer {
    return towards(this.#coap, peer as TcpPeer);
  }

  lost(peer: TcpPeer): void {
    for (const endpoint of [...(this.#endpoints.get(peer) ?? [])]) {
      this.forget(endpoint);
      this.#onLost(endpoint);
    }
  }

  setAuthorities(pem: string): void {
    this.#coap.setTrust(pem);
  }

  revoke({ kind, name, fingerprint }: ProvenIdentity): readonly string[] {
    return this.#end(
      ({ identity }) =>
        identity?.kind === kind &&
        identity.name === name &&
        (fingerprint === undefined || identity.fingerprint === fingerprint),
    );
  }

  distrust(): void {
    this.#end(({ identity }) => identity?.kind === "x509");
  }

  close(): Promise<void> {
    return this.#coap.close();
  }

  #end(isMeant: (peer: TcpPeer) => boolean): readonly string[] {
    return this.#coap
      .peers()
      .filter(isMeant)
      .flatMap((peer) => {
        const endpoints = [...(this.#endpoints.get(peer) ?? [])];
        this.lost(peer);
        this.#coap.disconnect(peer);
        return endpoints;
      });
  }
}

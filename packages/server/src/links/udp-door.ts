/** Plain CoAP over UDP: a device is its address, and proves nothing. */
import { CoapNode } from "@airlift/runtime/coap-node";
import type { CoapUdpOptions } from "@airlift/runtime/coap-udp";
import { openUdp, type SocketAddress, type Udp, type UdpPeer, udpPeer } from "@airlift/runtime/udp";
import type { PeerGate } from "../fleet/peer-gate.ts";
import type { Registration } from "../fleet/registration.ts";
import { udpPeerKey } from "../fleet/sender.ts";
import {
  type DevicePeer,
  type Door,
  type DoorGate,
  type DoorLoad,
  type DoorService,
  formatAddress,
  gateLoad,
  parseAddress,
  serveDoor,
  towards,
  type Visitor,
} from "./door.ts";
import { gatedChannel } from "./gated-channel.ts";

/** @throws {EnvironmentError} as `openUdp` */
export async function openUdpDoor(options: CoapUdpOptions, guard: DoorGate): Promise<Door> {
  return new UdpDoor(await openUdp(options), options, guard);
}

class UdpDoor implements Door {
  readonly transport = "udp";
  readonly address: SocketAddress;
  readonly #coap: CoapNode<UdpPeer>;
  readonly #gate: PeerGate | undefined;

  constructor(udp: Udp, options: CoapUdpOptions, { gate, onFlood }: DoorGate) {
    const channel = gatedChannel(udp, gate, (peer, count) => onFlood(visitorOf(peer), count));
    this.#coap = new CoapNode(channel, options);
    this.#gate = gate;
    this.address = udp.address;
  }

  get load(): DoorLoad {
    return { transport: "udp", ...gateLoad(this.#gate) };
  }

  serve(service: DoorService): void {
    serveDoor(this.#coap, visitorOf, service);
  }

  /** Nothing is kept: the registration has the address. */
  welcome(): void {}

  forget(): void {}

  /** Of several sockets the one that speaks the device's version of IP; `::` speaks both. */
  find(device: Registration): DevicePeer | undefined {
    const { address, port } = parseAddress(device.address);
    const isReachable = this.address.address === "::" || this.address.address.includes(":") === address.includes(":");
    return isReachable ? towards(this.#coap, udpPeer(address, port)) : undefined;
  }

  backTo({ peer }: Visitor): DevicePeer {
    return towards(this.#coap, peer as UdpPeer);
  }

  setAuthorities(): void {}

  revoke(): readonly string[] {
    return [];
  }

  distrust(): void {}

  close(): Promise<void> {
    return this.#coap.close();
  }
}

function visitorOf(peer: UdpPeer): Visitor {
  const address = formatAddress(peer);
  return { transport: "udp", peerKey: udpPeerKey(address), address, identity: undefined, peer };
}

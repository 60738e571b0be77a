/** Plain CoAP over UDP: a device is its address, and proves nothing. */
import { type CoapUdp, type CoapUdpOptions, openCoapUdp } from "@airlift/runtime/coap-udp";
import { type SocketAddress, type UdpPeer, udpPeer } from "@airlift/runtime/udp";
import type { Registration } from "../fleet/registration.ts";
import { udpPeerKey } from "../fleet/sender.ts";
import {
  type DevicePeer,
  type Door,
  type DoorLoad,
  formatAddress,
  parseAddress,
  serveDoor,
  towards,
  type Visitor,
} from "./door.ts";

/** @throws {EnvironmentError} as `openUdp` */
export async function openUdpDoor(options: CoapUdpOptions): Promise<Door> {
  return new UdpDoor(await openCoapUdp(options));
}

class UdpDoor implements Door {
  readonly transport = "udp";
  readonly load: DoorLoad = { transport: "udp" };
  readonly address: SocketAddress;
  readonly #coap: CoapUdp;

  constructor(coap: CoapUdp) {
    this.#coap = coap;
    this.address = coap.address;
  }

  serve(...answering: Parameters<Door["serve"]>): void {
    serveDoor(this.#coap, visitorOf, answering);
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

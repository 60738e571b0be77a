/** Requests to registered devices, each over the transport and below the root path that it registered. */
import type { BlockSource } from "@airlift/protocol/coap/body";
import type { CoapResponse } from "@airlift/protocol/coap/exchange";
import { toCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import { type Lwm2mRequest, withRoot } from "@airlift/protocol/lwm2m/request";
import type { CoapClient, Observation, ObserveOptions, UploadOptions, WholeOptions } from "@airlift/runtime/coap";
import { type UdpPeer, udpPeer } from "@airlift/runtime/udp";
import type { Registration } from "../fleet/registration.ts";

/** What the server asks of devices; all promises reject as those of `CoapClient`. */
export interface DeviceRequests {
  /** A request and its answer, either of which may need blocks but fits into memory. */
  request(device: Registration, request: Lwm2mRequest, options?: WholeOptions): Promise<CoapResponse>;
  /** `source` as the body of `request`; the answer to its last block. An error code rejects with `CoapRefusal`. */
  upload(
    device: Registration,
    request: Lwm2mRequest,
    source: BlockSource,
    options?: UploadOptions,
  ): Promise<CoapResponse>;
  /** As `CoapClient.observe`. */
  observe(
    device: Registration,
    request: Lwm2mRequest,
    onNotification: (response: CoapResponse) => void,
    options?: ObserveOptions,
  ): Promise<Observation>;
}

/** The address of a peer as the registry keeps it: "192.0.2.7:5683", "[2001:db8::7]:5683". */
export function formatAddress({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The peer behind an address that `formatAddress` wrote. */
export function peerOf(address: string): UdpPeer {
  const cut = address.lastIndexOf(":");
  return udpPeer(address.slice(0, cut).replace(/^\[|\]$/g, ""), Number(address.slice(cut + 1)));
}

/** Over one CoAP endpoint on plain UDP, where a device is its address. */
export class UdpDeviceRequests implements DeviceRequests {
  readonly #coap: CoapClient<UdpPeer>;

  constructor(coap: CoapClient<UdpPeer>) {
    this.#coap = coap;
  }

  request(device: Registration, request: Lwm2mRequest, options?: WholeOptions): Promise<CoapResponse> {
    return this.#coap.requestWhole(peerOf(device.address), located(device, request), options);
  }

  upload(
    device: Registration,
    request: Lwm2mRequest,
    source: BlockSource,
    options?: UploadOptions,
  ): Promise<CoapResponse> {
    return this.#coap.upload(peerOf(device.address), located(device, request), source, options);
  }

  observe(
    device: Registration,
    request: Lwm2mRequest,
    onNotification: (response: CoapResponse) => void,
    options?: ObserveOptions,
  ): Promise<Observation> {
    return this.#coap.observe(peerOf(device.address), located(device, request), onNotification, options);
  }
}

/** A device may have put its objects below a path of its own (LwM2M 1.2 §6.4.1). */
const located = ({ objects }: Registration, request: Lwm2mRequest) =>
  toCoapRequest(withRoot(request, objects.rootSegments));

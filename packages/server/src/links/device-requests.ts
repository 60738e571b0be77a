/** Requests to registered devices, each over the transport and below the root path that it registered. */
import type { BlockSource } from "@airlift/protocol/coap/body";
import type { CoapResponse } from "@airlift/protocol/coap/exchange";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { toCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import { type Lwm2mRequest, withRoot } from "@airlift/protocol/lwm2m/request";
import type { Observation, ObserveOptions, UploadOptions, WholeOptions } from "@airlift/runtime/coap";
import type { Registration } from "../fleet/registration.ts";
import type { DevicePeer } from "./door.ts";

/**
 * What the server asks of devices; all promises reject as those of `CoapClient`, and at once with `EnvironmentError`
 * DEVICE_DISCONNECTED where only the device can begin a session or connection, and has none now.
 */
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

/** Finds the way to a device; `undefined` when there is none now. */
export interface DeviceFinder {
  find(device: Registration): DevicePeer | undefined;
}

/** Through the door at which a device registered. */
export class DoorRequests implements DeviceRequests {
  readonly #doors: DeviceFinder;

  constructor(doors: DeviceFinder) {
    this.#doors = doors;
  }

  async request(device: Registration, request: Lwm2mRequest, options?: WholeOptions): Promise<CoapResponse> {
    return await this.#peerOf(device).request(located(device, request), options);
  }

  async upload(
    device: Registration,
    request: Lwm2mRequest,
    source: BlockSource,
    options?: UploadOptions,
  ): Promise<CoapResponse> {
    return await this.#peerOf(device).upload(located(device, request), source, options);
  }

  async observe(
    device: Registration,
    request: Lwm2mRequest,
    onNotification: (response: CoapResponse) => void,
    options?: ObserveOptions,
  ): Promise<Observation> {
    return await this.#peerOf(device).observe(located(device, request), onNotification, options);
  }

  #peerOf(device: Registration): DevicePeer {
    const peer = this.#doors.find(device);
    if (peer !== undefined) return peer;
    const { endpoint, transport } = device;
    const what = transport === "dtls" ? "session" : "connection";
    throw new EnvironmentError(
      "DEVICE_DISCONNECTED",
      `the device has no ${what} now; only the device itself can begin one`,
      { endpoint, transport },
    );
  }
}

/** A device may have put its objects below a path of its own (LwM2M 1.2 §6.4.1). */
const located = ({ objects }: Registration, request: Lwm2mRequest) =>
  toCoapRequest(withRoot(request, objects.rootSegments));

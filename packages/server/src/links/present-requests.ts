/** Requests to devices that keep presence up to date, and that do not go out while a device sleeps. */
import type { BlockSource } from "@airlift/protocol/coap/body";
import { isSuccessCode } from "@airlift/protocol/coap/codes";
import { CoapRefusal, type CoapResponse } from "@airlift/protocol/coap/exchange";
import { AirliftError, EnvironmentError } from "@airlift/protocol/lib/errors";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { Observation, ObserveOptions, TransferOptions, WholeOptions } from "@airlift/runtime/coap";
import type { Registration } from "../fleet/registration.ts";
import type { DeviceRequests } from "./device-requests.ts";
import type { PresenceWatch } from "./presence-watch.ts";

export interface PresentRequestsParts {
  readonly within: DeviceRequests;
  readonly presence: PresenceWatch;
  /** The device has done what it was asked for: it takes this server for its own. */
  onServed(device: Registration): void;
}

/**
 * All promises reject as those of the requests within, and at once with {EnvironmentError} DEVICE_ASLEEP while the device
 * sleeps: what is sent then would only be repeated in vain for 93 s (LwM2M Transport 1.2 §6.5).
 */
export class PresentRequests implements DeviceRequests {
  readonly #within: DeviceRequests;
  readonly #presence: PresenceWatch;
  readonly #onServed: PresentRequestsParts["onServed"];

  constructor({ within, presence, onServed }: PresentRequestsParts) {
    this.#within = within;
    this.#presence = presence;
    this.#onServed = onServed;
  }

  async request(device: Registration, request: Lwm2mRequest, options?: WholeOptions): Promise<CoapResponse> {
    return this.#served(device, await this.#watch(device, () => this.#within.request(device, request, options)));
  }

  async upload(
    device: Registration,
    request: Lwm2mRequest,
    source: BlockSource,
    options: TransferOptions = {},
  ): Promise<CoapResponse> {
    // Each block that is acknowledged is a sign of life, however long the whole package takes.
    const onProgress: TransferOptions["onProgress"] = (progress) => {
      this.#presence.feed({ kind: "heard", endpoint: device.endpoint });
      options.onProgress?.(progress);
    };
    const upload = () => this.#within.upload(device, request, source, { ...options, onProgress });
    return this.#served(device, await this.#watch(device, upload));
  }

  async observe(
    device: Registration,
    request: Lwm2mRequest,
    onNotification: (response: CoapResponse) => void,
    options?: ObserveOptions,
  ): Promise<Observation> {
    const onNews = (response: CoapResponse): void => {
      this.#presence.feed({ kind: "heard", endpoint: device.endpoint });
      onNotification(response);
    };
    const observation = await this.#watch(device, () => this.#within.observe(device, request, onNews, options));
    this.#served(device, observation.response);
    return observation;
  }

  #served(device: Registration, response: CoapResponse): CoapResponse {
    if (isSuccessCode(response.code)) this.#onServed(device);
    return response;
  }

  async #watch<Answer>(device: Registration, ask: () => Promise<Answer>): Promise<Answer> {
    const { endpoint } = device;
    if (this.#presence.of(endpoint).state === "asleep") {
      const { reachability } = this.#presence.reachabilityOf(endpoint, device);
      throw new EnvironmentError(
        "DEVICE_ASLEEP",
        `${reachability}; an operation other than Observe waits for it with --queue, in the API with ?queue=true`,
        { endpoint },
      );
    }
    try {
      const answer = await ask();
      this.#presence.feed({ kind: "heard", endpoint });
      return answer;
    } catch (error) {
      if (error instanceof CoapRefusal) this.#presence.feed({ kind: "heard", endpoint });
      else if (error instanceof AirliftError && error.code === "COAP_TIMEOUT")
        this.#presence.feed({ kind: "unanswered", endpoint });
      throw error;
    }
  }
}

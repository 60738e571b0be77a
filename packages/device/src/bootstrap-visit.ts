/** One visit at the bootstrap server: what it asks of the device, from the request to the end of the session. */
import { CODE, isSuccessCode } from "@airlift/protocol/coap/codes";
import type { CoapRequest, CoapResponse } from "@airlift/protocol/coap/exchange";
import type { TransmissionParameters } from "@airlift/protocol/coap/transmission";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import type { ServerAccount } from "@airlift/protocol/lwm2m/bootstrap/accounts";
import {
  bootstrapInstanceIn,
  type Configuration,
  EMPTY_CONFIGURATION,
  instancesOf,
  written,
} from "@airlift/protocol/lwm2m/bootstrap/configuration";
import { Provisioning } from "@airlift/protocol/lwm2m/bootstrap/provisioning";
import { fromCoapRequest, toCoapAnswer } from "@airlift/protocol/lwm2m/coap-mapping";
import { SECURITY_ID, SECURITY_RESOURCES } from "@airlift/protocol/lwm2m/objects/security";
import type { Lwm2mVersion } from "@airlift/protocol/lwm2m/registration";
import type { ServerChannel } from "./server-channel.ts";

export interface BootstrapVisitOptions {
  readonly channel: ServerChannel;
  readonly bootstrapUri: string;
  /** What the device has; absent: nothing. */
  readonly configuration: Configuration | undefined;
  readonly lwm2mVersion: Lwm2mVersion;
  check(accounts: readonly ServerAccount[]): readonly string[];
  onAsked(): void;
  /** Makes it durable; the server is told when that has happened, and hears 5.00 when it fails. */
  onFinished(configuration: Configuration): Promise<void>;
}

/** How long a finished session waits for a Finish that comes again. */
const LINGER_MS = 5_000;

export class BootstrapVisit {
  readonly channel: ServerChannel;
  readonly #options: BootstrapVisitOptions;
  readonly #provisioning: Provisioning;
  readonly #ended = new AbortController();
  #lingering: NodeJS.Timeout | undefined;
  #isFinished = false;

  constructor(options: BootstrapVisitOptions) {
    const { channel, configuration, bootstrapUri, lwm2mVersion, check } = options;
    this.channel = channel;
    this.#options = options;
    this.#provisioning = new Provisioning(withBootstrapServer(configuration, bootstrapUri), { lwm2mVersion, check });
    channel.coap.serve(async (request, peer) => {
      const isServer = channel.isServer(peer) && !this.#isFinished;
      if (!isServer) return toCoapAnswer({ code: CODE.unauthorized, payload: EMPTY });
      this.#options.onAsked();
      return this.#answer(request);
    });
  }

  get hasEnded(): boolean {
    return this.#ended.signal.aborted;
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** Rejects as `CoapClient.request`, and when the visit ends meanwhile. */
  async ask(request: CoapRequest, transmission: TransmissionParameters): Promise<CoapResponse> {
    const { signal } = this.#ended;
    const peer = await this.channel.reach(signal);
    return this.channel.coap.requestWhole(peer, request, { transmission, signal });
  }

  /** Takes everything at once, and finishes. @throws {PeerError} for a pack that does not fit */
  async unpack(content: { readonly contentFormat: number; readonly payload: Uint8Array }): Promise<void> {
    this.#provisioning.unpack(content);
    await this.#finish();
  }

  linger(): void {
    this.#lingering = setTimeout(() => void this.end(), LINGER_MS);
    // A session that only waits keeps no program alive.
    this.#lingering.unref();
  }

  /** May be called twice. */
  end(): Promise<void> {
    clearTimeout(this.#lingering);
    this.#ended.abort();
    return this.channel.close();
  }

  async #answer(request: CoapRequest) {
    const answer = this.#provisioning.answer(fromCoapRequest(request));
    const isFinish = fromCoapRequest(request).uriPath[0] === "bs";
    if (isFinish && isSuccessCode(answer.code)) await this.#finish();
    return toCoapAnswer(answer);
  }

  async #finish(): Promise<void> {
    this.#isFinished = true;
    try {
      await this.#options.onFinished(this.#provisioning.draft);
    } catch (error) {
      this.#isFinished = false;
      throw error;
    }
  }
}

/** The bootstrap server's own account is there to be discovered; its key is not: the factory's is no configuration. */
function withBootstrapServer(configuration: Configuration = EMPTY_CONFIGURATION, uri: string): Configuration {
  if (bootstrapInstanceIn(configuration) !== undefined) return configuration;
  const taken = instancesOf(configuration, SECURITY_ID);
  let instance = 0;
  while (taken.includes(instance)) instance += 1;
  const path = [SECURITY_ID, instance];
  return written(configuration, {
    path,
    entries: [
      { path: [...path, SECURITY_RESOURCES.serverUri], value: uri },
      { path: [...path, SECURITY_RESOURCES.bootstrapServer], value: true },
    ],
  });
}

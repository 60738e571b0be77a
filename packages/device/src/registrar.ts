/** Carries a registration session to the server. */
import { CODE } from "@airlift/protocol/coap/codes";
import type { CoapResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionTexts, optionUint } from "@airlift/protocol/coap/options";
import type { TransmissionParameters } from "@airlift/protocol/coap/transmission";
import { AirliftError } from "@airlift/protocol/lib/errors";
import { toCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import {
  encodeDeregister,
  encodeRegister,
  encodeUpdate,
  type Registration,
} from "@airlift/protocol/lwm2m/registration";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import { type Driven, drive } from "@airlift/runtime/drive";
import type { Account } from "./account.ts";
import type { ContactFailure, ServerChannel } from "./server-channel.ts";
import { type RegistrationInput, type RegistrationOutput, RegistrationSession } from "./session/registration.ts";

export interface RegistrarOptions {
  readonly channel: ServerChannel;
  /** Seconds; of the first server. */
  readonly lifetimeS: number;
  /** What is registered now, but for the lifetime. */
  registration(): Registration;
  readonly transmission?: TransmissionParameters | undefined;
  /** A new registration stands. */
  onRegistered(location: readonly string[]): void;
  /** The server has answered, and the registration stands. */
  onAnswered(): void;
  onRetry(afterMs: number, failure: ContactFailure): void;
  /** As often as the policy says, nothing came of it. */
  onUnreachable(failure: ContactFailure): void;
}

/** How long a goodbye may take; after that the lifetime says it. */
const GOODBYE_MS = 2_000;

export class Registrar {
  readonly #options: RegistrarOptions;
  #session: RegistrationSession;
  #driven: Driven<RegistrationInput>;
  #failure: ContactFailure = { code: "", sentence: "" };
  #onClosed: (() => void) | undefined;
  /** Gives up what is under way when there is no traffic any more. */
  #offline = new AbortController();

  constructor(options: RegistrarOptions) {
    this.#options = options;
    this.#session = new RegistrationSession({ lifetimeS: options.lifetimeS, random: Math.random });
    this.#driven = this.#drive(this.#session);
  }

  /** Speaks to this server from the next `open` on; what was under way with another is forgotten. */
  use({ lifetimeS, retry }: Pick<Account, "lifetimeS" | "retry">): void {
    this.#driven.stop();
    this.#offline.abort();
    this.#offline = new AbortController();
    this.#session = new RegistrationSession({ lifetimeS, random: Math.random, retry });
    this.#driven = this.#drive(this.#session);
  }

  get lifetimeS(): number {
    return this.#session.lifetimeS;
  }

  get isRegistered(): boolean {
    return this.#session.state === "registered" || this.#session.state === "refreshing";
  }

  open(): void {
    this.#driven.feed({ kind: "open" });
  }

  refresh(lifetimeS?: number): void {
    this.#driven.feed(lifetimeS === undefined ? { kind: "changed" } : { kind: "changed", lifetimeS });
  }

  /** What the registration was made over has ended. */
  lost(failure: ContactFailure): void {
    this.#failure = failure;
    this.#driven.feed({ kind: "lost" });
  }

  /** No traffic from now on, or traffic again, which begins with a new registration. */
  setOffline(isOffline: boolean): void {
    if (!isOffline) {
      this.open();
      return;
    }
    this.#driven.feed({ kind: "offline" });
    this.#offline.abort();
    this.#offline = new AbortController();
    this.#options.channel.rest();
  }

  /** What a device sends by itself, to the server it is registered with. Rejects as `CoapClient.request`. */
  async report(request: Lwm2mRequest): Promise<CoapResponse> {
    const { channel, transmission } = this.#options;
    const { signal } = this.#offline;
    const peer = await channel.reach(signal);
    return channel.coap.request(peer, toCoapRequest(request), { transmission, signal });
  }

  /** Ends the registration; `saysGoodbye` tells the server. */
  async close(saysGoodbye: boolean): Promise<void> {
    if (saysGoodbye && this.isRegistered) {
      const closed = new Promise<void>((resolve) => {
        this.#onClosed = resolve;
      });
      this.#driven.feed({ kind: "close" });
      await closed;
    }
    this.#driven.stop();
  }

  #drive(session: RegistrationSession): Driven<RegistrationInput> {
    return drive<RegistrationInput, RegistrationOutput>(session, { kind: "wake" }, (output) => this.#perform(output));
  }

  #perform(output: RegistrationOutput): void {
    switch (output.kind) {
      case "register":
        void this.#send(
          output.attempt,
          encodeRegister({ ...this.#options.registration(), lifetimeS: output.lifetimeS }),
        );
        break;
      case "refresh":
        void this.#send(
          output.attempt,
          encodeUpdate(output.location, { lifetimeS: output.lifetimeS }, this.#options.registration().lwm2mVersion),
        );
        break;
      case "deregister":
        void this.#send(output.attempt, encodeDeregister(output.location), AbortSignal.timeout(GOODBYE_MS));
        break;
      case "registered":
        this.#options.onRegistered(output.location);
        break;
      case "retry":
        this.#options.onRetry(output.afterMs, this.#failure);
        break;
      case "unreachable":
        this.#options.onUnreachable(this.#failure);
        break;
      case "closed":
        this.#onClosed?.();
    }
  }

  async #send(attempt: number, request: Lwm2mRequest, signal = this.#offline.signal): Promise<void> {
    const { channel, transmission } = this.#options;
    const driven = this.#driven;
    try {
      const peer = await channel.reach(signal);
      const response = await channel.coap.request(peer, toCoapRequest(request), { transmission, signal });
      if (driven !== this.#driven) return;
      driven.feed(this.#read(attempt, response));
      if (this.isRegistered) this.#options.onAnswered();
    } catch (error) {
      if (driven !== this.#driven) return;
      this.#failure = channel.explain(error);
      if (error instanceof AirliftError && error.code === "COAP_TIMEOUT") channel.renew();
      driven.feed({ kind: "failed", attempt, isUnknown: false });
    }
  }

  #read(attempt: number, { code, options }: CoapResponse): RegistrationInput {
    if (code >> 5 === 2) return { kind: "accepted", attempt, location: optionTexts(options, OPTION.locationPath) };
    const dotted = `${code >> 5}.${String(code & 0x1f).padStart(2, "0")}`;
    this.#failure = { code: dotted, sentence: `refused with ${dotted}` };
    const retryAfterMs = code === CODE.serviceUnavailable ? 1000 * (optionUint(options, OPTION.maxAge) ?? 0) : 0;
    return { kind: "failed", attempt, isUnknown: code === CODE.notFound, retryAfterMs };
  }
}

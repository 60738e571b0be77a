/** Which server the agent lives with, and the way there: the one of its options, or the one that bootstrapping has brought. */
import { type Account, DEFAULT_SHORT_SERVER_ID, limited } from "./account.ts";
import type { AgentEvent, AgentSettings } from "./agent-options.ts";
import type { BootstrapRunner } from "./bootstrap-runner.ts";
import { openServerChannel } from "./channel-choice.ts";
import type { Registrar } from "./registrar.ts";
import { type ContactFailure, explainPlainly, type ServerChannel } from "./server-channel.ts";
import { ServerLink } from "./server-link.ts";
import { DEFAULT_REGISTRATION_RETRY } from "./session/registration.ts";

export interface AgentHomePorts {
  readonly settings: AgentSettings;
  readonly loss: (direction: "in" | "out", datagram: Uint8Array) => boolean;
  /** After `prepare`. */
  registrar(): Registrar | undefined;
  tell(event: AgentEvent): void;
}

export class AgentHome {
  readonly link = new ServerLink();
  readonly #ports: AgentHomePorts;
  #account: Account | undefined;
  #bootstrap: BootstrapRunner | undefined;
  #switching: Promise<void> = Promise.resolve();
  #isOpened = false;
  #isClosed = false;

  constructor(ports: AgentHomePorts) {
    this.#ports = ports;
    this.#account = accountOfOptions(ports.settings);
  }

  /** The server that the agent has, or had last. */
  get account(): Account | undefined {
    return this.#account;
  }

  /** For Bootstrap-Request Trigger; absent where there is no bootstrap server. */
  get trigger(): (() => void) | undefined {
    const runner = this.#bootstrap;
    // The answer to whoever asks for it leaves first.
    return runner && (() => void setImmediate(() => runner.trigger()));
  }

  /** Opens what may fail at the start. @throws {EnvironmentError} PORT_IN_USE and the like; or as the credential store */
  async prepare(): Promise<void> {
    const { bootstrap } = this.#ports.settings;
    if (bootstrap) {
      const { BootstrapRunner } = await import("./bootstrap-runner.ts");
      this.#bootstrap = new BootstrapRunner(this.#hostOf(bootstrap, this.#account));
      await this.#bootstrap.load();
    } else if (this.#account) await this.link.switchTo(await this.#channelTo(this.#account));
    if (this.#isClosed) await this.close();
  }

  /** Registers, or asks to be bootstrapped. */
  open(): void {
    if (this.#bootstrap) this.#bootstrap.open();
    else {
      const registrar = this.#ports.registrar();
      // Once: the server may have changed the lifetime since.
      if (this.#account && !this.#isOpened) registrar?.use(this.#account);
      this.#isOpened = true;
      registrar?.open();
    }
  }

  rest(): void {
    this.#bootstrap?.rest();
    this.#ports.registrar()?.setOffline(true);
  }

  registered(): void {
    this.#bootstrap?.registered();
  }

  unreachable(failure: ContactFailure): void {
    this.#bootstrap?.unreachable(this.#account?.bootstraps ?? true, failure);
  }

  /** No other server from now on; the way to the present one stays, for a goodbye. */
  stop(): void {
    this.#isClosed = true;
    this.#bootstrap?.rest();
  }

  async close(): Promise<void> {
    this.stop();
    await this.#bootstrap?.close();
    await this.#switching;
    await this.link.close();
  }

  #hostOf(options: NonNullable<AgentSettings["bootstrap"]>, factoryAccount: Account | undefined) {
    const { settings, loss, tell } = this.#ports;
    const { endpoint, lwm2mVersion, transmission, registrationRetry } = settings;
    return {
      options,
      endpoint,
      lwm2mVersion,
      transmission,
      registrationRetry,
      factoryAccount,
      loss,
      use: (account: Account) => this.#use(account),
      leave: () => this.#leave(),
      onBegun: () => tell({ kind: "bootstrapping", server: options.server }),
      onDone: ({ uri }: Account) => tell({ kind: "bootstrapped", server: uri }),
      onFailed: ({ code, sentence }: ContactFailure, retryAfterMs: number | undefined) =>
        tell({ kind: "bootstrapFailed", reason: sentence, code, retryAfterMs }),
    };
  }

  #use(account: Account): void {
    this.#account = account;
    this.#switch(async () => {
      await this.link.switchTo(await this.#channelTo(account));
      if (this.#account !== account || this.#isClosed) return;
      this.#ports.registrar()?.use(account);
      this.#ports.registrar()?.open();
    });
  }

  #leave(): void {
    this.#ports.registrar()?.setOffline(true);
    this.#switch(() => this.link.switchTo(undefined));
  }

  /** One after the other: of two ways at once one would be forgotten. */
  #switch(work: () => Promise<void>): void {
    this.#switching = this.#switching
      .then(() => (this.#isClosed ? undefined : work()))
      .catch((error: unknown) => {
        this.#ports.tell({ kind: "failure", what: "server", error });
        this.unreachable(explainPlainly(error));
      });
  }

  #channelTo({ address, credentials }: Account): Promise<ServerChannel> {
    const { transmission, bind } = this.#ports.settings;
    return openServerChannel({
      address,
      credentials,
      transmission,
      ...(bind && { bind }),
      loss: this.#ports.loss,
      onLost: (failure) => this.#ports.registrar()?.lost(failure),
    });
  }
}

function accountOfOptions(settings: AgentSettings): Account | undefined {
  const { address, server, credentials, lifetimeS, bootstrap } = settings;
  if (address === undefined || server === undefined) return undefined;
  const retry = settings.registrationRetry ?? DEFAULT_REGISTRATION_RETRY;
  return {
    uri: server,
    address,
    credentials,
    lifetimeS,
    shortServerId: DEFAULT_SHORT_SERVER_ID,
    serverInstance: 0,
    retry: bootstrap ? limited(retry) : retry,
    bootstraps: true,
  };
}

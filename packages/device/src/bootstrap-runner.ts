/** Carries out what the bootstrap client decides: talks to the bootstrap server, keeps what it was given, switches servers. */
import { isSuccessCode } from "@airlift/protocol/coap/codes";
import type { CoapRequest } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint } from "@airlift/protocol/coap/options";
import type { TransmissionParameters } from "@airlift/protocol/coap/transmission";
import { AirliftError, BugError } from "@airlift/protocol/lib/errors";
import { readAccounts } from "@airlift/protocol/lwm2m/bootstrap/accounts";
import {
  BootstrapClient,
  type BootstrapClientInput,
  type BootstrapClientOutput,
  DEFAULT_BOOTSTRAP_CLIENT,
} from "@airlift/protocol/lwm2m/bootstrap/client";
import type { Configuration } from "@airlift/protocol/lwm2m/bootstrap/configuration";
import { bootstrapPackRequest, bootstrapRequest } from "@airlift/protocol/lwm2m/bootstrap/messages";
import { toCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import type { Lwm2mVersion } from "@airlift/protocol/lwm2m/registration";
import { type Driven, drive } from "@airlift/runtime/drive";
import { type Account, accountOf } from "./account.ts";
import type { BootstrapOptions, StoredConfiguration } from "./bootstrap-options.ts";
import { BootstrapVisit } from "./bootstrap-visit.ts";
import { openServerChannel } from "./channel-choice.ts";
import { type ContactFailure, explainPlainly } from "./server-channel.ts";
import type { RetryPolicy } from "./session/registration.ts";
import { parsePackageUri } from "./transfer/package-uri.ts";

export interface BootstrapHost {
  readonly options: BootstrapOptions;
  readonly endpoint: string;
  readonly lwm2mVersion: Lwm2mVersion;
  readonly transmission: TransmissionParameters;
  readonly registrationRetry: RetryPolicy | undefined;
  /** The account of the device's options, which counts as long as no other has worked. */
  readonly factoryAccount: Account | undefined;
  readonly loss: (direction: "in" | "out", datagram: Uint8Array) => boolean;
  /** Registers with this server from now on. */
  use(account: Account): void;
  /** Speaks to no server until `use`. */
  leave(): void;
  onBegun(): void;
  onDone(account: Account): void;
  onFailed(failure: ContactFailure, retryAfterMs: number | undefined): void;
}

const NO_FAILURE: ContactFailure = { code: "UNKNOWN", sentence: "bootstrapping did not come about" };

const SILENCE: ContactFailure = { code: "BOOTSTRAP_SILENCE", sentence: "the bootstrap server did not finish" };

export class BootstrapRunner {
  readonly #host: BootstrapHost;
  readonly #core: BootstrapClient;
  readonly #driven: Driven<BootstrapClientInput>;
  #stored: StoredConfiguration = { former: undefined, untried: undefined };
  #visit: BootstrapVisit | undefined;
  #failure: ContactFailure = NO_FAILURE;
  #saving: Promise<void> = Promise.resolve();
  #requesting: Promise<void> = Promise.resolve();

  constructor(host: BootstrapHost) {
    this.#host = host;
    const { holdOffS = 0, silenceMs, retry } = host.options;
    this.#core = new BootstrapClient({
      ...DEFAULT_BOOTSTRAP_CLIENT,
      holdOffMs: holdOffS * 1_000,
      ...(silenceMs !== undefined && { silenceMs }),
      ...(retry && { firstDelayMs: retry.firstDelayMs, longestDelayMs: retry.longestDelayMs }),
      random: Math.random,
    });
    this.#driven = drive<BootstrapClientInput, BootstrapClientOutput>(this.#core, { kind: "wake" }, (output) =>
      this.#perform(output),
    );
  }

  /** Reads what the last run left. Rejects as the store does. */
  async load(): Promise<void> {
    const stored = await this.#host.options.store.load();
    // What does not fit any more, as after a change of the program, is as good as nothing.
    this.#stored = {
      former: stored.former && this.#accountIn(stored.former) ? stored.former : undefined,
      untried: stored.untried && this.#accountIn(stored.untried) ? stored.untried : undefined,
    };
  }

  open(): void {
    const hasFormer = this.#stored.former !== undefined || this.#host.factoryAccount !== undefined;
    this.#driven.feed({ kind: "open", hasFormer, isUntried: this.#stored.untried !== undefined });
  }

  /** No traffic from now on, until `open`. */
  rest(): void {
    this.#driven.feed({ kind: "close" });
  }

  async close(): Promise<void> {
    this.rest();
    this.#driven.stop();
    await this.#visit?.end();
    await this.#requesting;
    await this.#saving;
  }

  /** The server of the account has accepted a registration. */
  registered(): void {
    this.#driven.feed({ kind: "registered" });
  }

  /** It could not be reached, as often as its account says. */
  unreachable(bootstraps: boolean, failure: ContactFailure): void {
    this.#failure = failure;
    this.#driven.feed({ kind: "unreachable", bootstraps });
  }

  /** The server asks for it: Bootstrap-Request Trigger, /1/x/9. */
  trigger(): void {
    this.#driven.feed({ kind: "wanted" });
  }

  #perform(output: BootstrapClientOutput): void {
    const { former, untried } = this.#stored;
    switch (output.kind) {
      case "register":
        this.#host.use(this.#present());
        return;
      case "unregister":
        this.#host.leave();
        return;
      case "request":
        this.#requesting = this.#request(output.attempt);
        return;
      case "hangUp":
        this.#hangUp();
        return;
      case "commit":
        if (untried) this.#commit(untried);
        return;
      case "restore":
        this.#save({ former, untried: undefined });
        return;
      case "retry":
        this.#host.onFailed(this.#takeFailure(), output.afterMs);
    }
  }

  async #request(attempt: number): Promise<void> {
    const { options, endpoint, lwm2mVersion, transmission } = this.#host;
    this.#host.onBegun();
    try {
      const visit = await this.#open();
      if (visit === undefined) return;
      const preferredFormat = lwm2mVersion === "1.0" ? undefined : CONTENT_FORMATS.senmlCbor;
      const asking = { endpoint, preferredFormat };
      const ask = (request: CoapRequest) => visit.ask(request, transmission);
      if (options.pack && lwm2mVersion === "1.2") {
        const { code, payload, options: told } = await ask(toCoapRequest(bootstrapPackRequest(asking)));
        const contentFormat = optionUint(told, OPTION.contentFormat);
        if (isSuccessCode(code) && contentFormat !== undefined) return await visit.unpack({ contentFormat, payload });
      }
      const { code } = await ask(toCoapRequest(bootstrapRequest(asking)));
      const isAccepted = isSuccessCode(code);
      const dotted = `${code >> 5}.${String(code & 31).padStart(2, "0")}`;
      if (!isAccepted) this.#failure = { code: dotted, sentence: `the bootstrap server refused with ${dotted}` };
      this.#driven.feed({ kind: "answered", attempt, isAccepted });
    } catch (error) {
      if (this.#visit?.hasEnded) return;
      if (!(error instanceof AirliftError)) throw error;
      this.#failure = this.#visit?.channel.explain(error) ?? explainPlainly(error);
      this.#driven.feed({ kind: "answered", attempt, isAccepted: false });
    }
  }

  /** `undefined` when it is not wanted any more. */
  async #open(): Promise<BootstrapVisit | undefined> {
    await this.#visit?.end();
    const { options, lwm2mVersion, transmission, loss } = this.#host;
    const address = parsePackageUri(options.server);
    if (address === undefined) throw new BugError("BOOTSTRAP_SERVER", "was checked before");
    const channel = await openServerChannel({
      address,
      credentials: options.credentials,
      transmission,
      loss,
      onLost: () => undefined,
    });
    if (this.#core.state !== "requesting") {
      await channel.close();
      return undefined;
    }
    const visit = new BootstrapVisit({
      channel,
      bootstrapUri: options.server,
      configuration: this.#stored.former,
      lwm2mVersion,
      check: (accounts) => {
        const [account, ...others] = accounts.map((each) => accountOf(each));
        if (others.length > 0) return ["this device serves one server, and there are more"];
        return typeof account === "string" ? [account] : [];
      },
      onAsked: () => void this.#driven.feed({ kind: "asked" }),
      onFinished: async (configuration) => {
        await this.#keep({ ...this.#stored, untried: configuration });
        // The answer to Finish leaves first.
        setImmediate(() => this.#driven.feed({ kind: "finished" }));
      },
    });
    this.#visit = visit;
    return visit;
  }

  /** An answer that was lost is asked for again: after a Finish the session stays a moment. */
  #hangUp(): void {
    const visit = this.#visit;
    if (visit === undefined) return;
    if (visit.isFinished) {
      visit.linger();
      return;
    }
    void visit.end();
    if (this.#failure === NO_FAILURE) this.#failure = SILENCE;
    // With a former configuration there is no further try that would tell it.
    if (this.#stored.former || this.#host.factoryAccount) this.#host.onFailed(this.#takeFailure(), undefined);
  }

  #takeFailure(): ContactFailure {
    const failure = this.#failure;
    this.#failure = NO_FAILURE;
    return failure;
  }

  #commit(untried: Configuration): void {
    this.#keep({ former: untried, untried: undefined }).then(
      () => this.#host.onDone(this.#present()),
      (error) => this.#host.onFailed(explainPlainly(error), undefined),
    );
  }

  #save(stored: StoredConfiguration): void {
    this.#keep(stored).catch((error) => this.#host.onFailed(explainPlainly(error), undefined));
  }

  #keep(stored: StoredConfiguration): Promise<void> {
    this.#stored = stored;
    this.#saving = this.#saving.catch(() => undefined).then(() => this.#host.options.store.save(stored));
    const saved = this.#saving;
    this.#saving = saved.catch(() => undefined);
    return saved;
  }

  #present(): Account {
    const { former, untried } = this.#stored;
    const configuration = untried ?? former;
    const account = configuration ? this.#accountIn(configuration) : this.#host.factoryAccount;
    if (account === undefined) throw new BugError("BOOTSTRAP_ACCOUNT", "there is no account to register with");
    return account;
  }

  #accountIn(configuration: Configuration): Account | undefined {
    const { accounts, mistakes } = readAccounts(configuration);
    const [given] = mistakes.length === 0 ? accounts : [];
    const account = given && accountOf(given, this.#host.registrationRetry);
    return typeof account === "string" ? undefined : account;
  }
}

/** Follows what becomes of credentials and sessions: who lost theirs registers anew, who came back with one may be asked. */
import type { Logger } from "pino";
import type { DeviceCredentials, ProvenIdentity } from "../fleet/credentials.ts";
import type { Registration } from "../fleet/registration.ts";
import type { RegistryInput } from "../fleet/registry.ts";
import { isSecure } from "../fleet/sender.ts";
import type { EventStore } from "../store/ports.ts";
import type { Door, Visitor } from "./door.ts";
import type { Doors } from "./doors.ts";
import type { Gatekeeper } from "./gatekeeper.ts";

export interface CredentialWatchOptions {
  readonly credentials: DeviceCredentials | undefined;
  readonly events: Pick<EventStore, "subscribe">;
  readonly gatekeeper: Gatekeeper;
  readonly log: Logger;
  /** `undefined` before they are open. */
  readonly doors: () => Doors | undefined;
  readonly registrationOf: (endpoint: string) => Registration | undefined;
  feed(input: Extract<RegistryInput, { kind: "bar" | "withdraw" }>): void;
  /** The device has a session again, and may be asked. */
  onHeard(endpoint: string): void;
}

export class CredentialWatch {
  readonly #options: CredentialWatchOptions;
  readonly #stopHearing: (() => void)[] = [];

  constructor(options: CredentialWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const { credentials, events, gatekeeper, log, feed } = this.#options;
    this.#stopHearing.push(
      events.subscribe(({ kind, endpoint }) => {
        if (kind === "device.plainAllowed" && endpoint !== null) gatekeeper.allowPlain(endpoint);
      }),
    );
    if (credentials === undefined) return;
    this.#stopHearing.push(
      credentials.onWithdrawn((identity, endpoint) => {
        this.#onWithdrawn(identity, endpoint).catch((error) =>
          log.warn({ err: error, endpoint }, "what a withdrawn credential leaves cannot be looked up"),
        );
      }),
      credentials.onGiven((endpoint) => feed({ kind: "bar", endpoint })),
    );
  }

  stop(): void {
    for (const stop of this.#stopHearing.splice(0)) stop();
  }

  /** A device that resumed a session may be asked before it says anything. */
  async onSession(visitor: Visitor, door: Door): Promise<void> {
    const { gatekeeper, registrationOf, onHeard, log } = this.#options;
    try {
      const { provenEndpoint } = await gatekeeper.senderOf(visitor);
      if (provenEndpoint === undefined || registrationOf(provenEndpoint)?.transport !== visitor.transport) return;
      door.welcome(provenEndpoint, visitor);
      onHeard(provenEndpoint);
    } catch (error) {
      // It is asked again with the first request of the session.
      log.debug({ err: error }, "a session's credential could not be looked up");
    }
  }

  /** Whoever was reached through a session that is gone has to register anew, with another credential if it has one. */
  async #onWithdrawn(identity: ProvenIdentity, endpoint: string | undefined): Promise<void> {
    for (const reached of this.#options.doors()?.revoke(identity) ?? []) this.#withdraw(reached);
    // One that has no session now cannot make another one either.
    if (endpoint !== undefined && (await this.#options.gatekeeper.isBare(endpoint))) this.#withdraw(endpoint);
  }

  #withdraw(endpoint: string): void {
    const { doors, registrationOf, feed } = this.#options;
    const registration = registrationOf(endpoint);
    if (registration && isSecure(registration.transport) && !doors()?.find(registration))
      feed({ kind: "withdraw", endpoint });
  }
}

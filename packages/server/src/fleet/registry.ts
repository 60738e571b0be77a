/** All registrations: who is here, under which name and address, and until when. */
import type { Core } from "@airlift/protocol/lib/core";
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import { expiresAtMs, type Registration, type RegistrationChange, type RegistrationRequest } from "./registration.ts";
import { isSecure, type Sender, udpPeerKey } from "./sender.ts";

export type RegistryInput =
  /** `id` is fresh and hard to guess: whoever knows it may update the registration. */
  | {
      readonly kind: "register";
      readonly id: string;
      readonly sender: Sender;
      readonly request: RegistrationRequest;
      readonly utcMs: number;
    }
  | {
      readonly kind: "update";
      readonly id: string;
      readonly sender: Sender;
      readonly change: RegistrationChange;
      readonly utcMs: number;
    }
  | { readonly kind: "deregister"; readonly id: string; readonly sender: Sender }
  /** The credential that a device registered with was withdrawn. */
  | { readonly kind: "withdraw"; readonly endpoint: string }
  /** Without a proof nobody may speak for this endpoint from now on. */
  | { readonly kind: "bar"; readonly endpoint: string }
  /** Registrations as they are on record, in place of what is known of these devices; those that ended meanwhile expire at the next wake. */
  | { readonly kind: "restore"; readonly registrations: readonly Registration[]; readonly utcMs: number }
  /** The device takes this server for its own, which may have stood in for another. */
  | { readonly kind: "settle"; readonly endpoint: string }
  /** The device is another server's by now. */
  | { readonly kind: "leave"; readonly endpoint: string }
  | { readonly kind: "wake" };

export type RegistryOutput =
  | { readonly kind: "registered"; readonly registration: Registration; readonly replaced: Registration | undefined }
  | { readonly kind: "updated"; readonly registration: Registration; readonly moved: boolean }
  /** It is at home here from now on. */
  | { readonly kind: "settled"; readonly registration: Registration }
  | { readonly kind: "deregistered"; readonly registration: Registration }
  | { readonly kind: "withdrawn"; readonly registration: Registration }
  | { readonly kind: "barred"; readonly registration: Registration }
  | { readonly kind: "expired"; readonly registration: Registration }
  /** It is another server's by now. */
  | { readonly kind: "left"; readonly registration: Registration }
  /** The sender may not speak for this endpoint, and nothing has changed: 4.03. */
  | { readonly kind: "forbidden"; readonly endpoint: string; readonly why: string }
  /** No such registration: 4.04, so that the device registers anew. */
  | { readonly kind: "unknown" }
  /** The registry is full: 5.03. */
  | { readonly kind: "full" };

export interface RegistryOptions {
  readonly registrationLimit?: number;
  /**
   * How long after its lifetime a registration still counts. An Update that was lost is sent again for up to 93 s
   * (RFC 7252 §4.8.2), and a device that is only late need not register anew.
   */
  readonly graceMs?: number;
}

export const DEFAULT_REGISTRATION_LIMIT = 1_000_000;
export const DEFAULT_GRACE_MS = 93_000;

/** Registrations that end in one wake; the next wake is due at once, and those who ask meanwhile are answered in between. */
const EXPIRED_AT_ONCE = 1_000;

export class Registry implements Core<RegistryInput, RegistryOutput> {
  readonly #limit: number;
  readonly #graceMs: number;
  readonly #byId = new Map<string, Registration>();
  readonly #byEndpoint = new Map<string, Registration>();
  /** Who was heard last from a peer, and the peer by the registration's id. */
  readonly #byPeer = new Map<string, Registration>();
  readonly #peerOf = new Map<string, string>();
  readonly #deadlines = new Deadlines<string>();
  /** Those whose home is another server, by endpoint. */
  readonly #guests = new Map<string, Registration>();

  constructor(options: RegistryOptions = {}) {
    this.#limit = options.registrationLimit ?? DEFAULT_REGISTRATION_LIMIT;
    this.#graceMs = options.graceMs ?? DEFAULT_GRACE_MS;
  }

  get size(): number {
    return this.#byId.size;
  }

  get wakeAtMs(): number | undefined {
    return this.#deadlines.earliestMs;
  }

  /** The registration of an endpoint that is here. */
  get(endpoint: string): Registration | undefined {
    return this.#byEndpoint.get(endpoint);
  }

  /** Of everybody who is here; may be gone through while they come and go. */
  all(): IterableIterator<Registration> {
    return this.#byEndpoint.values();
  }

  /** Of those whose home is another server; may be gone through while they come and go. */
  guests(): IterableIterator<Registration> {
    return this.#guests.values();
  }

  /**
   * The registration that this sender speaks for: that of its proven name, or, when it proved nothing, the one that it
   * made or renewed last.
   */
  of({ peerKey, provenEndpoint, transport }: Sender): Registration | undefined {
    const found = isSecure(transport) ? this.#byEndpoint.get(provenEndpoint ?? "") : this.#byPeer.get(peerKey);
    return found && isSecure(found.transport) === isSecure(transport) ? found : undefined;
  }

  step(input: RegistryInput, nowMs: number): RegistryOutput[] {
    switch (input.kind) {
      case "register":
        return this.#register(input, nowMs);
      case "update":
        return this.#update(input, nowMs);
      case "deregister":
        return this.#deregister(input.id, input.sender);
      case "withdraw":
        return this.#end(this.#byEndpoint.get(input.endpoint)?.id ?? "", "withdrawn");
      case "bar": {
        const present = this.#byEndpoint.get(input.endpoint);
        return present === undefined || isSecure(present.transport) ? [] : this.#end(present.id, "barred");
      }
      case "settle":
        return this.#settle(this.#byEndpoint.get(input.endpoint));
      case "leave":
        return this.#end(this.#byEndpoint.get(input.endpoint)?.id ?? "", "left");
      case "restore":
        for (const registration of input.registrations) {
          const outdated = this.#byEndpoint.get(registration.endpoint);
          if (outdated !== undefined) this.#forget(outdated);
          // Sessions and connections of an earlier run are known to the doors, if they are there at all.
          const peerKey = registration.transport === "udp" ? udpPeerKey(registration.address) : undefined;
          this.#keep(registration, peerKey, nowMs + expiresAtMs(registration) - input.utcMs);
        }
        return [];
      case "wake":
        return this.#expireDue(nowMs);
    }
  }

  #register(input: Extract<RegistryInput, { kind: "register" }>, nowMs: number): RegistryOutput[] {
    const { id, sender, request, utcMs } = input;
    const { transport, address, peerKey } = sender;
    const { endpoint } = request;
    const replaced = this.#byEndpoint.get(endpoint);
    const why = whyNot(sender, endpoint, replaced);
    if (why !== undefined) return [{ kind: "forbidden", endpoint, why }];
    if (!replaced && this.#byId.size >= this.#limit) return [{ kind: "full" }];
    if (replaced) this.#forget(replaced);
    const registration: Registration = {
      ...request,
      id,
      address,
      transport,
      registeredAtMs: utcMs,
      lastSeenAtMs: utcMs,
    };
    this.#keep(registration, peerKey, nowMs + registration.lifetimeS * 1000);
    return [{ kind: "registered", registration, replaced }];
  }

  #update(input: Extract<RegistryInput, { kind: "update" }>, nowMs: number): RegistryOutput[] {
    const { id, sender, change, utcMs } = input;
    const { transport, address, peerKey } = sender;
    const old = this.#byId.get(id);
    if (!old) return [{ kind: "unknown" }];
    const why = whyNot(sender, old.endpoint, old);
    if (why !== undefined) return [{ kind: "forbidden", endpoint: old.endpoint, why }];
    const moved = peerKey !== this.#peerOf.get(id);
    const { home: _, ...known } = old;
    const registration: Registration = { ...known, ...change, transport, address, lastSeenAtMs: utcMs };
    this.#keep(registration, peerKey, nowMs + registration.lifetimeS * 1000);
    return [{ kind: "updated", registration, moved }];
  }

  #deregister(id: string, sender: Sender): RegistryOutput[] {
    const old = this.#byId.get(id);
    if (!old) return [{ kind: "unknown" }];
    const why = whyNot(sender, old.endpoint, old);
    return why === undefined ? this.#end(id, "deregistered") : [{ kind: "forbidden", endpoint: old.endpoint, why }];
  }

  #settle(guest: Registration | undefined): RegistryOutput[] {
    if (guest?.home === undefined) return [];
    const { home: _, ...registration } = guest;
    this.#replace(registration, this.#peerOf.get(guest.id));
    return [{ kind: "settled", registration }];
  }

  #end(id: string, kind: "deregistered" | "withdrawn" | "barred" | "expired" | "left"): RegistryOutput[] {
    const registration = this.#byId.get(id);
    if (!registration) return [];
    this.#forget(registration);
    return [{ kind, registration }];
  }

  #expireDue(nowMs: number): RegistryOutput[] {
    const outputs: RegistryOutput[] = [];
    while (outputs.length < EXPIRED_AT_ONCE) {
      const id = this.#deadlines.popDue(nowMs);
      if (id === undefined) break;
      outputs.push(...this.#end(id, "expired"));
    }
    return outputs;
  }

  #keep(registration: Registration, peerKey: string | undefined, lifetimeEndMs: number): void {
    this.#replace(registration, peerKey);
    this.#deadlines.set(registration.id, lifetimeEndMs + this.#graceMs);
  }

  #replace(registration: Registration, peerKey: string | undefined): void {
    this.#leavePeer(registration.id);
    if (peerKey !== undefined) {
      this.#byPeer.set(peerKey, registration);
      this.#peerOf.set(registration.id, peerKey);
    }
    this.#byId.set(registration.id, registration);
    this.#byEndpoint.set(registration.endpoint, registration);
    if (registration.home === undefined) this.#guests.delete(registration.endpoint);
    else this.#guests.set(registration.endpoint, registration);
  }

  /** A NAT may have given the address to another device meanwhile. */
  #leavePeer(id: string): void {
    const peerKey = this.#peerOf.get(id);
    if (peerKey === undefined) return;
    if (this.#byPeer.get(peerKey)?.id === id) this.#byPeer.delete(peerKey);
    this.#peerOf.delete(id);
  }

  #forget(registration: Registration): void {
    const { id, endpoint } = registration;
    this.#leavePeer(id);
    this.#byId.delete(id);
    this.#byEndpoint.delete(endpoint);
    this.#guests.delete(endpoint);
    this.#deadlines.delete(id);
  }
}

/**
 * Why this sender may not speak for an endpoint; `undefined` when it may. A proven name is good for itself alone, and what
 * was registered with a proof is out of reach for whoever has none.
 */
function whyNot(sender: Sender, endpoint: string, present: Registration | undefined): string | undefined {
  const { transport, provenEndpoint } = sender;
  if (isSecure(transport))
    return provenEndpoint === endpoint ? undefined : "the credential of this session is for another endpoint name";
  return present && isSecure(present.transport)
    ? "this endpoint is registered over a secured transport and has to use one"
    : undefined;
}

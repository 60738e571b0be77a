/** All registrations: who is here, under which name and address, and until when. */
import type { Core } from "@airlift/protocol/lib/core";
import { Deadlines } from "@airlift/protocol/lib/deadlines";
import { expiresAtMs, type Registration, type RegistrationChange, type RegistrationRequest } from "./registration.ts";

export type RegistryInput =
  /** `id` is fresh and hard to guess: whoever knows it may update the registration. */
  | {
      readonly kind: "register";
      readonly id: string;
      readonly address: string;
      readonly request: RegistrationRequest;
      readonly utcMs: number;
    }
  | {
      readonly kind: "update";
      readonly id: string;
      readonly address: string;
      readonly change: RegistrationChange;
      readonly utcMs: number;
    }
  | { readonly kind: "deregister"; readonly id: string }
  /** Registrations of an earlier run; those that ended meanwhile expire at the next wake. */
  | { readonly kind: "restore"; readonly registrations: readonly Registration[]; readonly utcMs: number }
  | { readonly kind: "wake" };

export type RegistryOutput =
  | { readonly kind: "registered"; readonly registration: Registration; readonly replaced: Registration | undefined }
  | { readonly kind: "updated"; readonly registration: Registration; readonly moved: boolean }
  | { readonly kind: "deregistered"; readonly registration: Registration }
  | { readonly kind: "expired"; readonly registration: Registration }
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
  /** Who was heard last from an address. */
  readonly #byAddress = new Map<string, Registration>();
  readonly #deadlines = new Deadlines<string>();

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

  /** The registration that was made, or renewed last, from `address`. */
  at(address: string): Registration | undefined {
    return this.#byAddress.get(address);
  }

  step(input: RegistryInput, nowMs: number): RegistryOutput[] {
    switch (input.kind) {
      case "register":
        return this.#register(input, nowMs);
      case "update":
        return this.#update(input, nowMs);
      case "deregister":
        return this.#end(input.id, "deregistered");
      case "restore":
        for (const registration of input.registrations) {
          this.#keep(registration, nowMs + expiresAtMs(registration) - input.utcMs);
        }
        return [];
      case "wake":
        return this.#expireDue(nowMs);
    }
  }

  #register(input: Extract<RegistryInput, { kind: "register" }>, nowMs: number): RegistryOutput[] {
    const { id, address, request, utcMs } = input;
    const replaced = this.#byEndpoint.get(request.endpoint);
    if (!replaced && this.#byId.size >= this.#limit) return [{ kind: "full" }];
    if (replaced) this.#forget(replaced);
    const registration: Registration = {
      ...request,
      id,
      address,
      transport: "udp",
      registeredAtMs: utcMs,
      lastSeenAtMs: utcMs,
    };
    this.#keep(registration, nowMs + registration.lifetimeS * 1000);
    return [{ kind: "registered", registration, replaced }];
  }

  #update(input: Extract<RegistryInput, { kind: "update" }>, nowMs: number): RegistryOutput[] {
    const { id, address, change, utcMs } = input;
    const old = this.#byId.get(id);
    if (!old) return [{ kind: "unknown" }];
    const registration: Registration = { ...old, ...change, address, lastSeenAtMs: utcMs };
    this.#keep(registration, nowMs + registration.lifetimeS * 1000);
    return [{ kind: "updated", registration, moved: address !== old.address }];
  }

  #end(id: string, kind: "deregistered" | "expired"): RegistryOutput[] {
    const registration = this.#byId.get(id);
    if (!registration) return kind === "deregistered" ? [{ kind: "unknown" }] : [];
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

  #keep(registration: Registration, lifetimeEndMs: number): void {
    this.#leaveAddress(this.#byId.get(registration.id));
    this.#byAddress.set(registration.address, registration);
    this.#byId.set(registration.id, registration);
    this.#byEndpoint.set(registration.endpoint, registration);
    this.#deadlines.set(registration.id, lifetimeEndMs + this.#graceMs);
  }

  /** A NAT may have given the address to another device meanwhile. */
  #leaveAddress(registration: Registration | undefined): void {
    if (registration === undefined) return;
    if (this.#byAddress.get(registration.address)?.id === registration.id) this.#byAddress.delete(registration.address);
  }

  #forget(registration: Registration): void {
    const { id, endpoint } = registration;
    this.#leaveAddress(registration);
    this.#byId.delete(id);
    this.#byEndpoint.delete(endpoint);
    this.#deadlines.delete(id);
  }
}

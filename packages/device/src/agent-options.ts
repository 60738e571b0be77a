/** What an integrator tells the update agent, and what the agent tells in return. */
import { DEFAULT_TRANSMISSION, type TransmissionParameters } from "@airlift/protocol/coap/transmission";
import { UsageError } from "@airlift/protocol/lib/errors";
import { LWM2M_VERSIONS, type Lwm2mVersion, MAX_LIFETIME_S } from "@airlift/protocol/lwm2m/registration";
import type { FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { ComponentTable } from "./component-ports.ts";
import type { DeviceIdentity } from "./objects/device-object.ts";
import type { DeliveryMethods } from "./objects/firmware-object.ts";
import type { UpdateHandlers, UpdateStore } from "./ports.ts";
import type { RetryPolicy } from "./session/registration.ts";
import { type PackageUri, type PullScheme, parsePackageUri } from "./transfer/package-uri.ts";
import type { PullPolicy } from "./transfer/pull.ts";
import type { PullFailure } from "./transfer/pull-failure.ts";

/** A NAT forgets a silent flow within minutes; a refresh every three keeps it open and costs two datagrams. */
export const DEFAULT_AGENT_LIFETIME_S = 300;

/** Long enough for a server that restarts and a network that is slow to come up. */
export const DEFAULT_TRIAL_TIMEOUT_MS = 15 * 60_000;

/** Two slots that install by a restart: the handlers, their store, and the word that the new image works. */
export interface SlotSet {
  readonly handlers: UpdateHandlers;
  readonly store: UpdateStore;
  confirm(): Promise<void>;
}

export interface UpdateAgentOptions {
  /** Endpoint name: 1 … 252 octets, unique at the server. */
  readonly endpoint: string;
  /** `coap://host[:port]`; the host may be a name. */
  readonly server: string;
  /**
   * What installs an image: slots that have booted, or handlers of your own. One of the two; with `components` or
   * `software` it may be none, and the device has no object 5 then.
   */
  readonly slots?: SlotSet;
  readonly handlers?: UpdateHandlers;
  /** Where the update's state outlives a restart; slots bring their own. Without one a restart begins in Idle. */
  readonly store?: UpdateStore;
  /** The device's components, each updated by itself or with others (object 33629). */
  readonly components?: ComponentTable;
  readonly identity: DeviceIdentity;
  /** Seconds; default `DEFAULT_AGENT_LIFETIME_S`. */
  readonly lifetimeS?: number;
  /** Default 1.1. */
  readonly lwm2mVersion?: Lwm2mVersion;
  /** Says at registration that the device sleeps between its own messages. */
  readonly queueMode?: boolean;
  /** How packages may come; default both. */
  readonly methods?: DeliveryMethods;
  /** Protocols over which packages are fetched, as /5/0/8 tells them; default all of `PULL_SCHEMES`. */
  readonly pullSchemes?: readonly PullScheme[];
  /** Restarts the device: for Reboot (/3/0/4), and when `performUpgrade` says `restarting`. */
  readonly reboot?: () => void;
  readonly transmission?: TransmissionParameters;
  /** Largest block: 16 … 1024, a power of two. Default: 1024 for pushes, and what the server chooses for pulls. */
  readonly blockBytes?: number;
  readonly pullPolicy?: PullPolicy;
  readonly registrationRetry?: RetryPolicy;
  /** Local address of the socket; default all of IPv4, any port. */
  readonly bind?: { readonly host?: string; readonly port?: number };
  /** From the answer to Update until `performUpgrade`. */
  readonly upgradeDelayMs?: number;
  /** How long a new image may take to register before the device restarts into the old one; default 15 minutes. */
  readonly trialTimeoutMs?: number;
  /** For demonstrations: whether to lose a datagram. */
  readonly loss?: (direction: "in" | "out", datagram: Uint8Array) => boolean;
  readonly onEvent?: (event: AgentEvent) => void;
}

/** `component` is there when the event is about one of several (object 33629). */
export type AgentEvent =
  | { readonly kind: "registered"; readonly location: readonly string[] }
  | { readonly kind: "registrationFailed"; readonly reason: string; readonly retryAfterMs: number }
  | {
      readonly kind: "state";
      readonly state: FirmwareState;
      readonly result: UpdateResult;
      readonly component?: number;
    }
  /** So much of the package is stored; `sizeBytes` of a pull whose server says it. */
  | {
      readonly kind: "progress";
      readonly storedBytes: number;
      readonly sizeBytes: number | undefined;
      readonly component?: number;
    }
  | { readonly kind: "pullPaused"; readonly reason: PullFailure; readonly retryAfterMs: number }
  | { readonly kind: "failure"; readonly what: string; readonly error: unknown; readonly component?: number }
  | { readonly kind: "restarting" };

/** What the agent can fetch a Package URI with. */
export const PULL_SCHEMES: readonly PullScheme[] = ["coap", "http", "https"];

/** The options with everything decided. */
export interface AgentSettings extends UpdateAgentOptions {
  readonly handlers: UpdateHandlers;
  /** Whether there is an object 5 at all. */
  readonly hasFirmware: boolean;
  readonly address: PackageUri;
  readonly lifetimeS: number;
  readonly lwm2mVersion: Lwm2mVersion;
  readonly methods: DeliveryMethods;
  readonly pullSchemes: readonly PullScheme[];
  readonly transmission: TransmissionParameters;
  readonly trialTimeoutMs: number;
}

/** @throws {UsageError} AGENT_OPTIONS with a sentence for each mistake in `facts.mistakes`. */
export function settle(options: UpdateAgentOptions): AgentSettings {
  const { slots, lifetimeS = DEFAULT_AGENT_LIFETIME_S, lwm2mVersion = "1.1", methods = "both" } = options;
  const { pullSchemes = PULL_SCHEMES } = options;
  const address = parsePackageUri(options.server);
  const handlers = slots?.handlers ?? options.handlers ?? NO_FIRMWARE;
  const store = slots?.store ?? options.store;
  const mistakes = [
    ...(address?.scheme === "coap" && address.pathAndQuery === "/"
      ? []
      : [`server: not coap://host[:port]: ${options.server}`]),
    ...(options.endpoint.length > 0 ? [] : ["endpoint: empty"]),
    ...(Number.isInteger(lifetimeS) && lifetimeS >= 1 && lifetimeS <= MAX_LIFETIME_S
      ? []
      : ["lifetime: 1 … 2³¹ seconds"]),
    ...(LWM2M_VERSIONS.includes(lwm2mVersion) ? [] : ["lwm2m: 1.0, 1.1 or 1.2"]),
    ...(isBlockSize(options.blockBytes ?? 1024) ? [] : ["block size: 16, 32, 64, 128, 256, 512 or 1024"]),
    ...(pullSchemes.every((scheme) => PULL_SCHEMES.includes(scheme))
      ? []
      : [`pull schemes: ${PULL_SCHEMES.join(", ")}`]),
    ...mistakesOfInstallers(options),
  ];
  if (mistakes.length > 0 || address === undefined) {
    throw new UsageError("AGENT_OPTIONS", mistakes.join("; "), { mistakes });
  }
  const transmission = options.transmission ?? DEFAULT_TRANSMISSION;
  const { trialTimeoutMs = DEFAULT_TRIAL_TIMEOUT_MS } = options;
  const hasFirmware = handlers !== NO_FIRMWARE;
  const decided = {
    handlers,
    hasFirmware,
    address,
    lifetimeS,
    lwm2mVersion,
    methods,
    pullSchemes,
    transmission,
    trialTimeoutMs,
  };
  return { ...options, ...(store && { store }), ...decided };
}

/** Stand where a device has no object 5: nothing ever calls them. */
const NO_FIRMWARE: UpdateHandlers = {
  openStream: () => undefined,
  write: () => undefined,
  finish: () => undefined,
  reset: () => undefined,
  performUpgrade: () => "pending",
};

const LARGEST_INSTANCE = 65_534;

function mistakesOfInstallers({ slots, handlers, components = {} }: UpdateAgentOptions): string[] {
  const instances = Object.keys(components).map(Number);
  const isKnown = (instance: number): boolean => instances.includes(instance);
  const links = Object.values(components).flatMap(({ linked = [], conflicting = [] }) => [...linked, ...conflicting]);
  return [
    ...(slots && handlers ? ["slots or handlers: not both"] : []),
    ...(slots || handlers || instances.length > 0 ? [] : ["slots, handlers or components: one of them"]),
    ...(instances.every((one) => Number.isInteger(one) && one >= 0 && one <= LARGEST_INSTANCE)
      ? []
      : ["components: their numbers are 0 … 65534"]),
    ...(links.every(isKnown) ? [] : ["components: linked to one that is not there"]),
  ];
}

function isBlockSize(bytes: number): boolean {
  return bytes >= 16 && bytes <= 1024 && Number.isInteger(Math.log2(bytes));
}

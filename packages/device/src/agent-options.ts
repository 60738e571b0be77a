/** What an integrator tells the update agent, and what the agent tells in return. */
import { DEFAULT_TRANSMISSION, type TransmissionParameters } from "@airlift/protocol/coap/transmission";
import { UsageError } from "@airlift/protocol/lib/errors";
import { LWM2M_VERSIONS, type Lwm2mVersion, MAX_LIFETIME_S } from "@airlift/protocol/lwm2m/registration";
import type { FirmwareState, UpdateResult } from "@airlift/protocol/update/firmware-update";
import type { SoftwareResult, SoftwareState } from "@airlift/protocol/update/software-management";
import { type BootstrapOptions, bootstrapMistakes } from "./bootstrap-options.ts";
import type { ComponentTable } from "./component-ports.ts";
import { credentialMistakes, type ServerCredentials } from "./credentials.ts";
import type { InitialState } from "./initial-state.ts";
import type { DeviceIdentity } from "./objects/device-object.ts";
import {
  type DeliveryMethods,
  FIRMWARE_OBJECT_VERSIONS,
  type FirmwareObjectVersion,
} from "./objects/firmware-object.ts";
import type { UpdateHandlers, UpdateStore } from "./ports.ts";
import type { RetryPolicy } from "./session/registration.ts";
import type { SoftwareTable } from "./software-ports.ts";
import { type PackageUri, type PullScheme, parsePackageUri } from "./transfer/package-uri.ts";
import type { PullPolicy } from "./transfer/pull.ts";
import type { PullFailure } from "./transfer/pull-failure.ts";

/** A NAT forgets a silent flow within minutes; a refresh every three keeps it open and costs two datagrams. */
export const DEFAULT_AGENT_LIFETIME_S = 300;

/** Long enough for a server that restarts and a network that is slow to come up. */
export const DEFAULT_TRIAL_TIMEOUT_MS = 15 * 60_000;

/** A chip that erases a megabyte takes half a minute; beyond two minutes a handler hangs. */
export const DEFAULT_HANDLER_TIMEOUT_MS = 2 * 60_000;

/** Long enough to write several gigabytes, or to ask a user who is not far. */
export const DEFAULT_UPGRADE_TIMEOUT_MS = 60 * 60_000;

/** Two slots that install by a restart: the handlers, their store, and the word that the new image works. */
export interface SlotSet {
  readonly handlers: UpdateHandlers;
  readonly store: UpdateStore;
  confirm(): Promise<void>;
}

export interface UpdateAgentOptions {
  /** Endpoint name: 1 … 252 octets, unique at the server. */
  readonly endpoint: string;
  /** `coap://host[:port]`, also with `coaps`, `coap+tcp` or `coaps+tcp`; the host may be a name. */
  readonly server?: string;
  /** For `coaps` and `coaps+tcp`, and only for them. */
  readonly credentials?: ServerCredentials;
  /**
   * Where the device gets its server from. With a `server` beside it, that one is tried first, as long as no other has
   * been got; without one the device begins with bootstrapping.
   */
  readonly bootstrap?: BootstrapOptions;
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
  /** Packages above the firmware, each installed and activated by itself (object 9). */
  readonly software?: SoftwareTable;
  /** In place of a store: what became of the update while the program was down. Default `neutral`. */
  readonly initialState?: InitialState;
  readonly identity: DeviceIdentity;
  /** Seconds; default `DEFAULT_AGENT_LIFETIME_S`. */
  readonly lifetimeS?: number;
  /** Default 1.1. */
  readonly lwm2mVersion?: Lwm2mVersion;
  /** Of /5; 1.1 and 1.2 need LwM2M 1.1. Default the one that came with the version of LwM2M. */
  readonly firmwareObjectVersion?: FirmwareObjectVersion;
  /** Says at registration that the device sleeps between its own messages. */
  readonly queueMode?: boolean;
  /** How packages may come; default both. */
  readonly methods?: DeliveryMethods;
  /** Protocols over which packages are fetched, as /5/0/8 tells them; default all of `PULL_SCHEMES`. */
  readonly pullSchemes?: readonly PullScheme[];
  /** Pulls what the server itself has over the session with it; else, and from others, by a socket of its own. Default true. */
  readonly sameSocketDownloads?: boolean;
  /** Tells the server State and Update Result by Send whenever they change, and the versions after an update. Default false. */
  readonly reportBySend?: boolean;
  /** Restarts the device: for Reboot (/3/0/4), and when `performUpgrade` says `restarting`. */
  readonly reboot?: () => void;
  readonly transmission?: TransmissionParameters;
  /** Largest block: 16 … 1024, a power of two. Default: 1024 for pushes, and what the server chooses for pulls. */
  readonly blockBytes?: number;
  readonly pullPolicy?: PullPolicy;
  readonly registrationRetry?: RetryPolicy;
  /** Local address of the socket; default all of the IP version that the server is named by, IPv4 for a name; any port. */
  readonly bind?: { readonly host?: string; readonly port?: number };
  /** From the answer to Update until `performUpgrade`. */
  readonly upgradeDelayMs?: number;
  /** How long `performUpgrade` may take; default an hour. */
  readonly upgradeTimeoutMs?: number;
  /** How long each other handler, and the store, may take; default two minutes. */
  readonly handlerTimeoutMs?: number;
  /** How long a new image may take to register before the device restarts into the old one; default 15 minutes. */
  readonly trialTimeoutMs?: number;
  /** For demonstrations: whether to lose a datagram. */
  readonly loss?: (direction: "in" | "out", datagram: Uint8Array) => boolean;
  readonly onEvent?: (event: AgentEvent) => void;
}

/** `component` is there when the event is about one of several (object 33629). */
export type AgentEvent =
  | { readonly kind: "registered"; readonly location: readonly string[] }
  /** `reason` is a sentence; `code` a stable one: of an error or of a failed handshake, or the answer's, as "4.03". */
  | {
      readonly kind: "registrationFailed";
      readonly reason: string;
      readonly code: string;
      readonly retryAfterMs: number;
    }
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
  | {
      readonly kind: "failure";
      readonly what: string;
      readonly error: unknown;
      readonly component?: number;
      readonly software?: number;
    }
  /** Of one of the packages above the firmware (object 9). */
  | {
      readonly kind: "software";
      readonly software: number;
      readonly state: SoftwareState;
      readonly result: SoftwareResult;
    }
  /** The device asks this server for its configuration. */
  | { readonly kind: "bootstrapping"; readonly server: string }
  /** It has registered with the server that it was given. */
  | { readonly kind: "bootstrapped"; readonly server: string }
  /** Nothing came of it; `retryAfterMs` is absent when the device lives on with what it had. */
  | {
      readonly kind: "bootstrapFailed";
      readonly reason: string;
      readonly code: string;
      readonly retryAfterMs: number | undefined;
    }
  | { readonly kind: "restarting" };

/** What the agent can fetch a Package URI with. */
export const PULL_SCHEMES: readonly PullScheme[] = ["coap", "coaps", "http", "https", "coap+tcp", "coaps+tcp"];

/** How a server may be reached. */
export const SERVER_SCHEMES: readonly PullScheme[] = ["coap", "coaps", "coap+tcp", "coaps+tcp"];

/** The letter of the transport that the server is reached by (LwM2M Core 1.2 §6.2.1.2). */
export function bindingOf(account: { readonly address: PackageUri } | undefined): "U" | "T" {
  return account?.address.scheme.endsWith("+tcp") ? "T" : "U";
}

/** The options with everything decided. */
export interface AgentSettings extends UpdateAgentOptions {
  readonly handlers: UpdateHandlers;
  /** Whether there is an object 5 at all. */
  readonly hasFirmware: boolean;
  /** Absent when only a bootstrap server is named. */
  readonly address: PackageUri | undefined;
  readonly lifetimeS: number;
  readonly lwm2mVersion: Lwm2mVersion;
  readonly methods: DeliveryMethods;
  readonly pullSchemes: readonly PullScheme[];
  readonly transmission: TransmissionParameters;
  readonly trialTimeoutMs: number;
  readonly handlerTimeoutMs: number;
  readonly upgradeTimeoutMs: number;
  readonly firmwareObjectVersion: FirmwareObjectVersion;
  readonly sameSocketDownloads: boolean;
  readonly reportBySend: boolean;
}

/** @throws {UsageError} AGENT_OPTIONS with a sentence for each mistake in `facts.mistakes`. */
export function settle(options: UpdateAgentOptions): AgentSettings {
  const address = parsePackageUri(options.server ?? "");
  const handlers = options.slots?.handlers ?? options.handlers ?? NO_FIRMWARE;
  const store = options.slots?.store ?? options.store;
  const decided = decide(options);
  const mistakes = [
    ...CHECKS.filter(([isWrong]) => isWrong({ ...options, ...decided, ...(store && { store }), address })).map(
      ([, sentence]) => sentence,
    ),
    ...(address ? credentialMistakes(address.scheme, options.credentials) : []),
    ...(options.bootstrap ? bootstrapMistakes(options.bootstrap) : []),
  ];
  if (mistakes.length > 0) {
    throw new UsageError("AGENT_OPTIONS", mistakes.join("; "), { mistakes, server: options.server });
  }
  const hasFirmware = handlers !== NO_FIRMWARE;
  return { ...options, ...(store && { store }), ...decided, handlers, hasFirmware, address };
}

function decide(options: UpdateAgentOptions) {
  const { lwm2mVersion = "1.1", reportBySend = false } = options;
  return {
    lwm2mVersion,
    lifetimeS: options.lifetimeS ?? DEFAULT_AGENT_LIFETIME_S,
    methods: options.methods ?? "both",
    pullSchemes: options.pullSchemes ?? PULL_SCHEMES,
    transmission: options.transmission ?? DEFAULT_TRANSMISSION,
    trialTimeoutMs: options.trialTimeoutMs ?? DEFAULT_TRIAL_TIMEOUT_MS,
    handlerTimeoutMs: options.handlerTimeoutMs ?? DEFAULT_HANDLER_TIMEOUT_MS,
    upgradeTimeoutMs: options.upgradeTimeoutMs ?? DEFAULT_UPGRADE_TIMEOUT_MS,
    firmwareObjectVersion: options.firmwareObjectVersion ?? lwm2mVersion,
    sameSocketDownloads: options.sameSocketDownloads ?? true,
    // There is no Send before LwM2M 1.1.
    reportBySend: reportBySend && lwm2mVersion !== "1.0",
  } as const;
}

type Checked = UpdateAgentOptions & ReturnType<typeof decide> & { readonly address: PackageUri | undefined };

/** What is wrong with options, and the sentence that says it. */
const CHECKS: readonly (readonly [(options: Checked) => boolean, string])[] = [
  [
    ({ server, bootstrap, address }) =>
      server === undefined
        ? bootstrap === undefined
        : !address || !SERVER_SCHEMES.includes(address.scheme) || address.pathAndQuery !== "/",
    "server: not coap://host[:port], nor with coaps, coap+tcp or coaps+tcp",
  ],
  [
    ({ address, lwm2mVersion }) => lwm2mVersion === "1.0" && address?.scheme.endsWith("+tcp") === true,
    "server: LwM2M 1.0 knows no CoAP over TCP",
  ],
  [({ endpoint }) => endpoint.length === 0, "endpoint: empty"],
  [
    ({ lifetimeS }) => !Number.isInteger(lifetimeS) || lifetimeS < 1 || lifetimeS > MAX_LIFETIME_S,
    "lifetime: 1 … 2³¹ seconds",
  ],
  [({ lwm2mVersion }) => !LWM2M_VERSIONS.includes(lwm2mVersion), "lwm2m: 1.0, 1.1 or 1.2"],
  [
    ({ lwm2mVersion, firmwareObjectVersion }) =>
      !FIRMWARE_OBJECT_VERSIONS.includes(firmwareObjectVersion) ||
      (lwm2mVersion === "1.0" && firmwareObjectVersion !== "1.0"),
    "firmware object: 1.0, or with LwM2M 1.1 and later also 1.1 or 1.2",
  ],
  [({ blockBytes = 1024 }) => !isBlockSize(blockBytes), "block size: 16, 32, 64, 128, 256, 512 or 1024"],
  [
    ({ pullSchemes }) => !pullSchemes.every((scheme) => PULL_SCHEMES.includes(scheme)),
    `pull schemes: ${PULL_SCHEMES.join(", ")}`,
  ],
  [({ slots, handlers }) => slots !== undefined && handlers !== undefined, "slots or handlers: not both"],
  [
    ({ slots, handlers, components = {}, software = {} }) =>
      !slots && !handlers && Object.keys({ ...components, ...software }).length === 0,
    "slots, handlers, components or software: one of them",
  ],
  [
    ({ components = {}, software = {} }) => !Object.keys({ ...components, ...software }).every(isInstance),
    "components and software: their numbers are 0 … 65534",
  ],
  [
    ({ components = {} }) =>
      Object.values(components).some(({ linked = [], conflicting = [] }) =>
        [...linked, ...conflicting].some((instance) => !Object.hasOwn(components, instance)),
      ),
    "components: linked to one that is not there",
  ],
  [
    ({ store, initialState }) => store !== undefined && initialState !== undefined,
    "a store or an initial state, not both",
  ],
  [
    ({ handlerTimeoutMs, upgradeTimeoutMs }) => !isTimeout(handlerTimeoutMs) || !isTimeout(upgradeTimeoutMs),
    "time limits of handlers: 1 … 2³¹−1 ms",
  ],
];

/** Stand where a device has no object 5: nothing ever calls them. */
const NO_FIRMWARE: UpdateHandlers = {
  openStream: () => undefined,
  write: () => undefined,
  finish: () => undefined,
  reset: () => undefined,
  performUpgrade: () => "pending",
};

const LARGEST_INSTANCE = 65_534;

function isInstance(key: string): boolean {
  return /^[0-9]+$/.test(key) && Number(key) <= LARGEST_INSTANCE;
}

function isBlockSize(bytes: number): boolean {
  return bytes >= 16 && bytes <= 1024 && Number.isInteger(Math.log2(bytes));
}

/** What a timer of Node can hold. */
function isTimeout(ms: number): boolean {
  return ms >= 1 && ms < 2 ** 31;
}

/** The registration interface: Register, Update, De-register (LwM2M Core 1.2 §6.2, Transport 1.2 §6.4.3). */

import { METHOD } from "../coap/codes.ts";
import { encodeUtf8 } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";
import { DEFAULT_MAX_LINKS, decodeLinks, encodeLinks } from "./link-format.ts";
import { Queries } from "./queries.ts";
import { fromLinks, type RegisteredObjects, toLinks } from "./registered-objects.ts";
import { type Lwm2mRequest, requestOf } from "./request.ts";

/** Versions of the enabler that this server and this client speak. */
export const LWM2M_VERSIONS = ["1.0", "1.1", "1.2"] as const;

export type Lwm2mVersion = (typeof LWM2M_VERSIONS)[number];

/** A device that names no lifetime is kept for a day (LwM2M Core 1.2 §6.2.1). */
export const DEFAULT_LIFETIME_S = 86_400;

export const MAX_LIFETIME_S = 2 ** 31;

/** What a device says of itself when it registers. */
export interface Registration {
  /** 1..255 octets of UTF-8 without control characters; from LwM2M 1.1 on it may be left to the security layer. */
  readonly endpoint: string | undefined;
  readonly lwm2mVersion: Lwm2mVersion;
  /** 1..2³¹ seconds. */
  readonly lifetimeS: number;
  /** Transports, one letter each: `U` UDP, `T` TCP, `S` SMS, `N` non-IP, `M` MQTT, `H` HTTP. Without the queue mode. */
  readonly binding: string;
  /** Whether it sleeps between updates, so that requests have to wait for the next one. */
  readonly queueMode: boolean;
  readonly smsNumber: string | undefined;
  readonly objects: RegisteredObjects;
}

/** What an Update changes; `undefined` leaves as it is. */
export interface RegistrationUpdate {
  readonly lifetimeS: number | undefined;
  readonly binding: string | undefined;
  readonly queueMode: boolean | undefined;
  readonly smsNumber: string | undefined;
  readonly objects: RegisteredObjects | undefined;
}

/** What may be sent; beyond it the registration is refused. */
export interface RegistrationLimits {
  readonly maxLinks: number;
}

export const DEFAULT_REGISTRATION_LIMITS: RegistrationLimits = { maxLinks: DEFAULT_MAX_LINKS };

const LINK_FORMAT = 40;

/** @throws {UsageError} ENDPOINT, LIFETIME, LINK */
export function encodeRegister(registration: Registration): Lwm2mRequest {
  const { endpoint, lwm2mVersion, lifetimeS, objects } = registration;
  if (endpoint !== undefined && (!isEndpoint(endpoint) || encodeUtf8(endpoint).length > MAX_SENT_ENDPOINT_BYTES))
    throw new UsageError(
      "ENDPOINT",
      "a name that fits into one query option has 1 to 252 octets and no control characters",
      { endpoint },
    );
  if (endpoint === undefined && lwm2mVersion === "1.0") throw new UsageError("ENDPOINT", "LwM2M 1.0 asks for a name");
  const uriQuery = [
    ...(endpoint === undefined ? [] : [`ep=${endpoint}`]),
    `lt=${checkedLifetime(lifetimeS)}`,
    `lwm2m=${lwm2mVersion}`,
    ...formatBinding(registration, lwm2mVersion),
    ...formatSms(registration.smsNumber),
  ];
  const payload = encodeLinks(toLinks(objects, lwm2mVersion));
  return requestOf({ code: METHOD.post, uriPath: ["rd"], uriQuery, contentFormat: LINK_FORMAT, payload });
}

/**
 * An Update of the registration at `location`.
 *
 * @throws {UsageError} LIFETIME, LINK
 */
export function encodeUpdate(
  location: readonly string[],
  update: Partial<RegistrationUpdate>,
  lwm2mVersion: Lwm2mVersion,
): Lwm2mRequest {
  const { lifetimeS, objects } = update;
  const uriQuery = [
    ...(lifetimeS === undefined ? [] : [`lt=${checkedLifetime(lifetimeS)}`]),
    ...formatBinding(update, lwm2mVersion),
    ...formatSms(update.smsNumber),
  ];
  const request = requestOf({ code: METHOD.post, uriPath: location, uriQuery });
  if (objects === undefined) return request;
  return { ...request, contentFormat: LINK_FORMAT, payload: encodeLinks(toLinks(objects, lwm2mVersion)) };
}

export function encodeDeregister(location: readonly string[]): Lwm2mRequest {
  return requestOf({ code: METHOD.delete, uriPath: location });
}

/** The path segments at which the registration `id` is updated; they go into the Location-Path of 2.01. */
export function locationOf(id: string): string[] {
  return ["rd", id];
}

/** The id in the path of an Update or De-register, or `undefined` when it is another path. */
export function registrationIdIn(uriPath: readonly string[]): string | undefined {
  const [first, id, ...rest] = uriPath;
  return first === "rd" && id !== undefined && id !== "" && rest.length === 0 ? id : undefined;
}

/**
 * Reads a Register request; parameters it does not know are ignored.
 *
 * @throws {PeerError} LWM2M_VERSION (4.12) for a version we do not speak.
 * @throws {PeerError} REGISTRATION (4.00) for a missing, repeated or malformed parameter.
 * @throws {PeerError} CONTENT_FORMAT (4.15), LINK_FORMAT, TOO_MANY (4.00)
 */
export function decodeRegister(
  request: Pick<Lwm2mRequest, "uriQuery" | "contentFormat" | "payload">,
  limits: RegistrationLimits = DEFAULT_REGISTRATION_LIMITS,
): Registration {
  const queries = new Queries(request.uriQuery, "REGISTRATION");
  const lwm2mVersion = readVersion(queries.value("lwm2m"));
  const endpoint = queries.value("ep");
  if (endpoint === undefined ? lwm2mVersion === "1.0" : !isEndpoint(endpoint))
    throw new PeerError("REGISTRATION", "an endpoint name has 1 to 255 octets and no control characters", {
      parameter: "ep",
    });
  const objects = readObjects(request, limits);
  if (objects === undefined) throw new PeerError("REGISTRATION", "a device registers with its objects");
  const binding = readBinding(queries.value("b"));
  return {
    endpoint,
    lwm2mVersion,
    lifetimeS: readLifetime(queries.value("lt")) ?? DEFAULT_LIFETIME_S,
    binding: binding?.transports ?? "U",
    queueMode: queries.has("Q") || binding?.queueMode === true,
    smsNumber: queries.value("sms"),
    objects,
  };
}

/** Reads an Update request. @throws {PeerError} REGISTRATION, LINK_FORMAT, TOO_MANY (4.00), CONTENT_FORMAT (4.15) */
export function decodeUpdate(
  request: Pick<Lwm2mRequest, "uriQuery" | "contentFormat" | "payload">,
  limits: RegistrationLimits = DEFAULT_REGISTRATION_LIMITS,
): RegistrationUpdate {
  const queries = new Queries(request.uriQuery, "REGISTRATION");
  const binding = readBinding(queries.value("b"));
  return {
    lifetimeS: readLifetime(queries.value("lt")),
    binding: binding?.transports,
    // A binding says whether it queues; without one, only a `Q` of its own says so.
    queueMode: queries.has("Q") || binding?.queueMode,
    smsNumber: queries.value("sms"),
    objects: readObjects(request, limits),
  };
}

/** `registration` after `update`. */
export function applyUpdate(registration: Registration, update: RegistrationUpdate): Registration {
  const given = Object.entries(update).filter(([, value]) => value !== undefined);
  return { ...registration, ...(Object.fromEntries(given) as Partial<Registration>) };
}

/** A name goes into logs, paths and databases, and no two names may look the same there. */
function isEndpoint(endpoint: string): boolean {
  const { length } = encodeUtf8(endpoint);
  return length >= 1 && length <= MAX_ENDPOINT_BYTES && !/\p{Cc}/u.test(endpoint);
}

const MAX_ENDPOINT_BYTES = 255;

/** One option holds 255 octets with the `ep=` in front (RFC 7252 §5.10). */
const MAX_SENT_ENDPOINT_BYTES = 252;

function checkedLifetime(lifetimeS: number): number {
  if (!Number.isInteger(lifetimeS) || lifetimeS < 1 || lifetimeS > MAX_LIFETIME_S)
    throw new UsageError("LIFETIME", "a lifetime is 1 to 2147483648 seconds", { lifetimeS });
  return lifetimeS;
}

function formatBinding(
  { binding, queueMode }: { readonly binding?: string | undefined; readonly queueMode?: boolean | undefined },
  lwm2mVersion: Lwm2mVersion,
): string[] {
  if (binding === undefined) return queueMode && lwm2mVersion !== "1.0" ? ["Q"] : [];
  if (!queueMode) return [`b=${binding}`];
  // LwM2M 1.0 writes the queue mode into the binding, later versions beside it.
  return lwm2mVersion === "1.0" ? [`b=${binding.charAt(0)}Q${binding.slice(1)}`] : [`b=${binding}`, "Q"];
}

function formatSms(smsNumber: string | undefined): string[] {
  return smsNumber === undefined ? [] : [`sms=${smsNumber}`];
}

function readVersion(text: string | undefined): Lwm2mVersion {
  if (text === undefined || !/^[0-9]+\.[0-9]+$/.test(text))
    throw new PeerError("REGISTRATION", "a version reads 1.1", { parameter: "lwm2m" });
  const version = LWM2M_VERSIONS.find((known) => known === text);
  if (version === undefined) throw new PeerError("LWM2M_VERSION", "a version we do not speak", { version: text });
  return version;
}

function readLifetime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const lifetimeS = /^[0-9]{1,10}$/.test(text) ? Number(text) : 0;
  if (lifetimeS < 1 || lifetimeS > MAX_LIFETIME_S)
    throw new PeerError("REGISTRATION", "a lifetime is 1 to 2147483648 seconds", { parameter: "lt" });
  return lifetimeS;
}

function readBinding(text: string | undefined): { transports: string; queueMode: boolean } | undefined {
  if (text === undefined) return undefined;
  const letters = new Set(text);
  if (letters.size !== text.length || !/^[UTSNMHQ]{1,7}$/.test(text) || text === "Q")
    throw new PeerError("REGISTRATION", "not a binding", { parameter: "b" });
  return { transports: text.replace("Q", ""), queueMode: letters.has("Q") };
}

function readObjects(
  { contentFormat, payload }: Pick<Lwm2mRequest, "contentFormat" | "payload">,
  { maxLinks }: RegistrationLimits,
): RegisteredObjects | undefined {
  if (payload.length === 0) return undefined;
  if (contentFormat !== undefined && contentFormat !== LINK_FORMAT)
    throw new PeerError("CONTENT_FORMAT", "objects come as links", { contentFormat });
  return fromLinks(decodeLinks(payload, maxLinks));
}

/** The registration interface, `/rd`: requests in, inputs of the registry out, and the answers (LwM2M 1.2 §6.4.3). */
import { randomBytes } from "node:crypto";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { type CoapResponse, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, textOption, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import { responseCodeFor } from "@airlift/protocol/lwm2m/operations";
import {
  type Registration as DeviceRegistration,
  decodeRegister,
  decodeUpdate,
  locationOf,
  type RegistrationUpdate,
  registrationIdIn,
} from "@airlift/protocol/lwm2m/registration";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { RegistrationChange, RegistrationRequest } from "../fleet/registration.ts";
import type { RegistryInput, RegistryOutput } from "../fleet/registry.ts";
import { isSecure, type Sender } from "../fleet/sender.ts";

/** A device that finds the registry full asks again after this time (Max-Age of 5.03, RFC 7252 §5.9.3.4). */
const FULL_RETRY_S = 60;

/** What a request at `/rd` means, or the answer that refuses it. */
export function readRegistrationRequest(
  request: Lwm2mRequest,
  from: { readonly sender: Sender; readonly utcMs: number },
): Extract<RegistryInput, { kind: "register" | "update" | "deregister" }> | CoapResponse {
  try {
    if (request.uriPath.length === 1) {
      if (request.code !== METHOD.post) return createResponse(CODE.methodNotAllowed);
      const id = randomBytes(8).toString("hex");
      return { kind: "register", id, ...from, request: requestFrom(decodeRegister(request), from.sender) };
    }
    const id = registrationIdIn(request.uriPath);
    if (id === undefined) return createResponse(CODE.notFound);
    if (request.code === METHOD.delete) return { kind: "deregister", id, sender: from.sender };
    if (request.code !== METHOD.post && request.code !== METHOD.put) return createResponse(CODE.methodNotAllowed);
    return { kind: "update", id, ...from, change: changeFrom(decodeUpdate(request)) };
  } catch (error) {
    // The reason goes with it, as the diagnostic payload of RFC 7252 §5.5.2.
    if (error instanceof PeerError) return createResponse(responseCodeFor(error), encodeUtf8(error.message));
    throw error;
  }
}

/** The answer to what the registry made of a request. */
export function registrationAnswer(output: RegistryOutput): CoapResponse {
  switch (output.kind) {
    case "registered": {
      const location = locationOf(output.registration.id).map((part) => textOption(OPTION.locationPath, part));
      return createResponse(CODE.created, EMPTY, location);
    }
    case "updated":
    case "settled":
      return createResponse(CODE.changed);
    case "deregistered":
    case "withdrawn":
    case "barred":
    case "expired":
    case "left":
      return createResponse(CODE.deleted);
    case "forbidden":
      return createResponse(CODE.forbidden, encodeUtf8(output.why));
    case "unknown":
      return createResponse(CODE.notFound);
    case "full":
      return createResponse(CODE.serviceUnavailable, EMPTY, [uintOption(OPTION.maxAge, FULL_RETRY_S)]);
  }
}

function requestFrom(registration: DeviceRegistration, { transport, provenEndpoint }: Sender): RegistrationRequest {
  const { endpoint = provenEndpoint, lifetimeS, lwm2mVersion, binding, queueMode, objects } = registration;
  if (endpoint === undefined) {
    // A name may be left to the security layer (LwM2M 1.1 §6.2.1), where there is one.
    const who = isSecure(transport) ? "a device whose credential is not known here" : "a device without credentials";
    throw new PeerError("REGISTRATION", `${who} has to name its endpoint`);
  }
  return { endpoint, lifetimeS, lwm2mVersion, binding, queueMode, objects };
}

function changeFrom(update: RegistrationUpdate): RegistrationChange {
  const { lifetimeS, binding, queueMode, objects } = update;
  return {
    ...(lifetimeS === undefined ? {} : { lifetimeS }),
    ...(binding === undefined ? {} : { binding }),
    ...(queueMode === undefined ? {} : { queueMode }),
    ...(objects === undefined ? {} : { objects }),
  };
}

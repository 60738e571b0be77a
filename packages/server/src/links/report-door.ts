/** The reporting interface, `/dp`: a device tells by Send what nobody asked for (LwM2M 1.2 §6.4.6). */
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapResponse, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { PeerError } from "@airlift/protocol/lib/errors";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import type { Models } from "@airlift/protocol/lwm2m/model";
import { DEVICE_ID } from "@airlift/protocol/lwm2m/objects/device";
import { FIRMWARE_UPDATE_ID } from "@airlift/protocol/lwm2m/objects/firmware-update";
import { responseCodeFor } from "@airlift/protocol/lwm2m/operations";
import { decodeSend } from "@airlift/protocol/lwm2m/reporting";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { Registration } from "../fleet/registration.ts";

export interface ReportDoorOptions {
  /** The registration at the address that a report came from; `undefined` for a stranger. */
  readonly sender: Registration | undefined;
  /** Types what is sent. */
  readonly models: Models;
  /**
   * What was sent; false refuses it, because it is too much at once.
   *
   * @throws {PeerError} NOT_FOUND for an object that the sender has not registered.
   */
  onValues(registration: Registration, entries: readonly Entry[]): boolean;
  /**
   * The report touches the update or what runs. Its values only cause a look, as those of a notification do: a datagram
   * that was late must not overwrite what is newer.
   */
  onNews(registration: Registration): void;
}

/** The answer to a request at `/dp`. */
export function answerReport(request: Lwm2mRequest, options: ReportDoorOptions): CoapResponse {
  const { sender, models, onValues, onNews } = options;
  // The device learns that it has to register, before anything of it is decoded.
  if (sender === undefined) return createResponse(CODE.notFound);
  try {
    const entries = decodeSend(request, models);
    if (!onValues(sender, entries)) return createResponse(CODE.tooManyRequests, EMPTY, [uintOption(OPTION.maxAge, 10)]);
    const isNews = entries.some(({ path: [object] }) => object === FIRMWARE_UPDATE_ID || object === DEVICE_ID);
    if (isNews) onNews(sender);
    return createResponse(CODE.changed, EMPTY);
  } catch (error) {
    if (error instanceof PeerError) return createResponse(responseCodeFor(error), encodeUtf8(error.message));
    throw error;
  }
}

/** A device that is asked, and whose answers without an end are told of. */
import type { CoapRequest, CoapResponse } from "@airlift/protocol/coap/exchange";
import { uriPath } from "@airlift/protocol/coap/options";
import { PeerError } from "@airlift/protocol/lib/errors";
import type { Registration } from "../fleet/registration.ts";
import type { DeviceFault } from "./device-faults.ts";
import type { DevicePeer } from "./door.ts";

/** What a body in blocks may do that no honest one does. */
const ENDLESS: ReadonlySet<string> = new Set(["BODY_TOO_LARGE", "BODY_TOO_SLOW", "BLOCK_MISMATCH"]);

export function watchedPeer(peer: DevicePeer, device: Registration, onFault: (fault: DeviceFault) => void): DevicePeer {
  const watch = async (request: CoapRequest, answer: Promise<CoapResponse>): Promise<CoapResponse> => {
    try {
      return await answer;
    } catch (error) {
      if (error instanceof PeerError && ENDLESS.has(error.code)) onFault(faultOf(device, request, error));
      throw error;
    }
  };
  return {
    request: (request, options) => watch(request, peer.request(request, options)),
    upload: (request, source, options) => watch(request, peer.upload(request, source, options)),
    observe: (request, onNotification, options) => peer.observe(request, onNotification, options),
  };
}

function faultOf({ address, endpoint }: Registration, { options }: CoapRequest, { code, message }: PeerError) {
  const sentence = `its answer about /${uriPath(options).join("/")} was cut off: ${message}`;
  return { kind: "answer", code, address, endpoint, sentence } as const;
}

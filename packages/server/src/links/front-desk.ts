/** Which part of the server answers a request of a device, by the first segment of its path. */
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import { CODE } from "@airlift/protocol/coap/codes";
import { type CoapRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionTexts } from "@airlift/protocol/coap/options";
import type { BootstrapDoor } from "./bootstrap-door.ts";
import type { Door, Visitor } from "./door.ts";
import type { ImageDoor } from "./image-door.ts";
import type { Reception } from "./reception.ts";

export interface FrontDeskParts {
  readonly images: ImageDoor;
  readonly reception: Reception;
  /** Absent: nothing is bootstrapped here. */
  readonly bootstrap: BootstrapDoor | undefined;
  /** Answers requests below `/zdm`; absent = there is nothing. */
  readonly namedContents: ((request: CoapRequest) => Promise<CoapAnswer>) | undefined;
}

type Answer = CoapAnswer | Promise<CoapAnswer>;

export class FrontDesk {
  readonly #parts: FrontDeskParts;

  constructor(parts: FrontDeskParts) {
    this.#parts = parts;
  }

  answer(request: CoapRequest, visitor: Visitor, door: Door): Answer {
    const { images, reception, namedContents } = this.#parts;
    const [path] = optionTexts(request.options, OPTION.uriPath);
    if (path === "fw") return images.answer(request);
    if (path === "zdm" && namedContents) return namedContents(request);
    if (path === "rd") return reception.registration(request, visitor, door);
    if (path === "dp") return reception.report(request, visitor, door);
    if (path === "bs" || path === "bspack") return this.#answerBootstrap(request, visitor, door);
    return createResponse(CODE.notFound);
  }

  #answerBootstrap(request: CoapRequest, visitor: Visitor, door: Door): Answer {
    const { bootstrap } = this.#parts;
    if (bootstrap === undefined) return createResponse(CODE.notFound);
    const { identity, address } = visitor;
    return bootstrap.answer(request, { identity, address, request: (ask) => door.backTo(visitor).request(ask) });
  }
}

/** Packages that the server writes to /5/0/0 or its kin, in one message or block by block. */
import type { CoapAnswer, UploadSink } from "@airlift/protocol/coap/body";
import { CODE, METHOD } from "@airlift/protocol/coap/codes";
import { CoapRefusal, type CoapRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint, uriPath } from "@airlift/protocol/coap/options";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import type { AnswerCode, PackageChunk } from "./update/messages.ts";
import type { UpdateRunner } from "./update-runner.ts";

/** CoAP codes of what the update's core answers. */
export const CODE_OF_ANSWER: Readonly<Record<AnswerCode, number>> = {
  "2.04": CODE.changed,
  "2.31": CODE.continue,
  "4.00": CODE.badRequest,
  "4.05": CODE.methodNotAllowed,
  "4.08": CODE.requestEntityIncomplete,
  "5.00": CODE.internalServerError,
};

/** A block that more blocks follow has at least 16 octets: a shorter one at the beginning is the whole body. */
const SHORTEST_BLOCK_BYTES = 16;

type Encoding = PackageChunk["encoding"];
type Part = Pick<PackageChunk, "push" | "first" | "last" | "bytes" | "encoding">;

export interface PackageDoor {
  /** The resource, without a slash before it; default `5/0/0`. */
  readonly path?: string;
  /** No package may begin at present: 4.05. */
  readonly isBusy?: () => boolean;
}

export class PackagePushes {
  readonly #runner: UpdateRunner;
  /** Whether packages may be pushed; the reset of one zero octet always may. */
  readonly #isOpen: boolean;
  readonly #path: string;
  readonly #isBusy: () => boolean;
  #count = 0;

  constructor(runner: UpdateRunner, isOpen: boolean, { path = "5/0/0", isBusy = () => false }: PackageDoor = {}) {
    this.#runner = runner;
    this.#isOpen = isOpen;
    this.#path = path;
    this.#isBusy = isBusy;
  }

  /** How the package in `request` is encoded, or `undefined` when it is no bare package but something to decode first. */
  encodingOf({ code, options }: CoapRequest): Encoding | undefined {
    if (code !== METHOD.put && code !== METHOD.post) return undefined;
    if (uriPath(options).join("/") !== this.#path) return undefined;
    switch (optionUint(options, OPTION.contentFormat)) {
      case undefined:
      case CONTENT_FORMATS.opaque:
        return "opaque";
      case CONTENT_FORMATS.text:
        // A POST of text is an Execute.
        return code === METHOD.put ? "base64" : undefined;
      default:
        return undefined;
    }
  }

  /** A package that came as a whole. */
  async whole(bytes: Uint8Array, encoding: Encoding = "opaque"): Promise<number> {
    this.#count += 1;
    return this.#put({ push: this.#count, first: true, last: true, bytes, encoding });
  }

  /** Takes the blocks of a package; each is answered when it is stored. */
  sink(encoding: Encoding): UploadSink {
    this.#count += 1;
    const push = this.#count;
    let begun = false;
    let short: Uint8Array = EMPTY;
    const put = async (bytes: Uint8Array, last: boolean): Promise<CoapAnswer> => {
      const first = !begun;
      begun = true;
      const code = await this.#put({ push, first, last, bytes, encoding });
      if (code >> 5 !== 2) throw new CoapRefusal(createResponse(code));
      return createResponse(code);
    };
    return {
      write: async (bytes, offset) => {
        if (offset === 0 && bytes.length < SHORTEST_BLOCK_BYTES) short = Uint8Array.from(bytes);
        else await put(bytes, false);
      },
      finish: () => put(short, true),
      abort: () => this.#runner.feed({ kind: "packageBroken", push }),
    };
  }

  async #put(part: Part): Promise<number> {
    const isReset = part.last && part.bytes.length === 1 && part.bytes[0] === 0;
    if (!this.#isOpen && !isReset) return CODE.badRequest;
    if (part.first && !isReset && this.#isBusy()) return CODE.methodNotAllowed;
    return CODE_OF_ANSWER[await this.#runner.request({ kind: "packageChunk", ...part })];
  }
}

/** A device's answers while it is bootstrapped: operations on a draft, which counts only once it is finished and whole. */
import { CODE } from "../../coap/codes.ts";
import { EMPTY, encodeUtf8 } from "../../lib/bytes.ts";
import { AirliftError, PeerError, UsageError } from "../../lib/errors.ts";
import { CONTENT_FORMATS } from "../content-formats.ts";
import { encodeLinks } from "../link-format.ts";
import { SERVER_ID } from "../objects/server.ts";
import { STANDARD_MODELS } from "../objects/standard.ts";
import { responseCodeFor } from "../operations.ts";
import { formatPath, isWithin, type Path } from "../path.ts";
import { decodePayload, encodePayload, isPayloadFormat } from "../payload.ts";
import type { Lwm2mRequest } from "../request.ts";
import { readAccounts, type ServerAccount } from "./accounts.ts";
import {
  bootstrapLinks,
  type Configuration,
  type ConfigurationLimits,
  DEFAULT_CONFIGURATION_LIMITS,
  deleted,
  written,
} from "./configuration.ts";
import { type BootstrapOperation, decodeBootstrapOperation } from "./messages.ts";

export interface ProvisioningAnswer {
  readonly code: number;
  readonly contentFormat: number | undefined;
  readonly payload: Uint8Array;
}

export interface ProvisioningOptions {
  readonly lwm2mVersion: string;
  readonly limits?: ConfigurationLimits;
  /** What else has to hold for accounts that fit together; a sentence for each thing that does not. */
  check(accounts: readonly ServerAccount[]): readonly string[];
}

export class Provisioning {
  readonly #options: ProvisioningOptions;
  #draft: Configuration;

  /** @param configuration What the device has, the account of the bootstrap server in it. */
  constructor(configuration: Configuration, options: ProvisioningOptions) {
    this.#draft = configuration;
    this.#options = options;
  }

  get draft(): Configuration {
    return this.#draft;
  }

  /** Never throws: whatever is wrong with a request becomes its code. A Finish of a draft that does not fit is 4.06. */
  answer(request: Lwm2mRequest): ProvisioningAnswer {
    try {
      return this.#perform(decodeBootstrapOperation(request));
    } catch (error) {
      if (!(error instanceof AirliftError)) throw error;
      return bare(error.code === "TOO_LARGE" ? CODE.requestEntityTooLarge : responseCodeFor(error));
    }
  }

  /** Takes a whole pack: the draft becomes what it says. @throws {PeerError} BOOTSTRAP with why it does not fit. */
  unpack(content: { readonly contentFormat: number; readonly payload: Uint8Array }): void {
    const entries = decodePayload(content.contentFormat, content.payload, { base: [], models: STANDARD_MODELS });
    const emptied = deleted(this.#draft, []);
    const draft = written(emptied, { path: [], entries }, this.#options.limits);
    const mistakes = this.#mistakesOf(draft);
    if (mistakes.length > 0) throw new PeerError("BOOTSTRAP", mistakes.join("; "));
    this.#draft = draft;
  }

  #perform(operation: BootstrapOperation): ProvisioningAnswer {
    switch (operation.kind) {
      case "discover": {
        const links = bootstrapLinks(this.#draft, { ...this.#options, path: operation.path });
        return { code: CODE.content, contentFormat: CONTENT_FORMATS.linkFormat, payload: encodeLinks(links) };
      }
      case "read":
        return this.#read(operation.path, operation.accept);
      case "write": {
        const { path, content } = operation;
        const entries = decodePayload(content.contentFormat, content.payload, { base: path, models: STANDARD_MODELS });
        this.#draft = written(this.#draft, { path, entries }, this.#options.limits ?? DEFAULT_CONFIGURATION_LIMITS);
        return bare(CODE.changed);
      }
      case "delete":
        this.#draft = deleted(this.#draft, operation.path);
        return bare(CODE.deleted);
      case "finish": {
        const mistakes = this.#mistakesOf(this.#draft);
        if (mistakes.length === 0) return bare(CODE.changed);
        // As a diagnostic payload (RFC 7252 §5.5.2): it names resources, and repeats no value.
        return { ...bare(CODE.notAcceptable), payload: encodeUtf8(mistakes.join("; ").slice(0, MAX_DIAGNOSTIC)) };
      }
    }
  }

  /** Object 0 is read by nobody (LwM2M Core 1.2 §6.1.7.3). */
  #read(path: Path, accept: number | undefined): ProvisioningAnswer {
    if (path[0] !== SERVER_ID) throw new PeerError("METHOD", "only object 1 can be read", { path: formatPath(path) });
    const entries = this.#draft.filter((entry) => isWithin(path, entry.path));
    if (entries.length === 0) throw new PeerError("NOT_FOUND", "nothing there", { path: formatPath(path) });
    const contentFormat =
      accept ?? (this.#options.lwm2mVersion === "1.0" ? CONTENT_FORMATS.tlv : CONTENT_FORMATS.senmlCbor);
    if (!isPayloadFormat(contentFormat)) return bare(CODE.notAcceptable);
    try {
      const payload = encodePayload(contentFormat, entries, { base: path, models: STANDARD_MODELS });
      return { code: CODE.content, contentFormat, payload };
    } catch (error) {
      if (error instanceof UsageError) return bare(CODE.notAcceptable);
      throw error;
    }
  }

  #mistakesOf(draft: Configuration): readonly string[] {
    const { accounts, mistakes } = readAccounts(draft);
    return mistakes.length > 0 ? mistakes : this.#options.check(accounts);
  }
}

const MAX_DIAGNOSTIC = 512;

const bare = (code: number): ProvisioningAnswer => ({ code, contentFormat: undefined, payload: EMPTY });

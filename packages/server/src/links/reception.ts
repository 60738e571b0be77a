/** Answers what devices send about themselves, `/rd` and `/dp`, at every door, once it is known who they are. */

import type { CoapAnswer } from "@airlift/protocol/coap/body";
import { CODE, formatCode, isSuccessCode } from "@airlift/protocol/coap/codes";
import { type CoapRequest, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import { EnvironmentError } from "@airlift/protocol/lib/errors";
import { fromCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import type { Entry } from "@airlift/protocol/lwm2m/entry";
import type { Models } from "@airlift/protocol/lwm2m/model";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import type { BodyRefusal } from "@airlift/runtime/coap";
import type { Registration } from "../fleet/registration.ts";
import type { RegistryInput, RegistryOutput } from "../fleet/registry.ts";
import { isSecure, type Sender } from "../fleet/sender.ts";
import { type DeviceFault, endpointIn, refusedRequest } from "./device-faults.ts";
import type { Door, Visitor } from "./door.ts";
import type { Gatekeeper } from "./gatekeeper.ts";
import { readRegistrationRequest, registrationAnswer } from "./registration-door.ts";
import { answerReport } from "./report-door.ts";

export interface ReceptionOptions {
  readonly gatekeeper: Gatekeeper;
  /** Gives the registry an input; what follows from it is done before this returns. */
  feed(input: RegistryInput): RegistryOutput | undefined;
  /** The registration that a sender speaks for. */
  registrationOf(sender: Sender): Registration | undefined;
  readonly models: Models;
  /** As `ReportDoorOptions.onValues`. */
  onValues(registration: Registration, entries: readonly Entry[]): boolean;
  onNews(registration: Registration): void;
  /** A registered device sent something beside its registration. */
  onHeard(endpoint: string): void;
  onFault(fault: DeviceFault): void;
  /** Somebody wanted to speak for an endpoint and may not. */
  onForbidden(endpoint: string, sender: Sender, why: string): void;
}

/** A device asks again after this time when its credential cannot be looked up now. */
const LOOK_UP_RETRY_S = 5;

type Answer = CoapAnswer | Promise<CoapAnswer>;

export class Reception {
  readonly #options: ReceptionOptions;

  constructor(options: ReceptionOptions) {
    this.#options = options;
  }

  registration(request: CoapRequest, visitor: Visitor, door: Door): Answer {
    return this.#asSender(visitor, (sender) => {
      const asked = fromCoapRequest(request);
      const input = readRegistrationRequest(asked, { sender, utcMs: Date.now() });
      if ("code" in input) {
        const endpoint = sender.provenEndpoint ?? endpointIn(asked.uriQuery);
        const { address } = sender;
        this.#options.onFault(refusedRequest("registration", { address, endpoint }, input));
        return input;
      }
      if (input.kind !== "register" || isSecure(sender.transport)) return this.#feed(input, visitor, door);
      const { endpoint } = input.request;
      const why = this.#options.gatekeeper.whyNotPlain(endpoint);
      const decide = (reason: string | undefined): CoapAnswer =>
        reason === undefined ? this.#feed(input, visitor, door) : this.#forbid(endpoint, sender, reason);
      return why instanceof Promise ? why.then(decide) : decide(why);
    });
  }

  report(request: CoapRequest, visitor: Visitor, door: Door): Answer {
    return this.#asSender(visitor, (sender) => this.#report(fromCoapRequest(request), sender, { visitor, door }));
  }

  /** A body in blocks was refused, or never came to its end. */
  bodyRefused({ request, code, why }: BodyRefusal, visitor: Visitor): void {
    const { address } = visitor;
    const sender = this.#options.gatekeeper.senderOf(visitor);
    const known = sender instanceof Promise ? undefined : this.#options.registrationOf(sender)?.endpoint;
    const { uriPath, uriQuery } = fromCoapRequest(request);
    const endpoint = known ?? endpointIn(uriQuery);
    const sentence = `a body in blocks from ${address} for /${uriPath[0] ?? ""} was refused with ${formatCode(code)}: ${why}`;
    this.#options.onFault({ kind: "body", code: formatCode(code), address, endpoint, sentence });
  }

  #report(request: Lwm2mRequest, sender: Sender, { visitor, door }: { visitor: Visitor; door: Door }): CoapAnswer {
    const { registrationOf, models, onValues, onNews, onHeard, onFault } = this.#options;
    const registration = registrationOf(sender);
    if (registration !== undefined) onHeard(registration.endpoint);
    if (registration && registration.transport === sender.transport) door.welcome(registration.endpoint, visitor);
    const answer = answerReport(request, { sender: registration, models, onValues, onNews });
    const { endpoint = sender.provenEndpoint } = registration ?? {};
    if (!isSuccessCode(answer.code)) onFault(refusedRequest("send", { address: sender.address, endpoint }, answer));
    return answer;
  }

  #feed(input: RegistryInput, visitor: Visitor, door: Door): CoapAnswer {
    const output = this.#options.feed(input);
    if (output === undefined) return createResponse(CODE.internalServerError);
    if (output.kind === "registered") this.#options.gatekeeper.registered(output.registration);
    if (output.kind === "registered" || output.kind === "updated") door.welcome(output.registration.endpoint, visitor);
    if (output.kind === "forbidden" && "sender" in input)
      return this.#forbid(output.endpoint, input.sender, output.why);
    return registrationAnswer(output);
  }

  #forbid(endpoint: string, sender: Sender, why: string): CoapAnswer {
    this.#options.onForbidden(endpoint, sender, why);
    return registrationAnswer({ kind: "forbidden", endpoint, why });
  }

  #asSender(visitor: Visitor, act: (sender: Sender) => Answer): Answer {
    const sender = this.#options.gatekeeper.senderOf(visitor);
    return sender instanceof Promise ? sender.then(act).catch(askAgain) : this.#guarded(() => act(sender));
  }

  #guarded(act: () => Answer): Answer {
    const answer = act();
    return answer instanceof Promise ? answer.catch(askAgain) : answer;
  }
}

/** The credential's store is away: 5.03, and the device asks again. */
function askAgain(error: unknown): CoapAnswer {
  if (!(error instanceof EnvironmentError)) throw error;
  return createResponse(CODE.serviceUnavailable, EMPTY, [uintOption(OPTION.maxAge, LOOK_UP_RETRY_S)]);
}

/** The bootstrap interface, `/bs` and `/bspack`: from a factory credential to a fresh key of the device's own (LwM2M 1.2 §6.1). */
import type { CoapAnswer } from "@airlift/protocol/coap/body";
import { CODE, formatCode, METHOD } from "@airlift/protocol/coap/codes";
import { type CoapRequest, type CoapResponse, createResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, uintOption } from "@airlift/protocol/coap/options";
import { EMPTY, encodeUtf8 } from "@airlift/protocol/lib/bytes";
import { AirliftError, EnvironmentError, PeerError } from "@airlift/protocol/lib/errors";
import { entriesOfAccount } from "@airlift/protocol/lwm2m/bootstrap/accounts";
import {
  BOOTSTRAP_PACK_PATH,
  type BootstrapRequest,
  decodeBootstrapRequest,
} from "@airlift/protocol/lwm2m/bootstrap/messages";
import {
  BootstrapSequence,
  type NewAccount,
  type SequenceInput,
  type SequenceOutput,
} from "@airlift/protocol/lwm2m/bootstrap/sequence";
import { fromCoapRequest, toCoapRequest } from "@airlift/protocol/lwm2m/coap-mapping";
import { CONTENT_FORMATS } from "@airlift/protocol/lwm2m/content-formats";
import { STANDARD_MODELS } from "@airlift/protocol/lwm2m/objects/standard";
import { encodePayload } from "@airlift/protocol/lwm2m/payload";
import type { Lwm2mRequest } from "@airlift/protocol/lwm2m/request";
import { type Driven, drive } from "@airlift/runtime/drive";
import type { Logger } from "pino";
import { type BootstrapCredentials, claimOf, isShared } from "../fleet/bootstrap.ts";
import type { ProvenIdentity } from "../fleet/credentials.ts";

/** Who asks. */
export interface BootstrapVisitor {
  readonly identity: ProvenIdentity | undefined;
  /** As it is shown. */
  readonly address: string;
  /** Asks the device back over the session that it came by; rejects as `CoapClient.requestWhole`. */
  request(request: CoapRequest): Promise<CoapResponse>;
}

/** What became of a device that was bootstrapped, in a sentence. */
export interface BootstrapNews {
  readonly outcome: "done" | "failed" | "refused";
  readonly endpoint: string;
  readonly address: string;
  readonly sentence: string;
}

export interface BootstrapDoorOptions {
  readonly credentials: BootstrapCredentials;
  readonly log: Logger;
  /** The address that a device is given, `coaps://…`; it came from `address`. */
  serverUri(address: string): Promise<string>;
  /** Lifetime of registrations, seconds; default `DEFAULT_BOOTSTRAP_LIFETIME_S`. */
  readonly lifetimeS?: number;
  /** Devices bootstrapped at once; one more is asked to come later. */
  readonly sessions?: number;
  onNews(news: BootstrapNews): void;
}

/** A NAT keeps the flow of a device that is heard every few minutes; the device's own choice may be another. */
export const DEFAULT_BOOTSTRAP_LIFETIME_S = 300;
export const DEFAULT_BOOTSTRAP_SESSIONS = 1_000;

const SHORT_SERVER_ID = 1;
const RETRY_S = 30;

interface Session {
  readonly visitor: BootstrapVisitor;
  readonly driven: Driven<SequenceInput>;
}

export class BootstrapDoor {
  readonly #options: BootstrapDoorOptions;
  /** By endpoint name: a device that begins anew ends what it had begun. */
  readonly #sessions = new Map<string, Session>();
  /** Names whose credentials are being made. */
  readonly #opening = new Set<string>();

  constructor(options: BootstrapDoorOptions) {
    this.#options = options;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** The answer to a request at `/bs` or `/bspack`. Never rejects for anything a device does. */
  async answer(request: CoapRequest, visitor: BootstrapVisitor): Promise<CoapAnswer> {
    const asked = fromCoapRequest(request);
    const isPack = asked.uriPath[0] === BOOTSTRAP_PACK_PATH[0];
    if (asked.uriPath.length !== 1) return createResponse(CODE.notFound);
    if (asked.code !== (isPack ? METHOD.get : METHOD.post)) return createResponse(CODE.methodNotAllowed);
    try {
      const wish = decodeBootstrapRequest(asked);
      const claim = await this.#claim(wish, visitor);
      if ("why" in claim) return this.#refuse(wish, visitor, claim.why);
      const { endpoint } = claim;
      return await this.#alone(endpoint, () =>
        isPack ? this.#pack(endpoint, visitor, asked) : this.#begin(endpoint, visitor, wish),
      );
    } catch (error) {
      if (error instanceof PeerError) return createResponse(CODE.badRequest, encodeUtf8(error.message));
      if (error instanceof EnvironmentError) return later();
      throw error;
    }
  }

  close(): void {
    for (const { driven } of this.#sessions.values()) driven.stop();
    this.#sessions.clear();
  }

  async #claim({ endpoint }: BootstrapRequest, { identity }: BootstrapVisitor) {
    const { credentials } = this.#options;
    const scope = identity && (await credentials.scopeOf(identity));
    const isAsked = scope !== undefined && isShared(scope) && endpoint !== undefined;
    return claimOf(scope, endpoint, { isInUse: isAsked && (await credentials.isInUse(endpoint)) });
  }

  #refuse({ endpoint = "" }: BootstrapRequest, { identity, address }: BootstrapVisitor, why: string): CoapAnswer {
    const who = identity ? `${identity.kind} ${identity.name}` : "somebody without a credential";
    const sentence = `${who} wanted to be bootstrapped as "${endpoint}": ${why}`;
    this.#options.log.warn({ endpoint, address }, sentence);
    this.#options.onNews({ outcome: "refused", endpoint, address, sentence });
    return createResponse(identity ? CODE.forbidden : CODE.unauthorized);
  }

  /** One key for one request: a device in a hurry would make the store write a key each time, and get the wrong one. */
  async #alone(endpoint: string, answer: () => Promise<CoapAnswer>): Promise<CoapAnswer> {
    const { sessions = DEFAULT_BOOTSTRAP_SESSIONS } = this.#options;
    if (this.#opening.has(endpoint)) return later();
    if (this.#sessions.size + this.#opening.size >= sessions && !this.#sessions.has(endpoint)) return later();
    this.#opening.add(endpoint);
    try {
      return await answer();
    } finally {
      this.#opening.delete(endpoint);
    }
  }

  async #begin(endpoint: string, visitor: BootstrapVisitor, wish: BootstrapRequest): Promise<CoapAnswer> {
    this.#end(endpoint);
    const account = await this.#newAccount(endpoint, visitor);
    const core = new BootstrapSequence({ account, preferredFormat: wish.preferredFormat });
    const session: Session = {
      visitor,
      driven: drive<SequenceInput, SequenceOutput>(core, { kind: "wake" }, (output) =>
        this.#perform(endpoint, session, output),
      ),
    };
    this.#sessions.set(endpoint, session);
    // The device reads our answer first.
    setImmediate(() => session.driven.feed({ kind: "start" }));
    return createResponse(CODE.changed);
  }

  async #pack(endpoint: string, visitor: BootstrapVisitor, { accept }: Lwm2mRequest): Promise<CoapAnswer> {
    const contentFormat = accept ?? CONTENT_FORMATS.senmlCbor;
    if (!PACK_FORMATS.includes(contentFormat)) return createResponse(CODE.notAcceptable);
    // What was begun step by step would go on to write a key that this one replaces.
    this.#end(endpoint);
    const account = await this.#newAccount(endpoint, visitor);
    const { security, server } = entriesOfAccount(account, { securityInstance: 1, serverInstance: 0 });
    const payload = encodePayload(contentFormat, [...security, ...server], { base: [], models: STANDARD_MODELS });
    this.#tell(endpoint, visitor, "done", "the device was given a pack with a key of its own");
    return createResponse(CODE.content, payload, [uintOption(OPTION.contentFormat, contentFormat)]);
  }

  async #newAccount(endpoint: string, visitor: BootstrapVisitor): Promise<NewAccount> {
    const { credentials, lifetimeS = DEFAULT_BOOTSTRAP_LIFETIME_S } = this.#options;
    const uri = await this.#options.serverUri(visitor.address);
    const { identity, key } = await credentials.issueDeviceCredential(endpoint);
    const security = { mode: "psk", identity, key } as const;
    return { uri, security, shortServerId: SHORT_SERVER_ID, lifetimeS, binding: "U" };
  }

  #perform(endpoint: string, session: Session, output: SequenceOutput): void {
    if (this.#sessions.get(endpoint) !== session) return;
    switch (output.kind) {
      case "ask":
        void this.#ask(endpoint, session, output);
        return;
      case "done":
        this.#end(endpoint);
        this.#tell(endpoint, session.visitor, "done", "the device was given a key of its own");
        return;
      case "failed": {
        this.#end(endpoint);
        const said = output.code === 0 ? "did not answer" : `answered ${formatCode(output.code)}`;
        const why = output.code === 0 || output.why === "" ? "" : `: ${output.why}`;
        const sentence = `bootstrapping ended while ${STEPS[output.step] ?? output.step}: the device ${said}${why}`;
        this.#tell(endpoint, session.visitor, "failed", sentence);
      }
    }
  }

  async #ask(endpoint: string, session: Session, { number, request }: SequenceOutput & { kind: "ask" }): Promise<void> {
    try {
      const { code, payload } = await session.visitor.request(toCoapRequest(request));
      if (this.#sessions.get(endpoint) === session) session.driven.feed({ kind: "answered", number, code, payload });
    } catch (error) {
      if (!(error instanceof AirliftError)) throw error;
      if (this.#sessions.get(endpoint) === session) session.driven.feed({ kind: "silent", number });
    }
  }

  #end(endpoint: string): void {
    this.#sessions.get(endpoint)?.driven.stop();
    this.#sessions.delete(endpoint);
  }

  #tell(endpoint: string, { address }: BootstrapVisitor, outcome: BootstrapNews["outcome"], sentence: string): void {
    const { log, onNews } = this.#options;
    if (outcome === "failed") log.warn({ endpoint, address }, sentence);
    else log.info({ endpoint, address }, sentence);
    onNews({ outcome, endpoint, address, sentence });
  }
}

/** Formats that name what they hold; a pack has no path of its own. */
const PACK_FORMATS: readonly number[] = [
  CONTENT_FORMATS.senmlCbor,
  CONTENT_FORMATS.senmlJson,
  CONTENT_FORMATS.lwm2mCbor,
];

const STEPS: Readonly<Record<string, string>> = {
  discovering: "looking what the device has",
  deletingSecurity: "deleting the old accounts",
  deletingServer: "deleting the old accounts",
  writingSecurity: "writing the address and the key",
  writingServer: "writing the server's settings",
  finishing: "finishing",
};

const later = (): CoapAnswer => createResponse(CODE.serviceUnavailable, EMPTY, [uintOption(OPTION.maxAge, RETRY_S)]);

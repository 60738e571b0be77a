/**
 * What a bootstrap server asks of one device, one request after the other: looks what is there, deletes the accounts,
 * writes a new one, finishes (LwM2M Core 1.2 §6.1.4).
 */
import { CODE, isSuccessCode } from "../../coap/codes.ts";
import type { Core } from "../../lib/core.ts";
import { PeerError } from "../../lib/errors.ts";
import type { Arrow, Table } from "../../machine/table.ts";
import { CONTENT_FORMATS } from "../content-formats.ts";
import { attributeOf, DEFAULT_MAX_LINKS, decodeLinks } from "../link-format.ts";
import { SECURITY_ID } from "../objects/security.ts";
import { SERVER_ID } from "../objects/server.ts";
import { STANDARD_MODELS } from "../objects/standard.ts";
import { type Path, parsePath } from "../path.ts";
import { encodePayload, isPayloadFormat } from "../payload.ts";
import type { Lwm2mRequest } from "../request.ts";
import { entriesOfAccount, type ServerAccount } from "./accounts.ts";
import { bootstrapDelete, bootstrapDiscover, bootstrapFinish, bootstrapWrite } from "./messages.ts";

export type SequenceState =
  | "off"
  | "discovering"
  | "deletingSecurity"
  | "deletingServer"
  | "writingSecurity"
  | "writingServer"
  | "finishing"
  | "done"
  | "failed";

/** `reformed`: the format was refused, and there is another. `silent`: no answer, and it may be asked again. */
export type SequenceEvent = "start" | "answered" | "refused" | "reformed" | "silent" | "due" | "gaveUp";

export type SequenceAction = "ask" | "pause" | "tellDone" | "tellFailed";

const to = (state: SequenceState, ...actions: SequenceAction[]): Arrow<SequenceState, SequenceAction, undefined> => ({
  to: state,
  actions,
  extra: undefined,
});

const FAILED = to("failed", "tellFailed");

/** What holds in each step: no answer is waited for and asked for again, in the end given up. */
const step = (state: SequenceState) => ({ silent: to(state, "pause"), due: to(state, "ask"), gaveUp: FAILED });

export const BOOTSTRAP_SEQUENCE: Table<SequenceState, SequenceEvent, SequenceAction, undefined> = {
  off: { start: to("discovering", "ask") },
  // Discover came with LwM2M 1.1, and is optional in 1.0: a device that has none is written to all the same.
  discovering: {
    ...step("discovering"),
    answered: to("deletingSecurity", "ask"),
    refused: to("deletingSecurity", "ask"),
  },
  // Nothing to delete may be a refusal, too.
  deletingSecurity: {
    ...step("deletingSecurity"),
    answered: to("deletingServer", "ask"),
    refused: to("deletingServer", "ask"),
  },
  deletingServer: {
    ...step("deletingServer"),
    answered: to("writingSecurity", "ask"),
    refused: to("writingSecurity", "ask"),
  },
  writingSecurity: {
    ...step("writingSecurity"),
    answered: to("writingServer", "ask"),
    refused: FAILED,
    reformed: to("writingSecurity", "ask"),
  },
  writingServer: {
    ...step("writingServer"),
    answered: to("finishing", "ask"),
    refused: FAILED,
    reformed: to("writingServer", "ask"),
  },
  finishing: { ...step("finishing"), answered: to("done", "tellDone"), refused: FAILED },
  done: {},
  failed: {},
};

/** What the device gets. */
export type NewAccount = Pick<ServerAccount, "uri" | "security" | "shortServerId" | "lifetimeS" | "binding">;

export interface SequenceOptions {
  readonly account: NewAccount;
  /** Content formats of Writes, the favourite first; what a device prefers is put in front if it is one of ours. */
  readonly formats?: readonly number[];
  readonly preferredFormat: number | undefined;
  /** How often a step is asked again that got no answer. */
  readonly retries?: number;
  readonly retryDelayMs?: number;
}

/** Each try is retransmitted by CoAP itself for a minute and a half. */
export const DEFAULT_SEQUENCE_RETRIES = 2;
export const DEFAULT_SEQUENCE_DELAY_MS = 5_000;

/** What Writes go in when the device says nothing: TLV is what every version has to read (LwM2M 1.0 §6.4.3). */
const DEFAULT_FORMATS: readonly number[] = [CONTENT_FORMATS.tlv, CONTENT_FORMATS.senmlCbor];

/** What can hold a whole instance, keys included. */
const WRITE_FORMATS: readonly number[] = [
  CONTENT_FORMATS.senmlCbor,
  CONTENT_FORMATS.lwm2mCbor,
  CONTENT_FORMATS.tlv,
  CONTENT_FORMATS.senmlJson,
];

export type SequenceInput =
  | { readonly kind: "start" | "wake" }
  /** The answer to the request of this number, with its payload. */
  | { readonly kind: "answered"; readonly number: number; readonly code: number; readonly payload: Uint8Array }
  | { readonly kind: "silent"; readonly number: number };

export type SequenceOutput =
  | { readonly kind: "ask"; readonly number: number; readonly request: Lwm2mRequest }
  | { readonly kind: "done" }
  /** In which step, and with which code, or 0 when there was no answer; `why` as the device says it. */
  | { readonly kind: "failed"; readonly step: SequenceState; readonly code: number; readonly why: string };

export class BootstrapSequence implements Core<SequenceInput, SequenceOutput> {
  readonly #options: SequenceOptions;
  readonly #formats: number[];
  #state: SequenceState = "off";
  #number = 0;
  #silences = 0;
  #securityInstance = 1;
  #dueAtMs: number | undefined;
  #failure: { readonly step: SequenceState; readonly code: number; readonly why: string } | undefined;

  constructor(options: SequenceOptions) {
    this.#options = options;
    const { preferredFormat, formats = DEFAULT_FORMATS } = options;
    const preferred = preferredFormat !== undefined && WRITE_FORMATS.includes(preferredFormat) ? [preferredFormat] : [];
    this.#formats = [...new Set([...preferred, ...formats])].filter(isPayloadFormat);
  }

  get state(): SequenceState {
    return this.#state;
  }

  get wakeAtMs(): number | undefined {
    return this.#dueAtMs;
  }

  step(input: SequenceInput, nowMs: number): SequenceOutput[] {
    switch (input.kind) {
      case "start":
        return this.#take("start", nowMs);
      case "wake":
        return this.#dueAtMs !== undefined && this.#dueAtMs <= nowMs ? this.#take("due", nowMs) : [];
      case "silent":
        return input.number === this.#number ? this.#silent(nowMs) : [];
      case "answered":
        return input.number === this.#number ? this.#answered(input.code, input.payload, nowMs) : [];
    }
  }

  #answered(code: number, payload: Uint8Array, nowMs: number): SequenceOutput[] {
    if (code === CODE.serviceUnavailable) return this.#silent(nowMs);
    this.#silences = 0;
    if (this.#state === "discovering" && code === CODE.content) this.#securityInstance = freeInstance(payload);
    if (isSuccessCode(code)) return this.#take("answered", nowMs);
    if (code === CODE.unsupportedContentFormat && this.#formats.length > 1) {
      this.#formats.shift();
      return this.#take("reformed", nowMs);
    }
    this.#failure = { step: this.#state, code, why: sentenceIn(payload) };
    return this.#take("refused", nowMs);
  }

  #silent(nowMs: number): SequenceOutput[] {
    this.#silences += 1;
    const { retries = DEFAULT_SEQUENCE_RETRIES } = this.#options;
    if (this.#silences <= retries) return this.#take("silent", nowMs);
    this.#failure = { step: this.#state, code: 0, why: "no answer" };
    return this.#take("gaveUp", nowMs);
  }

  #take(event: SequenceEvent, nowMs: number): SequenceOutput[] {
    const arrow = BOOTSTRAP_SEQUENCE[this.#state][event];
    if (!arrow) return [];
    this.#state = arrow.to;
    this.#dueAtMs = undefined;
    return arrow.actions.flatMap((action) => this.#act(action, nowMs));
  }

  #act(action: SequenceAction, nowMs: number): SequenceOutput[] {
    switch (action) {
      case "ask": {
        const request = this.#request();
        if (request === undefined) return [];
        this.#number += 1;
        return [{ kind: "ask", number: this.#number, request }];
      }
      case "pause":
        this.#dueAtMs = nowMs + (this.#options.retryDelayMs ?? DEFAULT_SEQUENCE_DELAY_MS);
        return [];
      case "tellDone":
        return [{ kind: "done" }];
      case "tellFailed":
        return [{ kind: "failed", ...(this.#failure ?? { step: this.#state, code: 0, why: "" }) }];
    }
  }

  #request(): Lwm2mRequest | undefined {
    const { security, server } = entriesOfAccount(this.#options.account, {
      securityInstance: this.#securityInstance,
      serverInstance: SERVER_INSTANCE,
    });
    const write = (path: Path, entries: typeof security): Lwm2mRequest => {
      const [contentFormat = CONTENT_FORMATS.tlv] = this.#formats;
      const payload = encodePayload(contentFormat, entries, { base: path, models: STANDARD_MODELS });
      return bootstrapWrite(path, { contentFormat, payload });
    };
    switch (this.#state) {
      case "discovering":
        return bootstrapDiscover([]);
      case "deletingSecurity":
        return bootstrapDelete([SECURITY_ID]);
      case "deletingServer":
        return bootstrapDelete([SERVER_ID]);
      case "writingSecurity":
        return write([SECURITY_ID, this.#securityInstance], security);
      case "writingServer":
        return write([SERVER_ID, SERVER_INSTANCE], server);
      case "finishing":
        return bootstrapFinish();
      default:
        return undefined;
    }
  }
}

const SERVER_INSTANCE = 0;

/** One that is not the bootstrap server's own, which a Discover shows without a Short Server ID; 1 where it shows nothing. */
export function freeInstance(payload: Uint8Array): number {
  try {
    const own = decodeLinks(payload, DEFAULT_MAX_LINKS).flatMap((link) => {
      const [objectId, instance, ...rest] = parsePath(link.target);
      const isOwn = objectId === SECURITY_ID && rest.length === 0 && attributeOf(link, "ssid") === undefined;
      return isOwn && instance !== undefined ? [instance] : [];
    });
    if (own.length === 0) return 1;
    let instance = 0;
    while (own.includes(instance)) instance += 1;
    return instance;
  } catch (error) {
    if (error instanceof PeerError) return 1;
    throw error;
  }
}

/** A diagnostic payload (RFC 7252 §5.5.2), which is the device's word and nobody else's: printable, and short. */
function sentenceIn(payload: Uint8Array): string {
  const printable = [...payload.subarray(0, 256)].map((octet) => (octet >= 0x20 && octet < 0x7f ? octet : 0x3f));
  return String.fromCharCode(...printable);
}

/** One waiting request on its way: how it is sent, what it came to, and how that reads. */
import { CODE, formatCode, isSuccessCode } from "@airlift/protocol/coap/codes";
import { CoapRefusal, type CoapResponse } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint } from "@airlift/protocol/coap/options";
import { AirliftError } from "@airlift/protocol/lib/errors";
import { DEVICE_RESOURCES } from "@airlift/protocol/lwm2m/objects/device";
import { readRequest } from "@airlift/protocol/lwm2m/operations";
import { pathOf } from "@airlift/protocol/lwm2m/path";
import type { Logger } from "pino";
import { isRepeatable, pathsOf, type QueuedRequest, type RequestContent } from "../fleet/queued-request.ts";
import type { Registration } from "../fleet/registration.ts";
import type { RequestQueueInput } from "../fleet/request-queue.ts";
import type { QueueAnswer, RequestEnd } from "../store/request-queue-store.ts";
import type { DeviceRequests } from "./device-requests.ts";
import { toLwm2mRequest } from "./queued-operations.ts";

export interface SendingParts {
  readonly requests: Pick<DeviceRequests, "request">;
  readonly log: Logger;
  readonly registrationOf: (endpoint: string) => Registration | undefined;
  readonly signal: AbortSignal;
  /** Called with each answer of class 2; what it told, in words for the timeline. */
  readonly onAnswer?: ((request: QueuedRequest, response: CoapResponse) => string) | undefined;
}

/** How a request ended that was on its way. */
export interface Result {
  readonly how: Extract<RequestQueueInput, { kind: "ended" }>["how"];
  readonly answer: QueueAnswer | null;
  readonly why?: string | undefined;
  /** What the answer told, in words. */
  readonly told?: string | undefined;
}

/** Octets of an answer that are kept. */
const ANSWER_BYTES = 16 * 1024;

const NEVER_LEFT: Result = { how: "notSent", answer: null };

/** Never rejects. What a guest refuses, or might not hear, waits for its home or its next word. */
export async function sendRequest(request: QueuedRequest, parts: SendingParts): Promise<Result> {
  const { endpoint, content } = request;
  const { requests, registrationOf, signal, log, onAnswer } = parts;
  const registration = registrationOf(endpoint);
  if (registration === undefined) return NEVER_LEFT;
  const { home } = registration;
  const ended = (response: CoapResponse, told?: string): Result =>
    home !== undefined && response.code === CODE.unauthorized
      ? NEVER_LEFT
      : { how: "answered", answer: answerOf(response), told };
  try {
    if (home !== undefined && !isRepeatable(content) && !(await doesAnswer(registration, parts))) return NEVER_LEFT;
    const response = await requests.request(registration, toLwm2mRequest(content), { signal });
    return ended(response, isSuccessCode(response.code) ? onAnswer?.(request, response) : undefined);
  } catch (error) {
    if (error instanceof CoapRefusal) return ended(error.response);
    if (!(error instanceof AirliftError)) log.error({ err: error, endpoint }, "a waiting request failed");
    const why = error instanceof Error ? error.message : String(error);
    const code = error instanceof AirliftError ? error.code : "";
    if (NOT_SENT.has(code)) return NEVER_LEFT;
    return { how: NO_ANSWER.has(code) ? "unanswered" : "failed", answer: null, why };
  }
}

/** Every device has it (LwM2M Core 1.2, object 3): Supported Binding and Modes. */
const HARMLESS = readRequest(pathOf(3, 0, DEVICE_RESOURCES.supportedBindings));

/** Whether a guest does what this server asks. Without an answer to what may not be done twice, nobody would know. */
async function doesAnswer(guest: Registration, { requests, signal }: SendingParts): Promise<boolean> {
  try {
    return isSuccessCode((await requests.request(guest, HARMLESS, { signal })).code);
  } catch (error) {
    if (error instanceof AirliftError) return false;
    throw error;
  }
}

/** It waits until the device is heard again: it sleeps, has no connection, or too much is under way to it. */
const NOT_SENT: ReadonlySet<string> = new Set([
  "DEVICE_ASLEEP",
  "DEVICE_DISCONNECTED",
  "COAP_OVERLOADED",
  "COAP_CROWDED",
]);
/** The request may have arrived, though nothing came back. */
const NO_ANSWER: ReadonlySet<string> = new Set(["COAP_TIMEOUT", "COAP_UNREACHABLE", "COAP_RESET", "COAP_CLOSED"]);

function answerOf({ code, options, payload }: CoapResponse): QueueAnswer {
  return {
    code: formatCode(code),
    contentFormat: optionUint(options, OPTION.contentFormat) ?? null,
    payload: Buffer.from(payload.subarray(0, ANSWER_BYTES)).toString("base64"),
  };
}

/** What goes on record of a request that has ended. */
export function endOf(
  { content }: QueuedRequest,
  outcome: RequestEnd["outcome"],
  result: Result | undefined,
): RequestEnd {
  return { outcome, answer: result?.answer ?? null, sentence: sentenceOf(content, outcome, result) };
}

/** Paths that a sentence has room for. */
const MOST_NAMED = 4;

function placesIn(content: RequestContent): string {
  const paths = pathsOf(content);
  const leftCount = paths.length - MOST_NAMED;
  return [...paths.slice(0, MOST_NAMED), ...(leftCount > 0 ? [`and ${leftCount} more`] : [])].join(" ");
}

/** For the device's timeline. */
export function sentenceOf(content: RequestContent, outcome: RequestEnd["outcome"], result?: Result): string {
  const what = `${content.operation} ${placesIn(content)}`;
  const sentences: Readonly<Record<RequestEnd["outcome"], string>> = {
    answered: `${what}: the device answered ${result?.answer?.code ?? ""}${result?.told ?? ""}`.slice(0, 500),
    failed: `${what}: ${result?.why ?? "it could not be asked"}`,
    expired: `${what}: its time ran out before the device was awake`,
    cancelled: `${what}: cancelled before it was sent`,
    replaced: `${what}: a newer write took its place`,
    unknown: `${what}: it went out and no answer came; whether the device did it is not known, and it is not sent again`,
  };
  return sentences[outcome];
}

/** What an error of the network, or a server's answer, means for a pull (rows 13, 19 … 23). */
import { CODE } from "@airlift/protocol/coap/codes";
import { CoapRefusal } from "@airlift/protocol/coap/exchange";
import { OPTION, optionUint } from "@airlift/protocol/coap/options";
import { AirliftError } from "@airlift/protocol/lib/errors";
import type { PullFailure } from "./pull-failure.ts";

export interface PullError {
  readonly failure: PullFailure;
  /** How long a busy server wants to be left alone. */
  readonly retryAfterMs?: number;
}

/** @param isResumed A server that does not know the part asked for has another image by now. */
export function pullErrorOf(error: unknown, isResumed: boolean): PullError {
  if (error instanceof CoapRefusal) return refusalOf(error, isResumed);
  const ofSystem = systemCodes(error).map((code) => FAILURE_OF_SYSTEM_CODE[code]);
  const known = ofSystem.find((failure) => failure !== undefined);
  if (known !== undefined) return { failure: known };
  return { failure: error instanceof AirliftError ? failureOf(error, isResumed) : "refused" };
}

/** Row 13 and row 22; names as the system gives them. */
const FAILURE_OF_SYSTEM_CODE: Readonly<Record<string, PullFailure>> = {
  ENOMEM: "outOfMemory",
  ENOBUFS: "outOfMemory",
  ERR_MEMORY_ALLOCATION_FAILED: "outOfMemory",
  EINVAL: "badUri",
  EADDRNOTAVAIL: "badUri",
  EPROTONOSUPPORT: "unsupported",
  EAFNOSUPPORT: "unsupported",
};

/** Too Many Requests, Service Unavailable. */
const BUSY_STATUS: ReadonlySet<unknown> = new Set([429, 503]);

function failureOf(error: AirliftError, isResumed: boolean): PullFailure {
  switch (error.code) {
    case "HOST_UNKNOWN":
      return systemCodes(error).includes("EAI_AGAIN") ? "connection" : "noSuchHost";
    case "ETAG_CHANGED":
    case "BLOCK_MISMATCH":
      return "changed";
    case "COAP_TIMEOUT":
    case "COAP_UNREACHABLE":
    case "COAP_OVERLOADED":
    case "COAP_RESET":
    case "CONNECTION_LOST":
    case "CONNECTION_TIMEOUT":
    case "IDLE_TIMEOUT":
    case "TLS_FAILED":
    case "SOCKET_BIND":
      return "connection";
    case "NOT_FOUND":
      return "notFound";
    case "HTTP_STATUS":
      return BUSY_STATUS.has(error.facts["status"]) ? "busy" : "refused";
    case "HTTP_RANGE":
      return isResumed ? "changed" : "refused";
    case "HTTP_URI":
      return "badUri";
    default:
      return "refused";
  }
}

function refusalOf({ response }: CoapRefusal, isResumed: boolean): PullError {
  switch (response.code) {
    case CODE.notFound:
      return { failure: "notFound" };
    case CODE.serviceUnavailable:
    case CODE.tooManyRequests:
      return { failure: "busy", retryAfterMs: 1000 * (optionUint(response.options, OPTION.maxAge) ?? 0) };
    case CODE.badRequest:
    case CODE.badOption:
    case CODE.requestEntityIncomplete:
    case CODE.preconditionFailed:
      return { failure: isResumed ? "changed" : "refused" };
    default:
      return { failure: "refused" };
  }
}

/** The codes of the system's errors behind `error`, nearest first. */
function systemCodes(error: unknown): string[] {
  const codes: string[] = [];
  for (let cause = error; cause instanceof Error && codes.length < LONGEST_CHAIN; cause = cause.cause) {
    codes.push("code" in cause ? String(cause.code) : "");
  }
  return codes;
}

/** Errors can be caused by themselves. */
const LONGEST_CHAIN = 8;

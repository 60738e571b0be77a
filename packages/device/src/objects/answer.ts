/** Answers of the device's objects, and refusals on their way there. */
import { CODE } from "@airlift/protocol/coap/codes";
import { EMPTY } from "@airlift/protocol/lib/bytes";
import { AirliftError, PeerError } from "@airlift/protocol/lib/errors";
import { responseCodeFor } from "@airlift/protocol/lwm2m/operations";

export interface ObjectAnswer {
  readonly code: number;
  readonly contentFormat: number | undefined;
  readonly payload: Uint8Array;
}

/** A refusal on its way to the answer. */
export class Refusal extends PeerError {
  readonly response: number;
  constructor(response: number) {
    super("REFUSED", `refused with ${response}`);
    this.response = response;
  }
}

export const refuse = (response: number): never => {
  throw new Refusal(response);
};

/** The response code for what went wrong with a request. */
export function codeOf(error: unknown): number {
  if (error instanceof Refusal) return error.response;
  return error instanceof AirliftError ? responseCodeFor(error) : CODE.internalServerError;
}

export const bare = (code: number): ObjectAnswer => ({ code, contentFormat: undefined, payload: EMPTY });

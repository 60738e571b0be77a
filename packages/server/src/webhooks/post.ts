/** One request to a receiver: no redirects, a deadline for all of it, and nothing of the answer but its status. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { checkDestination, type DestinationPolicy, guardedLookup } from "./destination.ts";

export interface Posting {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The status that was answered, or why there was none. */
export type Answer =
  | { readonly status: number }
  | {
      readonly status: null;
      readonly problem: string;
      /** Another attempt would be in vain. */
      readonly isFinal?: boolean;
    };

/** A receiver has only to put the event away; what takes longer is a failure. */
export const DEFAULT_TIMEOUT_MS = 10_000;
/** More of an answer is not read. */
const LARGEST_ANSWER_BYTES = 64 * 1024;
const IDLE_CONNECTION_MS = 15_000;

export class Poster {
  readonly #policy: DestinationPolicy;
  readonly #timeoutMs: number;
  readonly #http: HttpAgent;
  readonly #https: HttpsAgent;

  constructor(policy: DestinationPolicy, timeoutMs: number = DEFAULT_TIMEOUT_MS) {
    this.#policy = policy;
    this.#timeoutMs = timeoutMs;
    const options = { keepAlive: true, timeout: IDLE_CONNECTION_MS, maxFreeSockets: 16 };
    this.#http = new HttpAgent(options);
    this.#https = new HttpsAgent(options);
  }

  /** Never rejects. */
  async post(posting: Posting, signal?: AbortSignal): Promise<Answer> {
    const deadline = AbortSignal.timeout(this.#timeoutMs);
    try {
      return { status: await this.#send(posting, signal ? AbortSignal.any([deadline, signal]) : deadline) };
    } catch (error) {
      const problem = deadline.aborted ? `no answer within ${this.#timeoutMs / 1000} s` : reasonOf(error);
      return { status: null, problem };
    }
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  async #send({ url: text, headers, body }: Posting, signal: AbortSignal): Promise<number> {
    const url = checkDestination(text, this.#policy);
    const isTls = url.protocol === "https:";
    return await new Promise((resolve, reject) => {
      const sent = (isTls ? httpsRequest : httpRequest)(url, {
        method: "POST",
        headers: { ...headers, "content-length": `${Buffer.byteLength(body)}` },
        agent: isTls ? this.#https : this.#http,
        lookup: guardedLookup(this.#policy),
        signal,
      });
      sent.on("error", reject);
      sent.on("response", (answer) => {
        // The status has come; how its body ends is no matter.
        answer.on("error", () => {});
        drain(answer);
        resolve(answer.statusCode ?? 0);
      });
      sent.end(body);
    });
  }
}

/** Reads a short answer to its end, so that the connection can be used again; a long one costs the connection. */
function drain(answer: IncomingMessage): void {
  let bytes = 0;
  answer.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > LARGEST_ANSWER_BYTES) answer.destroy();
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  // Several addresses were tried: each has a reason of its own.
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return reasonOf(error.errors[0]);
  return (error.message || code || error.name).slice(0, 300);
}

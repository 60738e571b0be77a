/** What only matters now, values and progress, is told by the server alone that has the device: for clients that listen to the device elsewhere. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Stores } from "../store/ports.ts";
import { type Forwarded, headersTo } from "./forwarding.ts";
import type { FleetCommands } from "./ports.ts";

export interface LiveRelayParts {
  readonly stores: Pick<Stores, "events" | "nodes">;
  readonly fleet: Pick<FleetCommands, "isHere">;
  readonly endpoint: string;
  /** Who listens. */
  readonly request: Forwarded;
  /** Takes the text of an event, with the empty line that ends it. */
  readonly send: (text: string) => void;
}

/** Before a connection that broke is made again. */
const RETRY_MS = 2_000;
/** So long a client waits at most for the first one. */
const FIRST_WAIT_MS = 5_000;
/** Characters of an event: values of one notification. */
const LONGEST_EVENT = 2 ** 20;

export class LiveRelay {
  readonly #parts: LiveRelayParts;
  #run: AbortController | undefined;
  #stopListening: (() => void) | undefined;
  #isClosed = false;

  constructor(parts: LiveRelayParts) {
    this.#parts = parts;
  }

  /** Listens where the device is, and follows it; resolves when the other server has answered, or does not. */
  async open(): Promise<void> {
    const { stores, endpoint } = this.#parts;
    this.#stopListening = stores.events.subscribe((event) => {
      if (event.kind === "device.registered" && event.endpoint === endpoint) void this.#follow();
    });
    await Promise.race([this.#follow(), sleep(FIRST_WAIT_MS, undefined, { ref: false })]);
  }

  close(): void {
    this.#isClosed = true;
    this.#stopListening?.();
    this.#run?.abort();
  }

  /** Resolves when the first connection stands or has failed; never rejects. */
  async #follow(): Promise<void> {
    this.#run?.abort();
    if (this.#isClosed) return;
    const run = new AbortController();
    this.#run = run;
    const { promise, resolve } = Promise.withResolvers<void>();
    void this.#stayConnected(run.signal, resolve);
    await promise;
  }

  async #stayConnected(signal: AbortSignal, onAnswer: () => void): Promise<void> {
    while (!signal.aborted) {
      const isElsewhere = await this.#listen(signal, onAnswer).catch(() => true);
      onAnswer();
      if (!isElsewhere) return;
      await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** False when no other server has the device. */
  async #listen(signal: AbortSignal, onAnswer: () => void): Promise<boolean> {
    const { stores, fleet, endpoint, request } = this.#parts;
    if (fleet.isHere(endpoint)) return false;
    const node = await stores.nodes.holderOf(endpoint);
    if (node === undefined || node.address === null) return false;
    const url = `${node.address}/api/v1/events?${new URLSearchParams({ endpoint })}`;
    const answer = await fetch(url, { headers: headersTo(node, request), redirect: "manual", signal });
    onAnswer();
    if (answer.status === 200 && answer.body !== null) await this.#pass(answer.body);
    else await answer.body?.cancel();
    return true;
  }

  /** What is stored this server tells by itself; what is live has no id. */
  async #pass(body: AsyncIterable<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let text = "";
    for await (const part of body) {
      text += decoder.decode(part, { stream: true });
      const frames = text.split("\n\n");
      text = frames.pop() ?? "";
      if (text.length > LONGEST_EVENT) return;
      for (const frame of frames) if (frame.startsWith("data: ")) this.#parts.send(`${frame}\n\n`);
    }
  }
}

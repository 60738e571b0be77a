/**
 * What the viewer wanted done and has not heard the end of. The same request, sent again after its answer was lost, carries
 * the same Idempotency-Key: the server answers it again and does it once.
 */

/** Who sends the same again after so long means it anew: they have looked meanwhile, or forgotten. */
export const INTENT_MS = 10 * 60_000;
/** Requests whose answers are out; the oldest gives way. */
export const MOST_INTENTS = 100;

interface Intent {
  readonly key: string;
  readonly sinceMs: number;
}

export class Intents {
  readonly #intents = new Map<string, Intent>();
  readonly #newKey: () => string;

  constructor(newKey: () => string = randomKey) {
    this.#newKey = newKey;
  }

  /** The key of a request, its own until `settle`. @param nowMs Monotonic. */
  keyOf(request: string, nowMs: number): string {
    const known = this.#intents.get(request);
    if (known !== undefined && nowMs - known.sinceMs < INTENT_MS) return known.key;
    const intent = { key: this.#newKey(), sinceMs: nowMs };
    this.#intents.delete(request);
    this.#intents.set(request, intent);
    const [oldest] = this.#intents.keys();
    if (this.#intents.size > MOST_INTENTS && oldest !== undefined) this.#intents.delete(oldest);
    return intent.key;
  }

  /** The request was answered: the same another time is another intent. */
  settle(request: string): void {
    this.#intents.delete(request);
  }
}

/** 128 bits. Not `randomUUID`: browsers have that over TLS alone, and this also on a plain line. */
function randomKey(): string {
  const octets = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

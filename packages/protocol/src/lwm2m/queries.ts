/** The Uri-Query options of one request: `name=value` or a bare `name` (RFC 7252 §5.10.1). */
import { PeerError } from "../lib/errors.ts";

/** How many options one request may carry. */
const MAX_QUERIES = 64;

export class Queries {
  readonly #values = new Map<string, string | undefined>();
  readonly #code: string;

  /** @throws {PeerError} with `code` for a repeated name or too many options. */
  constructor(uriQuery: readonly string[], code: string) {
    this.#code = code;
    if (uriQuery.length > MAX_QUERIES) throw this.#error("too many query options", { count: uriQuery.length });
    for (const query of uriQuery) {
      const at = query.indexOf("=");
      const name = at < 0 ? query : query.slice(0, at);
      if (this.#values.has(name)) throw this.#error("a parameter twice", { parameter: name.slice(0, 64) });
      this.#values.set(name, at < 0 ? undefined : query.slice(at + 1));
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The value of `name`, or `undefined` when it is absent. @throws {PeerError} when it stands without one. */
  value(name: string): string | undefined {
    const value = this.#values.get(name);
    if (value === undefined && this.#values.has(name)) throw this.#error("a value is missing", { parameter: name });
    return value;
  }

  [Symbol.iterator](): IterableIterator<[string, string | undefined]> {
    return this.#values.entries();
  }

  #error(message: string, facts: Record<string, unknown>): PeerError {
    return new PeerError(this.#code, message, facts);
  }
}

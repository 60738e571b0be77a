/** Lists of links with attributes, format 40 (RFC 6690 §2). */
import { decodeUtf8, encodeUtf8 } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";

/** `name="value"`, `name=value` or a bare `name`. */
export interface LinkAttribute {
  readonly name: string;
  /** Without its quotes and escapes; `undefined` when the name stands alone. */
  readonly value: string | undefined;
  /** Whether the value is, or is to be, quoted: the same attribute comes both ways. */
  readonly quoted: boolean;
}

export interface Link {
  /** What stands between the angle brackets. */
  readonly target: string;
  readonly attributes: readonly LinkAttribute[];
}

/** How many links a peer may send in one list. */
export const DEFAULT_MAX_LINKS = 1_024;

/** How many attributes one link may have; LwM2M defines fewer than twenty. */
const MAX_ATTRIBUTES = 64;

/** The value of the first attribute called `name`; empty for a bare one, `undefined` when there is none. */
export function attributeOf(link: Link, name: string): string | undefined {
  const found = link.attributes.find((attribute) => attribute.name === name);
  return found && (found.value ?? "");
}

/** @throws {UsageError} LINK for a target or attribute that the format cannot hold. */
export function encodeLinks(links: readonly Link[]): Uint8Array {
  return encodeUtf8(formatLinks(links));
}

/** @throws {UsageError} LINK */
export function formatLinks(links: readonly Link[]): string {
  return links.map(formatLink).join(",");
}

function formatLink({ target, attributes }: Link): string {
  if (/[<>\p{Cc}]/u.test(target)) throw new UsageError("LINK", "not a link target", { target });
  return `<${target}>${attributes.map(formatAttribute).join("")}`;
}

function formatAttribute({ name, value, quoted }: LinkAttribute): string {
  if (!ATTRIBUTE_NAME.test(name)) throw new UsageError("LINK", "not an attribute name", { name });
  if (value === undefined) return `;${name}`;
  if (quoted) return `;${name}="${value.replace(/["\\]/g, "\\$&")}"`;
  if (!BARE_VALUE.test(value)) throw new UsageError("LINK", "this attribute value needs quotes", { name, value });
  return `;${name}=${value}`;
}
const ATTRIBUTE_NAME = /^[A-Za-z0-9!#$&+\-.^_`|~*]+$/;
const BARE_VALUE = /^[^\s\p{Cc}",;\\<>]+$/u;

/**
 * Reads a list of links; blanks around separators and an empty list are accepted.
 *
 * @throws {PeerError} LINK_FORMAT
 * @throws {PeerError} TOO_MANY for more than `maxLinks`.
 */
export function decodeLinks(payload: Uint8Array, maxLinks: number = DEFAULT_MAX_LINKS): Link[] {
  const text = decodeUtf8(payload);
  if (text === undefined) throw new PeerError("LINK_FORMAT", "not UTF-8");
  return parseLinks(text, maxLinks);
}

/** @throws {PeerError} LINK_FORMAT, TOO_MANY */
export function parseLinks(text: string, maxLinks: number = DEFAULT_MAX_LINKS): Link[] {
  const scanner = new Scanner(text);
  const links: Link[] = [];
  if (scanner.isDone()) return links;
  do {
    if (links.length >= maxLinks) throw new PeerError("TOO_MANY", "too many links", { maxLinks });
    links.push(readLink(scanner));
  } while (scanner.skip(","));
  if (!scanner.isDone()) throw scanner.error("a comma between links");
  return links;
}

function readLink(scanner: Scanner): Link {
  const target = scanner.take(/\s*<([^<>\p{Cc}]*)>/uy, "a target in angle brackets");
  const attributes: LinkAttribute[] = [];
  while (scanner.skip(";")) {
    if (attributes.length >= MAX_ATTRIBUTES) throw new PeerError("TOO_MANY", "too many attributes", { target });
    attributes.push(readAttribute(scanner));
  }
  return { target, attributes };
}

function readAttribute(scanner: Scanner): LinkAttribute {
  const name = scanner.take(/\s*([A-Za-z0-9!#$&+\-.^_`|~*]+)/y, "an attribute name");
  if (!scanner.skip("=")) return { name, value: undefined, quoted: false };
  if (!scanner.isAt('"'))
    return { name, value: scanner.take(/\s*([^\s\p{Cc}",;\\<>]+)/uy, "an attribute value"), quoted: false };
  const value = scanner.take(/\s*"([^"\\]*(?:\\.[^"\\]*)*)"/sy, "a closing quote");
  return { name, value: value.replace(/\\(.)/gs, "$1"), quoted: true };
}

/** Walks the text once, by sticky expressions that cannot backtrack over more than one piece. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skipBlanks();
  }

  isDone(): boolean {
    this.#skipBlanks();
    return this.#at >= this.#text.length;
  }

  isAt(mark: string): boolean {
    this.#skipBlanks();
    return this.#text.startsWith(mark, this.#at);
  }

  skip(mark: string): boolean {
    if (!this.isAt(mark)) return false;
    this.#at += mark.length;
    return true;
  }

  take(pattern: RegExp, expected: string): string {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) throw this.error(expected);
    this.#at = pattern.lastIndex;
    return match[1] ?? "";
  }

  error(expected: string): PeerError {
    return new PeerError("LINK_FORMAT", `expected ${expected}`, { at: this.#at });
  }

  #skipBlanks(): void {
    while (/\s/.test(this.#text.charAt(this.#at))) this.#at += 1;
  }
}

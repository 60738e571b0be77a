/** Conditional and partial requests for a whole that never changes (RFC 9110 §13, §14). */

export interface RangeRequest {
  readonly range?: string | undefined;
  readonly ifRange?: string | undefined;
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

/** What to answer. `start` and `end` are both included. */
export type RangeAnswer =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly start: number; readonly end: number }
  | { readonly kind: "unsatisfiable" }
  | { readonly kind: "notModified" }
  | { readonly kind: "preconditionFailed" };

/**
 * @param etag The strong entity tag with its quotes.
 * @param sizeBytes Size of the whole, above 0.
 */
export function answerRange(request: RangeRequest, etag: string, sizeBytes: number): RangeAnswer {
  // §13.2.2: If-Match is looked at first, If-Range last.
  if (request.ifMatch !== undefined && !matches(request.ifMatch, etag, false)) return { kind: "preconditionFailed" };
  if (request.ifNoneMatch !== undefined && matches(request.ifNoneMatch, etag, true)) return { kind: "notModified" };
  if (request.range === undefined) return { kind: "whole" };
  // §13.1.5: only a strong match keeps the Range; a date cannot be one.
  if (request.ifRange !== undefined && request.ifRange.trim() !== etag) return { kind: "whole" };
  return partOf(request.range, sizeBytes);
}

/** §13.1.1: `*` or a list of entity tags; a weak one matches only where the weak comparison does (§8.8.3.2). */
function matches(header: string, etag: string, isWeak: boolean): boolean {
  if (header.trim() === "*") return true;
  const tags = header.match(/(W\/)?"[^"]*"/g) ?? [];
  return tags.some((tag) => (isWeak ? tag.replace(/^W\//, "") : tag) === etag);
}

/** §14.2: a Range in another unit, malformed, or of several parts is as if it were not there. */
function partOf(header: string, sizeBytes: number): RangeAnswer {
  const found = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header.trim());
  const [, first = "", last = ""] = found ?? [];
  if (found === null || (first === "" && last === "")) return { kind: "whole" };
  if (first === "") {
    const length = Math.min(Number(last), sizeBytes);
    return length === 0 ? { kind: "unsatisfiable" } : { kind: "part", start: sizeBytes - length, end: sizeBytes - 1 };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return { kind: "whole" };
  if (start >= sizeBytes) return { kind: "unsatisfiable" };
  return { kind: "part", start, end: last === "" ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1) };
}

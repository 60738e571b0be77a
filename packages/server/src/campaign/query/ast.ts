/** A parsed target query as a plain value: matched against one device in memory, or compiled to SQL by the store. */

/** What every device has a value, or no value, for. */
export const QUERY_ATTRIBUTES = {
  endpoint: "text",
  manufacturer: "text",
  model: "text",
  version: "version",
  hardware: "text",
  tags: "text",
  presence: "text",
  cell: "text",
  /** /4/0/2, dBm. */
  signal: "number",
  lastSeen: "instant",
} as const;

export type QueryAttribute = keyof typeof QUERY_ATTRIBUTES;

/** `resource`: any reported single value by its path, "/4/0/2". */
export type QueryField =
  | { readonly kind: "attribute"; readonly name: QueryAttribute }
  | { readonly kind: "resource"; readonly path: string };

export type QueryOperator = "==" | "!=" | "=lt=" | "=le=" | "=gt=" | "=ge=" | "=in=" | "=out=";

/** What a field is compared with, as the field's type reads it. */
export type QueryOperand =
  /** Compared as it is, case and all. For a resource: by value when both are numbers. */
  | { readonly kind: "text"; readonly text: string }
  /** The literal pieces between `*`: "a*b" = ["a", "b"]. Only with ==, !=, =in=, =out=. */
  | { readonly kind: "pattern"; readonly pieces: readonly string[] }
  /** Compared by `compareVersions`. */
  | { readonly kind: "version"; readonly text: string }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "instant"; readonly utcMs: number }
  /** An instant so long before the moment of matching, written "-24h". */
  | { readonly kind: "ago"; readonly ms: number };

/** `=in=` and `=out=` have 1 or more operands, every other operator exactly one. */
export interface Comparison {
  readonly kind: "compare";
  readonly field: QueryField;
  readonly operator: QueryOperator;
  readonly operands: readonly QueryOperand[];
}

/**
 * `and` of no terms is every device.
 *
 * A field that the device has no value for matches `!=` and `=out=` and nothing else. Of several tags, one must match;
 * with `!=` and `=out=` none may.
 */
export type Query =
  | { readonly kind: "and"; readonly terms: readonly Query[] }
  | { readonly kind: "or"; readonly terms: readonly Query[] }
  | Comparison;

/** What a query can ask of a device. Null = not known. */
export interface DeviceFacts {
  readonly endpoint: string;
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly version: string | null;
  readonly hardware: string | null;
  readonly tags: readonly string[];
  readonly presence: "registered" | "expired" | "deregistered";
  readonly lastSeenAtMs: number | null;
  /** /4/0/2. */
  readonly signalDbm: number | null;
  /** /4/0/8. */
  readonly cell: string | null;
  /** Reported single values by path, "/3/0/9". */
  readonly resources: Readonly<Record<string, string | number | boolean>>;
}

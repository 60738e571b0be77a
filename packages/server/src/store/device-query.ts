/** A target query as a condition on the table of devices. It chooses what `matches` chooses for the same device. */

import { compareVersions } from "@airlift/protocol/image/version";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Kysely, type RawBuilder, sql } from "kysely";
import type { Comparison, Query, QueryAttribute, QueryOperand } from "../campaign/query/ast.ts";
import { storableText } from "./database.ts";
import type { Tables } from "./tables.ts";

/** A condition on `devices`. */
export type Condition = RawBuilder<boolean>;

/** Different versions in one fleet that are compared one by one. */
const MOST_VERSIONS = 10_000;

const COLUMNS: Readonly<Record<Exclude<QueryAttribute, "tags">, string>> = {
  endpoint: "devices.endpoint",
  manufacturer: "devices.manufacturer",
  model: "devices.model",
  version: "devices.version",
  hardware: "devices.hardware",
  presence: "devices.presence",
  cell: "devices.cell",
  signal: "devices.signal",
  lastSeen: "devices.last_seen_at",
};

const ORDERS = { "=lt=": "<", "=le=": "<=", "=gt=": ">", "=ge=": ">=" } as const;

const isSatisfied: Readonly<Record<keyof typeof ORDERS | "==", (order: number) => boolean>> = {
  "==": (order) => order === 0,
  "=lt=": (order) => order < 0,
  "=le=": (order) => order <= 0,
  "=gt=": (order) => order > 0,
  "=ge=": (order) => order >= 0,
};

/**
 * The condition of a query. Versions are ordered by our own rules, which no index knows: the few that the fleet runs are
 * read, compared here, and named.
 *
 * @param utcMs The moment that "-24h" counts from.
 * @throws {UsageError} QUERY_TOO_BROAD when the fleet runs more than 10,000 versions and they are to be compared.
 */
export async function compileQuery(tables: Kysely<Tables>, query: Query, utcMs: number): Promise<Condition> {
  const versions = comparesVersions(query) ? await readVersions(tables) : [];
  return compile(query, { versions, utcMs });
}

interface Surroundings {
  readonly versions: readonly string[];
  readonly utcMs: number;
}

function compile(query: Query, around: Surroundings): Condition {
  if (query.kind === "compare") return compileComparison(query, around);
  if (query.terms.length === 0) return query.kind === "and" ? sql`true` : sql`false`;
  const terms = query.terms.map((term) => sql`(${compile(term, around)})`);
  return sql`${sql.join(terms, query.kind === "and" ? sql` and ` : sql` or `)}`;
}

/** What is not there is neither equal nor smaller nor greater: `coalesce` makes SQL's "unknown" a no. */
function compileComparison(comparison: Comparison, around: Surroundings): Condition {
  const { operator, operands } = comparison;
  const isNegated = operator === "!=" || operator === "=out=";
  const some = sql.join(
    operands.map((operand) => sql`(${compileOne(comparison, operand, around)})`),
    sql` or `,
  );
  // A plain condition where it can be: an index sees through it.
  return isNegated ? sql`not coalesce((${some}), false)` : sql`(${some})`;
}

function compileOne({ field, operator }: Comparison, operand: QueryOperand, around: Surroundings): Condition {
  const wanted = operator in ORDERS ? (operator as keyof typeof ORDERS) : "==";
  if (field.kind === "resource") return compileResource(field.path, wanted, operand);
  if (field.name === "tags") return compileTag(wanted, operand);
  const column = sql.ref(COLUMNS[field.name]);
  const symbol = sql.raw(wanted === "==" ? "=" : ORDERS[wanted]);
  switch (operand.kind) {
    case "text":
      return sql`${column} collate "C" ${symbol} ${storableText(operand.text)}`;
    case "pattern":
      return sql`${column} collate "C" like ${likeOf(operand.pieces)}`;
    case "number":
      return sql`${column} ${symbol} ${operand.value}::double precision`;
    case "instant":
      return sql`${column} ${symbol} ${new Date(operand.utcMs).toISOString()}::timestamptz`;
    case "ago":
      return sql`${column} ${symbol} ${new Date(around.utcMs - operand.ms).toISOString()}::timestamptz`;
    case "version": {
      const known = around.versions.filter((one) => isSatisfied[wanted](compareVersions(one, operand.text)));
      return sql`${column} = any(${known}::text[])`;
    }
  }
}

/** Of several tags one has to match. */
function compileTag(wanted: keyof typeof isSatisfied, operand: QueryOperand): Condition {
  if (operand.kind === "text" && wanted === "==") return sql`devices.tags @> ${[storableText(operand.text)]}::text[]`;
  const condition =
    operand.kind === "pattern"
      ? sql`tag collate "C" like ${likeOf(operand.pieces)}`
      : sql`tag collate "C" ${sql.raw(wanted === "==" ? "=" : ORDERS[wanted])} ${textOf(operand)}`;
  return sql`exists (select from unnest(devices.tags) as tag where ${condition})`;
}

/** Numbers by value, and not at all with what is none; everything else as text. */
function compileResource(path: string, wanted: keyof typeof isSatisfied, operand: QueryOperand): Condition {
  const value = sql`(devices.resources -> ${path}::text)`;
  const text = sql`(devices.resources ->> ${path}::text)`;
  if (operand.kind === "pattern") return sql`${text} collate "C" like ${likeOf(operand.pieces)}`;
  const given = textOf(operand);
  const number = given === "" ? Number.NaN : Number(given);
  const symbol = sql.raw(wanted === "==" ? "=" : ORDERS[wanted]);
  const byValue = Number.isNaN(number)
    ? sql`false`
    : sql`${text}::double precision ${symbol} ${number}::double precision`;
  // The cast is made for numbers alone: a case is evaluated in its order.
  return sql`case jsonb_typeof(${value}) when 'number' then ${byValue}
    else ${text} collate "C" ${symbol} ${given} end`;
}

const textOf = (operand: QueryOperand): string =>
  operand.kind === "text" || operand.kind === "version" ? storableText(operand.text) : "";

const likeOf = (pieces: readonly string[]): string =>
  pieces.map((piece) => storableText(piece).replace(/[\\%_]/g, (special) => `\\${special}`)).join("%");

function comparesVersions(query: Query): boolean {
  if (query.kind !== "compare") return query.terms.some(comparesVersions);
  return query.operands.some(({ kind }) => kind === "version");
}

/** Hops along the index from one version to the next: as many steps as there are versions, not devices. */
async function readVersions(tables: Kysely<Tables>): Promise<string[]> {
  const { rows } = await sql<{ version: string }>`
    with recursive hop as (
      (select version from devices where version is not null order by version limit 1)
      union all
      select (select version from devices where version > hop.version order by version limit 1) from hop
      where hop.version is not null)
    select version from hop where version is not null limit ${MOST_VERSIONS + 1}`.execute(tables);
  if (rows.length > MOST_VERSIONS)
    throw new UsageError(
      "QUERY_TOO_BROAD",
      `the fleet runs more than ${MOST_VERSIONS} versions; name them by a pattern`,
    );
  return rows.map(({ version }) => version);
}

/** Types of columns that kysely is told of. */
import type { ColumnType } from "kysely";

/** A timestamptz: read as a Date, written as one or left to its default. */
export type Instant = ColumnType<Date, Date | string | undefined, Date | string>;
/** An instant that may be missing. */
export type MaybeInstant = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
/** A jsonb column: read as the value, written as its JSON text. */
export type Json<Value> = ColumnType<Value, string | undefined, string>;

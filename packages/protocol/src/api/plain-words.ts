/** What is wrong with a value, told to whoever wrote it: what was expected, and what is there instead. */
import type { z } from "zod";

/** As zod's error map: for one parse (`error`), or as its language (`localeError`). A schema's own message goes before this. */
export function plainWords(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? `is missing: ${THINGS[issue.expected] ?? issue.expected} is expected`
        : `${shown(issue.input)} is not ${THINGS[issue.expected] ?? issue.expected}`;
    case "too_small":
      return limitText(issue, { limit: issue.minimum, most: "at least", isInclusive: issue.inclusive !== false });
    case "too_big":
      return limitText(issue, { limit: issue.maximum, most: "at most", isInclusive: issue.inclusive !== false });
    case "invalid_value":
      return `${shown(issue.input)} is none of ${issue.values.map(String).join(", ")}`;
    case "invalid_key":
      return "there is no such member";
    case "unrecognized_keys":
      return `there is no member ${issue.keys.join(", ")}`;
    default:
      return `${shown(issue.input)} is not what is expected here`;
  }
}

const THINGS: Readonly<Record<string, string>> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a group of members, name: value",
  record: "a group of members, name: value",
};

/** Of what a limit counts the pieces. */
const PIECES: Readonly<Record<string, string>> = { string: " characters", array: " entries" };

function limitText(
  { origin, input }: { readonly origin: string; readonly input?: unknown },
  {
    limit,
    most,
    isInclusive,
  }: { readonly limit: number | bigint; readonly most: string; readonly isInclusive: boolean },
): string {
  const bound = isInclusive ? `${most} ${limit}` : `${most === "at most" ? "less" : "more"} than ${limit}`;
  const pieces = PIECES[origin];
  if (pieces === undefined) return `${shown(input)} has to be ${bound}`;
  const length = typeof input === "string" || Array.isArray(input) ? `${input.length}` : "so many";
  return `has ${length}${pieces}, and there have to be ${bound}`;
}

/** Longer values are cut. */
const MOST_SHOWN = 40;

function shown(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "a group of members";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}

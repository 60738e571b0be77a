/** One setting: where it comes from, and what its text means. */

/** Either what a source's value means, or why it means nothing. */
export type Parsed = { readonly value: unknown } | { readonly problem: string };

/** A setting by its name in the configuration file. */
export interface Setting {
  readonly flag: string;
  /** Names in the environment, the first that is set wins. */
  readonly environment: readonly string[];
  readonly fallback: unknown;
  parse(value: unknown): Parsed;
}

/** One for each member of a configuration. */
export type Settings<Config> = Readonly<Record<keyof Config, Setting>>;

/** A value as a message shows it. */
export const shown = (value: unknown): string => JSON.stringify(value) ?? String(value);

/** Any text but an empty one. */
export function text(value: unknown): Parsed {
  return typeof value === "string" && value !== "" ? { value } : { problem: `${shown(value)} is not a text` };
}

/** A whole number, or digits. */
export function wholeNumber(maximum: number, minimum = 0): (value: unknown) => Parsed {
  return (given) => {
    const value = typeof given === "string" && /^\d+$/.test(given) ? Number(given) : given;
    if (Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum) return { value };
    return { problem: `${shown(given)} is not a whole number of ${minimum} … ${maximum}` };
  };
}

/** True or false, as JSON or as a variable has it. */
export function yesOrNo(given: unknown): Parsed {
  if (typeof given === "boolean") return { value: given };
  if (given === "1" || given === "true") return { value: true };
  if (given === "0" || given === "false") return { value: false };
  return { problem: `${shown(given)} is neither true nor false` };
}

/** A list, or in the environment parts joined by commas. */
export function list(what: string): (given: unknown) => Parsed {
  return (given) => {
    const parts = typeof given === "string" ? given.split(",").filter((part) => part !== "") : given;
    const isList = Array.isArray(parts) && parts.every((part) => typeof part === "string" && part !== "");
    return isList ? { value: parts } : { problem: `${shown(given)} is not a list of ${what}` };
  };
}

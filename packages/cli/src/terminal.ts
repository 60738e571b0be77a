/** Where a command's words go: its result to stdout, everything else to stderr. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { Client } from "./client.ts";

/** What every client command is given on the command line. */
export interface GlobalOptions {
  readonly url: string;
  readonly token?: string;
  readonly json?: boolean;
}

export const DEFAULT_URL = "http://127.0.0.1:8080";

/** Adds the options of every client command to the program; they may stand before or behind the command's name. */
export function addGlobalOptions(program: Command): void {
  program
    .addOption(new Option("--url <url>", "base URL of the server").env("AIRLIFT_URL").default(DEFAULT_URL))
    .addOption(new Option("--token <token>", "token to show the server").env("AIRLIFT_TOKEN"))
    .option("--json", "print one JSON document on stdout");
}

export const clientOf = (command: Command): Client => {
  const { url, token } = command.optsWithGlobals<GlobalOptions>();
  return new Client({ url, token });
};

/** Prints a result: as JSON when that was asked for, else as `text`. */
export function printResult(command: Command, result: unknown, text: () => string): void {
  const isJson = command.optsWithGlobals<GlobalOptions>().json === true;
  process.stdout.write(isJson ? `${JSON.stringify(result)}\n` : text());
}

/** Says something that is not the result. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Collects an option that may be given more than once. */
export const collected = (value: string, earlier: readonly string[] = []): string[] => [...earlier, value];

/** Reads a whole number of `minimum` or more. */
export function wholeNumber(minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < minimum)
      throw new InvalidArgumentError(`It is a whole number from ${minimum} on.`);
    return value;
  };
}

/** Where a command's words go: its result to stdout, everything else to stderr. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { UsageError } from "@airlift/protocol/lib/errors";
import { type Command, InvalidArgumentError, Option } from "commander";
import { Client } from "./client.ts";

/** What every client command is given on the command line. */
export interface GlobalOptions {
  readonly url: string;
  readonly token?: string;
  readonly ca?: string;
  readonly json?: boolean;
}

export const DEFAULT_URL = "http://127.0.0.1:8080";

/** Adds the options of every client command to the program; they may stand before or behind the command's name. */
export function addGlobalOptions(program: Command): void {
  program
    .addOption(new Option("--url <url>", "base URL of the server").env("AIRLIFT_URL").default(DEFAULT_URL))
    .addOption(new Option("--token <token>", "token to show the server").env("AIRLIFT_TOKEN"))
    .addOption(
      new Option("--ca <file>", "authority (PEM) of the server's certificate, besides the usual ones").env(
        "AIRLIFT_CA",
      ),
    )
    .option("--json", "print one JSON document on stdout");
}

export const clientOf = (command: Command): Client => {
  const { url, token, ca } = command.optsWithGlobals<GlobalOptions>();
  if (ca !== undefined) trustAuthority(ca);
  // A variable that is set to nothing is no token.
  return new Client({ url, token: token || undefined });
};

/** @throws {UsageError} FILE when the file holds no certificate. */
function trustAuthority(file: string): void {
  try {
    const pem = readFileSync(file, "utf8");
    new X509Certificate(pem);
    setDefaultCACertificates([...getCACertificates("default"), pem]);
  } catch (error) {
    throw new UsageError("FILE", `--ca ${file}: ${(error as Error).message}`, {}, { cause: error });
  }
}

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

/** Reads a whole number of `minimum` or more, and no more than `maximum` if there is one. */
export function wholeNumber(minimum: number, maximum = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const range = maximum === Number.MAX_SAFE_INTEGER ? `from ${minimum} on` : `from ${minimum} to ${maximum}`;
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < minimum || value > maximum)
      throw new InvalidArgumentError(`It is a whole number ${range}.`);
    return value;
  };
}

/** Reads a share, 0 … `maximum`. */
export function share(maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d*\.?\d+$/.test(text) || value > maximum)
      throw new InvalidArgumentError(`It is a share from 0 to ${maximum}, such as 0.05.`);
    return value;
  };
}

/** Of what a link that is tried out may lose. */
export const LARGEST_TRIED_LOSS = 0.99;

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Reads a duration, "90d", "12h", "30m", "45s", "2w"; in seconds. */
export function durationS(text: string): number {
  const [, count = "", unit = ""] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const seconds = Number(count) * (UNIT_SECONDS[unit] ?? Number.NaN);
  if (count === "" || !Number.isSafeInteger(seconds) || seconds === 0)
    throw new InvalidArgumentError("It is a number from 1 on and a unit: 45s, 30m, 12h, 90d, 2w.");
  return seconds;
}

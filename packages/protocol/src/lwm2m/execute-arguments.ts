/** Arguments of an Execute: `0='x',2` (LwM2M Core 1.2 §6.3.5). */
import { decodeUtf8, encodeUtf8 } from "../lib/bytes.ts";
import { PeerError, UsageError } from "../lib/errors.ts";

/** Values by digit 0..9; `undefined` is an argument without a value. Values hold no single quote. */
export type ExecuteArguments = ReadonlyMap<number, string | undefined>;

export const NO_ARGUMENTS: ExecuteArguments = new Map();

/** @throws {UsageError} ARGUMENTS */
export function encodeArguments(given: ExecuteArguments): Uint8Array {
  const list = [...given].map(([digit, value]) => {
    if (!Number.isInteger(digit) || digit < 0 || digit > 9 || (value !== undefined && !VALUE.test(value)))
      throw new UsageError("ARGUMENTS", "an argument is a digit from 0 to 9 and a text without a single quote", {
        digit,
        value,
      });
    return value === undefined ? String(digit) : `${digit}='${value}'`;
  });
  return encodeUtf8(list.join(","));
}
const VALUE = /^[^']*$/u;

/** @throws {PeerError} ARGUMENTS for anything outside the grammar, and for a digit that comes twice. */
export function decodeArguments(payload: Uint8Array): ExecuteArguments {
  const text = decodeUtf8(payload);
  if (text === undefined) throw new PeerError("ARGUMENTS", "not UTF-8");
  const found = new Map<number, string | undefined>();
  const argument = /([0-9])(?:='([^']*)')?(,|$)/uy;
  while (argument.lastIndex < text.length) {
    const at = argument.lastIndex;
    const [, digit, value, separator] = argument.exec(text) ?? [];
    const endsOpen = separator === "," && argument.lastIndex === text.length;
    if (digit === undefined || endsOpen || found.has(Number(digit)))
      throw new PeerError("ARGUMENTS", "not an argument", { at });
    found.set(Number(digit), value);
  }
  return found;
}

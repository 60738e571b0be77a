/** Comma-separated values (RFC 4180) as the console and the command line write them: for people's spreadsheets, and to be read again. */

/** What a spreadsheet takes for a formula: devices choose their own names, and must not run anything at an operator's desk. */
const FORMULA = /^'*[=+\-@\t\r\n＝＋－＠]/;
const NUMBER = /^[+-]?\d+(\.\d+)?$/;

/** One line without its end. What would be a formula is marked as text by a quote in front; `readCsvText` takes that away again. */
export function encodeCsvLine(values: readonly string[]): string {
  return values
    .map((value) => (FORMULA.test(value) && !NUMBER.test(value) ? `'${value}` : value))
    .map((text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text))
    .join(",");
}

/** A value as it was before `encodeCsvLine` marked it. */
export const readCsvText = (text: string): string =>
  text.startsWith("'") && FORMULA.test(text) ? text.slice(1) : text;

/** Comma-separated values, as spreadsheets read them. */

/** One line (RFC 4180). What a spreadsheet would take for a formula is told to be text: devices choose their own names. */
export function csvLine(values: readonly string[]): string {
  const cells = values.map((value) => {
    const text = /^[=+\-@\t\r]/.test(value) && !/^[+-]?\d+(\.\d+)?$/.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return `${cells.join(",")}\r\n`;
}

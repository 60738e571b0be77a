/** What a benchmark is, and how its rows are printed. */

/** Measured values by name, such as `requestsPerSecond`. Units are part of the name. */
export type Figures = Readonly<Record<string, number>>;

export interface BenchRow {
  readonly name: string;
  /** Rows with the same group are compared with its first row. */
  readonly group: string;
  /** The figure that is compared. */
  readonly compare: string;
  /** Measures once, in processes of its own; `undefined` when what it needs is not installed. */
  measure(): Promise<Figures | undefined>;
}

export interface RowResult {
  readonly name: string;
  readonly group: string;
  /** Median of each figure over all rounds. */
  readonly figures: Figures;
  /** Median over the rounds of the compared figure, divided by that of the group's first row in the same round. */
  readonly ratio: number | undefined;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** Measures all rows `rounds` times, one round after the other: what disturbs the machine then disturbs all rows alike. */
export async function measureRows(rows: readonly BenchRow[], rounds: number): Promise<RowResult[]> {
  const measured = new Map<BenchRow, Figures[]>();
  for (let round = 1; round <= rounds; round += 1) {
    for (const row of rows) {
      process.stderr.write(`round ${round} of ${rounds}: ${row.name}\n`);
      const figures = await row.measure();
      if (figures) measured.set(row, [...(measured.get(row) ?? []), figures]);
    }
  }
  const results: RowResult[] = [];
  for (const [row, samples] of measured) {
    const first = measured.get(rows.find(({ group }) => group === row.group) ?? row) ?? [];
    const ratios = samples.map((sample, i) => (sample[row.compare] ?? 0) / (first[i]?.[row.compare] ?? Number.NaN));
    const names = Object.keys(samples[0] ?? {});
    const figures = Object.fromEntries(names.map((name) => [name, median(samples.map((sample) => sample[name] ?? 0))]));
    results.push({ name: row.name, group: row.group, figures, ratio: samples === first ? undefined : median(ratios) });
  }
  return results;
}

/** One line a row: its name, its figures, and its ratio to the first row of its group. */
export function formatTable(results: readonly RowResult[]): string {
  const lines = results.map(({ name, figures, ratio }) => {
    const values = Object.entries(figures).map(([figure, value]) => `${figure} ${formatNumber(value)}`);
    return [name, ratio === undefined ? "" : `× ${ratio.toFixed(2)}`, values.join(" · ")];
  });
  const widths = [0, 1].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map(
      ([name = "", ratio = "", values]) =>
        `${name.padEnd(widths[0] ?? 0)}  ${ratio.padStart(widths[1] ?? 0)}  ${values}`,
    )
    .join("\n");
}

/** The same as a Markdown table. */
export function formatMarkdown(results: readonly RowResult[]): string {
  const rows = results.map(({ name, figures, ratio }) => {
    const values = Object.entries(figures).map(([figure, value]) => `${figure} ${formatNumber(value)}`);
    return `| ${name} | ${ratio === undefined ? "" : ratio.toFixed(2)} | ${values.join("<br>")} |`;
  });
  return ["| row | × first of its group | figures |", "|---|---|---|", ...rows].join("\n");
}

function formatNumber(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

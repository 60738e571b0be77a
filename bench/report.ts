/** What a benchmark is, and how its rows are printed. */

/** Measured values by name, such as `requestsPerSecond`. Units are part of the name. */
export type Figures = Readonly<Record<string, number>>;

export interface BenchRow {
  readonly name: string;
  /** Rows with the same group are compared with its first row. */
  readonly group: string;
  /** The figure that is compared. */
  readonly compare: string;
  /** What figures are to reach, or to stay below, by name. */
  readonly limits?: Readonly<Record<string, Limit>> | undefined;
  /** Measures once, in processes of its own; `undefined` when what it needs is not installed. */
  measure(): Promise<Figures | undefined>;
}

/** The bound that a figure is to keep. */
export interface Limit {
  readonly least?: number;
  readonly most?: number;
}

export interface RowResult {
  readonly name: string;
  readonly group: string;
  /** Median of each figure over all rounds. */
  readonly figures: Figures;
  /** Median over the rounds of the compared figure, divided by that of the group's first row in the same round. */
  readonly ratio: number | undefined;
  readonly limits: Readonly<Record<string, Limit>>;
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
    results.push({
      name: row.name,
      group: row.group,
      figures,
      ratio: samples === first ? undefined : median(ratios),
      limits: row.limits ?? {},
    });
  }
  return results;
}

/** One line a row: its name, its figures, and its ratio to the first row of its group. */
export function formatTable(results: readonly RowResult[]): string {
  const lines = results.map((result) => {
    const { name, ratio } = result;
    return [name, ratio === undefined ? "" : `× ${ratio.toFixed(2)}`, valuesOf(result).join(" · ")];
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
  const rows = results.map((result) => {
    const { name, ratio } = result;
    return `| ${name} | ${ratio === undefined ? "" : ratio.toFixed(2)} | ${valuesOf(result).join("<br>")} |`;
  });
  return ["| row | × first of its group | figures |", "|---|---|---|", ...rows].join("\n");
}

/** Each figure with its value, and its limit where there is one. */
function valuesOf({ figures, limits }: RowResult): string[] {
  return Object.entries(figures).map(([figure, value]) => {
    const limit = limits[figure];
    return `${figure} ${formatNumber(value)}${limit === undefined ? "" : ` (${formatLimit(limit, value)})`}`;
  });
}

function formatLimit({ least, most }: Limit, value: number): string {
  const isKept = value >= (least ?? Number.NEGATIVE_INFINITY) && value <= (most ?? Number.POSITIVE_INFINITY);
  const bounds = [
    least === undefined ? [] : `≥ ${formatNumber(least)}`,
    most === undefined ? [] : `≤ ${formatNumber(most)}`,
  ];
  return `limit ${bounds.flat().join(" and ")}: ${isKept ? "kept" : "MISSED"}`;
}

function formatNumber(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

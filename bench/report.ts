/** Medians, ratios and ranges of the results, as Markdown tables. */

/** Label of the column that the ratios are of. */
export const OURS = "satsuma";
/** Another column of ours: Satsuma past the page cache. */
export const OURS_DIRECT = "satsuma-direct";

/** One line of a table: what is measured and how good is good enough. */
export interface Row {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  /** Default: higher. */
  readonly better?: "higher" | "lower";
  /** Ratio of ours to a peer's to reach (not to exceed where lower is better), by label. */
  readonly bar?: Readonly<Record<string, number>>;
  /** Our median must not be worse than this, in the row's unit. */
  readonly limit?: number;
  /** Another row that ours is compared with, and the ratio to it. */
  readonly than?: { readonly row: string; readonly bar?: number };
}

/** One measurement. */
export interface Figure {
  readonly row: string;
  /** What was measured: the column of the table. */
  readonly subject: string;
  readonly round: number;
  /** Where there are several runs: ratios are of one run each. */
  readonly run?: number;
  /** In the row's unit. */
  readonly value: number;
}

export interface ReportTable {
  /** Its place in docs/performance.md. */
  readonly id: string;
  readonly title: string;
  readonly markdown: string;
}

export interface Cell {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Middle value; the mean of the two middle ones for an even count. */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const high = sorted[Math.floor(middle)] ?? Number.NaN;
  const low = sorted[Math.ceil(middle) - 1] ?? Number.NaN;
  return (low + high) / 2;
}

/** The value that a part (0 to 1) of the values does not exceed; NaN of none. */
export function quantileOf(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

/** Median and range of one row of one subject; undefined when it was not measured. */
export function summarize(
  figures: readonly Figure[],
  row: string,
  subject: string,
): Cell | undefined {
  const values = figures
    .filter((figure) => figure.row === row && figure.subject === subject)
    .map(({ value }) => value);
  if (values.length === 0) return undefined;
  return { median: medianOf(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Whom a column of ours is compared with. */
export interface Peer {
  readonly name: string;
  /** The column of ours. */
  readonly ours: string;
}

/**
 * The table: a row per workload, a column per subject, then ours as a multiple of each peer, of
 * another row and against its limit, where there is any of that.
 */
export function formatTable(
  figures: readonly Figure[],
  rows: readonly Row[],
  subjects: readonly string[],
  peers: readonly Peer[],
): string {
  const shown = subjects.filter((subject) => figures.some((figure) => figure.subject === subject));
  const compared = peers.filter(({ name, ours }) => shown.includes(ours) && shown.includes(name));
  const hasThan = rows.some(({ than }) => than !== undefined);
  const hasLimit = rows.some(({ limit }) => limit !== undefined);
  const header = [
    "workload",
    "unit",
    ...shown,
    ...compared.map(({ name, ours }) => `${ours === OURS ? "" : `${ours} `}vs ${name}`),
    ...(hasThan ? ["vs own"] : []),
    ...(hasLimit ? ["bar"] : []),
  ];
  const lines = rows.map((row) => [
    row.description,
    row.unit,
    ...shown.map((subject) => formatCell(summarize(figures, row.name, subject))),
    ...compared.map((peer) => formatRatio(figures, row, peer)),
    ...(hasThan ? [formatThan(figures, row)] : []),
    ...(hasLimit ? [formatLimit(figures, row)] : []),
  ]);
  return formatMarkdown(header, lines);
}

/** A number with few digits and spaces between thousands. */
export function formatNumber(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0).replace(/\B(?=(\d{3})+$)/g, " ");
}

export function formatMarkdown(
  header: readonly string[],
  lines: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = header.map((_, index) => (index === 0 ? "---" : "---:"));
  return [line(header), line(rule), ...lines.map(line)].join("\n");
}

function formatCell(cell: Cell | undefined): string {
  if (cell === undefined) return "-";
  return `${formatNumber(cell.median)} (${formatNumber(cell.min)}-${formatNumber(cell.max)})`;
}

function formatRatio(figures: readonly Figure[], row: Row, peer: Peer): string {
  const ours = { row: row.name, subject: peer.ours };
  const ratios = ratiosOf(figures, ours, { row: row.name, subject: peer.name });
  return formatRatios(ratios, formatVerdict(row, ratios, row.bar?.[peer.name]));
}

function formatThan(figures: readonly Figure[], row: Row): string {
  if (row.than === undefined) return "-";
  const ours = { row: row.name, subject: OURS };
  const other = { row: row.than.row, subject: OURS };
  const ratios = ratiosOf(figures, ours, other);
  const median = summarize(figures, other.row, OURS)?.median ?? Number.NaN;
  const text = ` of ${row.than.row} (${formatNumber(median)})`;
  return formatRatios(ratios, text + formatVerdict(row, ratios, row.than.bar));
}

/** A median over another one, of each run that has both. */
function ratiosOf(
  figures: readonly Figure[],
  above: Pick<Figure, "row" | "subject">,
  below: Pick<Figure, "row" | "subject">,
): number[] {
  const runs = [...Map.groupBy(figures, ({ run = 0 }) => run).values()];
  return runs.flatMap((own) => {
    const top = summarize(own, above.row, above.subject);
    const bottom = summarize(own, below.row, below.subject);
    return top === undefined || bottom === undefined ? [] : [top.median / bottom.median];
  });
}

/** `2.50x`, or the ratio of each run: `2.50, 2.43, 2.61x`. */
function formatRatios(ratios: readonly number[], more: string): string {
  if (ratios.length === 0) return "-";
  return `${ratios.map((ratio) => ratio.toFixed(2)).join(", ")}x${more}`;
}

function formatLimit(figures: readonly Figure[], row: Row): string {
  const ours = summarize(figures, row.name, OURS);
  if (row.limit === undefined || ours === undefined) return "-";
  const sign = row.better === "lower" ? "≤" : "≥";
  return `${sign} ${formatNumber(row.limit)}: ${isGood(row, ours.median, row.limit)}`;
}

function formatVerdict(row: Row, ratios: readonly number[], bar: number | undefined): string {
  if (bar === undefined) return "";
  const met = ratios.filter((ratio) => isGood(row, ratio, bar) === "met").length;
  const isSplit = met > 0 && met < ratios.length;
  const verdict = isSplit ? `met in ${met} of ${ratios.length}` : met > 0 ? "met" : "missed";
  return ` (bar ${bar}: ${verdict})`;
}

function isGood(row: Row, value: number, bar: number): "met" | "missed" {
  return (row.better === "lower" ? value <= bar : value >= bar) ? "met" : "missed";
}

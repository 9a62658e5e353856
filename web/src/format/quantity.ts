/** Sizes, rates and counts as text: binary units to show, decimal ones to explain. */

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const DECIMAL_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

const scale = (bytes: number, base: number): { readonly value: number; readonly power: number } => {
  let value = bytes;
  let power = 0;
  while (value >= base && power < BINARY_UNITS.length - 1) {
    value /= base;
    power += 1;
  }
  return { value, power };
};

const digitsOf = (value: number, power: number): number => {
  if (power === 0) {
    return 0;
  }
  return value < 10 ? 2 : 1;
};

/** `1.5 GiB`; whole numbers without decimals, as `256 MiB`. */
export function formatBytes(bytes: number): string {
  const { value, power } = scale(bytes, 1024);
  return `${Number(value.toFixed(digitsOf(value, power)))} ${BINARY_UNITS[power]}`;
}

/** The same size as disk makers count it, and exactly: `1.61 GB (1,610,612,736 bytes)`. */
export function formatBytesDecimal(bytes: number): string {
  const { value, power } = scale(bytes, 1000);
  const exact = `${formatCount(bytes)} bytes`;
  return power === 0
    ? exact
    : `${Number(value.toFixed(digitsOf(value, power)))} ${DECIMAL_UNITS[power]} (${exact})`;
}

/** `58.7 MiB/s`, always with one decimal, so that a changing rate does not jump about. */
export function formatRate(bytesPerSecond: number): string {
  const { value, power } = scale(bytesPerSecond, 1024);
  return `${value.toFixed(power === 0 ? 0 : 1)} ${BINARY_UNITS[power]}/s`;
}

/** `1,234`. */
export function formatCount(count: number): string {
  return new Intl.NumberFormat("en").format(count);
}

/** `41.0 %`, never more than 100, rounded down: 100.0 % means done. */
export function formatPercent(percent: number): string {
  return `${(Math.floor(Math.min(100, percent) * 10) / 10).toFixed(1)} %`;
}

/** Bytes in `amount` of a unit; null unless that is a whole number of bytes above 0. */
export function bytesOf(amount: string, unit: "MiB" | "GiB" | "TiB"): number | null {
  const factor = { MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 }[unit];
  const bytes = Math.round(Number(amount.trim()) * factor);
  return amount.trim() !== "" && Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
}

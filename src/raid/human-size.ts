/** Sizes as mdadm writes them for people. Source: mdadm util.c human_size; bitmap.c; measured. */

const MIB = 2n ** 20n;
const GIB = 2n ** 30n;
const TIB = 2n ** 40n;
const CHUNK_SUFFIXES = ["B", "KB", "MB", "GB", "TB", "PB"] as const;

/** ` (63.00 MiB 66.06 MB)`, with its leading space; empty below 5000 KiB. */
export function humanSize(sizeBytes: number): string {
  const bytes = BigInt(sizeBytes);
  if (bytes < 5000n * 1024n) return "";
  if (bytes < 2n * GIB) return pair(bytes, MIB, "MiB", 1_000_000n, "MB");
  if (bytes < 2n * TIB) return pair(bytes, GIB, "GiB", 1_000_000_000n, "GB");
  return pair(bytes, TIB, "TiB", 1_000_000_000_000n, "TB");
}

/** `64 MB`: whole units, rounded down, as mdadm prints bitmap chunks. */
export function humanChunk(sizeBytes: number): string {
  let size = sizeBytes;
  let unit = 0;
  while (size >= 1024 && unit + 1 < CHUNK_SUFFIXES.length) {
    size = Math.floor(size / 1024);
    unit += 1;
  }
  return `${size} ${CHUNK_SUFFIXES[unit]}`;
}

function pair(bytes: bigint, binary: bigint, binaryName: string, ten: bigint, tenName: string) {
  const inBinary = hundredths(bytes, binary);
  return ` (${inBinary} ${binaryName} ${hundredths(bytes, ten)} ${tenName})`;
}

/** Rounded to hundredths as mdadm does: half a hundredth up. */
function hundredths(bytes: bigint, unit: bigint): string {
  const count = unit % 10n === 0n ? bytes / (unit / 200n) : (bytes * 200n) / unit;
  const value = (count + 1n) / 2n;
  return `${value / 100n}.${String(value % 100n).padStart(2, "0")}`;
}

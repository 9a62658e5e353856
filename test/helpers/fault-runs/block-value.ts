/**
 * What clients write in fault runs: each 512 bytes of a block say which block they belong to, which
 * write they are of, and by which attempt of it they came, so that a read tells whose bytes it saw.
 */

/** Bytes of a block: what one write of a client replaces as a whole. */
export const BLOCK_BYTES = 4096;
const SECTOR_BYTES = 512;
const SECTOR_WORDS = SECTOR_BYTES / 4;
const MAGIC = 0x5a75_3a01;

/** One block's content. A write that is asked for again is another attempt of the same write. */
export interface BlockValue {
  readonly block: number;
  /** Number of the write, from 1; 0: nobody has written here. */
  readonly write: number;
  readonly attempt: number;
}

const mix = (block: number, write: number, attempt: number): number =>
  (Math.imul(block, 0x9e37_79b1) ^
    Math.imul(write, 0x85eb_ca6b) ^
    Math.imul(attempt, 0xc2b2_ae35)) >>>
  0;

/** The bytes of one block. */
export function encodeBlock({ block, write, attempt }: BlockValue): Uint8Array {
  const words = new Uint32Array(BLOCK_BYTES / 4).fill(mix(block, write, attempt));
  for (let at = 0; at < words.length; at += SECTOR_WORDS) {
    words[at] = MAGIC;
    words[at + 1] = block;
    words[at + 2] = write;
    words[at + 3] = attempt;
  }
  return new Uint8Array(words.buffer);
}

/**
 * The different values that a block's sectors hold, one if it was written as a whole. Null: there
 * are bytes that nobody wrote. `torn`: values that may share a sector, two at most: the page of a
 * file may be read while it is written, which no disk does to a sector.
 */
export function decodeBlock(
  bytes: Uint8Array,
  torn: readonly BlockValue[] = [],
): BlockValue[] | null {
  const words = new Uint32Array(Uint8Array.from(bytes).buffer);
  const values: BlockValue[] = [];
  for (let at = 0; at < words.length; at += SECTOR_WORDS) {
    const sector = words.subarray(at, at + SECTOR_WORDS);
    const whole = decodeSector(sector);
    const found = whole === null ? decodeTorn(sector, torn) : [whole];
    if (found === null) return null;
    for (const value of found)
      if (!values.some((other) => isSame(other, value))) values.push(value);
  }
  return values;
}

const isSame = (one: BlockValue, other: BlockValue): boolean =>
  one.block === other.block && one.write === other.write && one.attempt === other.attempt;

const sectorOf = (value: BlockValue): Uint32Array =>
  value.write === 0
    ? new Uint32Array(SECTOR_WORDS)
    : new Uint32Array(encodeBlock(value).buffer, 0, SECTOR_WORDS);

const decodeTorn = (words: Uint32Array, torn: readonly BlockValue[]): BlockValue[] | null => {
  const shown = torn
    .map((value) => ({ value, sector: sectorOf(value) }))
    .filter(({ sector }) => words.some((word, at) => at >= 4 && word === sector[at]));
  for (const [at, one] of shown.entries())
    for (const other of shown.slice(at + 1))
      if (words.every((word, at) => word === one.sector[at] || word === other.sector[at]))
        return [one.value, other.value];
  return null;
};

const decodeSector = (words: Uint32Array): BlockValue | null => {
  const [magic = 0, block = 0, write = 0, attempt = 0] = words;
  const isBlank = words.every((word) => word === 0);
  if (isBlank) return { block: -1, write: 0, attempt: 0 };
  const filler = mix(block, write, attempt);
  const isWhole = magic === MAGIC && words.subarray(4).every((word) => word === filler);
  return isWhole ? { block, write, attempt } : null;
};

/**
 * The raid10 layout word and what follows from it: copies, sizes, survival, and which sectors of
 * which raid slots hold an array sector. Sizes and positions are in sectors.
 *
 * Word: bits 0-7 near copies, 8-15 far copies, 16 "offset", 17-18 far-set mode.
 * Source: drivers/md/raid10.c setup_geo, __raid10_find_phys; mdadm util.c parse_layout_10.
 */

const OFFSET_FLAG = 0x1_0000;
const COPIES_MAX = 0xff;

/** A decoded layout word together with the array it belongs to. */
export interface Raid10Geometry {
  readonly raidDisks: number;
  readonly chunkSectors: number;
  readonly nearCopies: number;
  readonly farCopies: number;
  readonly isOffset: boolean;
  /** Raid slots over which far copies rotate; all of them unless the far-set bits are set. */
  readonly farSetSize: number;
}

/** One copy of an array sector. */
export interface Raid10Copy {
  readonly raidSlot: number;
  /** Sector behind the member's data offset. */
  readonly sector: number;
}

/** The word for `n2`, `f2`, `o3` …, or null when the text is no layout. */
export function parseRaid10Layout(text: string): number | null {
  const match = /^([nfo])([0-9]{1,3})$/.exec(text);
  if (match === null) return null;
  const copies = Number(match[2]);
  if (copies < 1 || copies > COPIES_MAX) return null;
  if (match[1] === "n") return 0x100 | copies;
  const far = (copies << 8) | 1;
  return match[1] === "o" ? OFFSET_FLAG | far : far;
}

/** mdadm's words for a layout: `near=2`, `far=2`, `near=2, offset=2`. */
export function formatRaid10Layout(layout: number): string {
  const near = layout & COPIES_MAX;
  const far = (layout >> 8) & COPIES_MAX;
  if (near * far === 1) return "NO REDUNDANCY";
  const words: string[] = [];
  if (near !== 1) words.push(`near=${near}`);
  if (far !== 1) words.push(`${(layout & OFFSET_FLAG) === 0 ? "far" : "offset"}=${far}`);
  return words.join(", ");
}

/**
 * The geometry of a layout word, or null when md would refuse it: unknown bits, no copies, more
 * copies than raid slots, a chunk that is no power of two of at least 4 KiB.
 */
export function raid10Geometry(
  layout: number,
  raidDisks: number,
  chunkSectors: number,
): Raid10Geometry | null {
  const nearCopies = layout & COPIES_MAX;
  const farCopies = (layout >> 8) & COPIES_MAX;
  const copies = nearCopies * farCopies;
  if (layout >>> 19 !== 0 || copies < 2 || copies > raidDisks) return null;
  if (chunkSectors < 8 || (chunkSectors & (chunkSectors - 1)) !== 0) return null;
  const farSetSize = farSetSizeOf(layout >> 17, raidDisks, nearCopies, farCopies);
  if (farSetSize === null) return null;
  const isOffset = (layout & OFFSET_FLAG) !== 0;
  return { raidDisks, chunkSectors, nearCopies, farCopies, isOffset, farSetSize };
}

function farSetSizeOf(
  mode: number,
  raidDisks: number,
  nearCopies: number,
  farCopies: number,
): number | null {
  if (mode === 0) return raidDisks;
  if (mode === 1) return Math.floor(raidDisks / farCopies);
  return mode === 2 ? farCopies * nearCopies : null;
}

/** Sectors of the array for a component size, as the kernel computes them. */
export function raid10ArraySectors(geometry: Raid10Geometry, size: number): number {
  const { chunkSectors, farCopies, nearCopies, raidDisks } = geometry;
  const rows = Math.floor(Math.floor(size / chunkSectors) / farCopies);
  return Math.floor((rows * raidDisks) / nearCopies) * chunkSectors;
}

/** Sectors that each member really uses of a component size. */
export function raid10UsedSectors(geometry: Raid10Geometry, size: number): number {
  const { chunkSectors, farCopies, nearCopies, raidDisks } = geometry;
  const chunks = raid10ArraySectors(geometry, size) / chunkSectors;
  return Math.ceil((chunks * nearCopies * farCopies) / raidDisks) * chunkSectors;
}

/**
 * True when these in-sync raid slots hold at least one copy of everything.
 * Source: drivers/md/raid10.c _enough; mdadm util.c enough.
 */
export function raid10Enough(
  geometry: Raid10Geometry,
  inSync: (raidSlot: number) => boolean,
): boolean {
  const { raidDisks, nearCopies, farCopies } = geometry;
  const copies = nearCopies * farCopies;
  let first = 0;
  do {
    let found = false;
    for (let copy = 0; copy < copies && !found; copy += 1)
      found = inSync((first + copy) % raidDisks);
    if (!found) return false;
    first = (first + nearCopies) % raidDisks;
  } while (first !== 0);
  return true;
}

/**
 * Every copy of the array sector, in md's order: near copy 0 and its far copies, then near copy 1 …
 * `size` is the component size. A run of sectors stays on these copies to the end of its chunk.
 */
export function raid10Copies(
  geometry: Raid10Geometry,
  size: number,
  arraySector: number,
): readonly Raid10Copy[] {
  const { raidDisks, chunkSectors, nearCopies, farCopies, isOffset, farSetSize } = geometry;
  const used = raid10UsedSectors(geometry, size) / chunkSectors;
  const stride = isOffset ? chunkSectors : Math.floor(used / farCopies) * chunkSectors;
  const remainder = raidDisks % farSetSize;
  const lastSet = (Math.floor(raidDisks / farSetSize) - 1) * farSetSize;
  const copyIndex = Math.floor(arraySector / chunkSectors) * nearCopies;
  let row = Math.floor(copyIndex / raidDisks);
  if (isOffset) row *= farCopies;
  let raidSlot = copyIndex % raidDisks;
  let base = (arraySector % chunkSectors) + row * chunkSectors;
  const copies: Raid10Copy[] = [];
  for (let near = 0; near < nearCopies; near += 1) {
    copies.push({ raidSlot, sector: base });
    let slot = raidSlot;
    let sector = base;
    for (let far = 1; far < farCopies; far += 1) {
      const set = Math.floor(slot / farSetSize);
      slot += nearCopies;
      slot =
        remainder !== 0 && slot > lastSet
          ? ((slot - lastSet) % (farSetSize + remainder)) + lastSet
          : (slot % farSetSize) + farSetSize * set;
      sector += stride;
      copies.push({ raidSlot: slot, sector });
    }
    raidSlot += 1;
    if (raidSlot === raidDisks) {
      raidSlot = 0;
      base += chunkSectors;
    }
  }
  return copies;
}

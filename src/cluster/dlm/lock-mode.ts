/**
 * The six lock modes of the DLM and what follows from two of them: compatibility, which
 * conversions may be queued, and which way the value block moves.
 * Sources: fs/dlm/lock.c and fs/dlm/lvb_table.h of Linux 6.1; the tables come from VMS.
 */

/** Placeholder: keeps the resource and its value block alive. */
export const NL = 0;
/** Concurrent read. */
export const CR = 1;
/** Concurrent write. */
export const CW = 2;
/** Protected read: shared, and nobody writes. */
export const PR = 3;
/** Protected write: one writer, beside CR only. */
export const PW = 4;
/** Exclusive. */
export const EX = 5;

export type LockMode = 0 | 1 | 2 | 3 | 4 | 5;

/** All modes, ascending; of CW and PR neither allows what the other does. */
export const LOCK_MODES: readonly LockMode[] = [NL, CR, CW, PR, PW, EX];

/** The DLM's names, by mode. */
export const MODE_NAMES: readonly string[] = ["NL", "CR", "CW", "PR", "PW", "EX"];

export const isLockMode = (value: unknown): value is LockMode =>
  typeof value === "number" && Number.isInteger(value) && value >= NL && value <= EX;

/** Per mode, the modes that may be granted beside it, as bits; symmetric. */
const COMPATIBLE: readonly number[] = [
  0b111111, // NL
  0b011111, // CR: all but EX
  0b000111, // CW: NL CR CW
  0b001011, // PR: NL CR PR
  0b000011, // PW: NL CR
  0b000001, // EX: NL
];

/** Whether both may be granted at a time; null, a lock that holds nothing yet, goes with all. */
export const areCompatible = (a: LockMode | null, b: LockMode): boolean =>
  a === null || (((COMPATIBLE[a] ?? 0) >> b) & 1) === 1;

/** Per granted mode, the modes that a conversion with QUECVT may ask for, as bits. */
const QUEUED_CONVERSIONS: readonly number[] = [
  0b111110, // NL
  0b111100, // CR
  0b111000, // CW
  0b110100, // PR
  0b100000, // PW
  0b000000, // EX
];

/** Whether QUECVT is allowed for this pair: up and between CW and PR, never down. */
export const mayQueueConversion = (granted: LockMode | null, requested: LockMode): boolean =>
  granted !== null && (((QUEUED_CONVERSIONS[granted] ?? 0) >> requested) & 1) === 1;

/** CW to PR or PR to CW: neither up nor down. */
export const isMiddlePair = (a: LockMode | null, b: LockMode): boolean =>
  (a === CW && b === PR) || (a === PR && b === CW);

/** What a grant does with the value block: to the caller, to the resource, nothing. */
export type LvbAction = "read" | "write" | "none";

/** Rows: granted before, NL to EX; columns: granted now. R read, W write. */
const LVB_ACTIONS: readonly string[] = [
  "RRRRRR", // NL
  "-RRRRR", // CR
  "--RRRR", // CW
  "---RRR", // PR
  "WWWWWR", // PW
  "WWWWWW", // EX
];

/** The cell of the value block table; `from` is null for a new request. */
export const lvbAction = (from: LockMode | null, to: LockMode): LvbAction => {
  const cell = from === null ? "R" : LVB_ACTIONS[from]?.[to];
  if (cell === "R") return "read";
  return cell === "W" ? "write" : "none";
};

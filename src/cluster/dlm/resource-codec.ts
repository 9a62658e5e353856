/**
 * The text form of a lock resource, as a store keeps it: JSON, a few hundred bytes. Decoding is
 * strict: a text is accepted only if it is what encoding writes, and a resource that the lock
 * rules could not have made is refused, because everybody would act on it.
 *
 * Version 1: { v, g, c, w, b, s, i }: version, the locks granted, converting and waiting, the value
 * block, its writes, 1 if it is invalid. A lock is an array, see `encodeLock`; -1 is "no mode".
 */
import { CodedError } from "../../common/errors.ts";
import {
  DLM_LKF_EXPEDITE,
  DLM_LKF_NOQUEUE,
  DLM_LKF_VALBLK,
  LOCK_CALL_FLAGS,
  STATUS_FLAGS,
} from "./lock-flags.ts";
import { areCompatible, isLockMode, type LockMode, PW } from "./lock-mode.ts";
import {
  type AstStatus,
  countLocks,
  type DlmLock,
  LOCKS_MAX,
  type LockResource,
} from "./lock-resource.ts";
import { isLvbText, LVB_BYTES } from "./lvb-text.ts";

const VERSION = 1;
/** Longest text of a lock: 15 numbers, the largest with 16 digits, and a value block. */
const LOCK_TEXT_MAX = 640;
/** Longest text that is looked at. */
export const RESOURCE_TEXT_MAX = (LOCKS_MAX + 1) * LOCK_TEXT_MAX;

/** By their number in the text. EUNLOCK is not among them: such a lock is gone. */
const STATUSES: readonly AstStatus[] = ["granted", "EAGAIN", "EDEADLK", "ECANCEL"];

const LOCK_FIELDS = 16;
const HAS_BAST = 1;
const HAS_READ = 2;

/** The text of a resource. */
export const encodeResource = (resource: LockResource): string =>
  JSON.stringify({
    v: VERSION,
    g: resource.granted.map(encodeLock),
    c: resource.converting.map(encodeLock),
    w: resource.waiting.map(encodeLock),
    b: resource.lvb,
    s: resource.lvbSeq,
    i: resource.isLvbInvalid ? 1 : 0,
  });

const encodeLock = (lock: DlmLock): readonly (number | string | null)[] => [
  lock.slot,
  lock.epoch,
  lock.id,
  lock.op,
  lock.granted ?? -1,
  lock.requested ?? -1,
  lock.flags,
  lock.statusFlags,
  (lock.hasBast ? HAS_BAST : 0) | (lock.hasRead ? HAS_READ : 0),
  lock.highBast,
  lock.astCount,
  STATUSES.indexOf(lock.astStatus),
  lock.bastCount,
  lock.bastMode,
  lock.lvbSeq,
  lock.lvb,
];

/**
 * The resource of a text; `lvbBytes` as in `operate`.
 * Errors: DLM_BAD_RESOURCE when the text is none, whatever it holds.
 */
export const decodeResource = (text: string, lvbBytes: number = LVB_BYTES): LockResource => {
  if (text.length > RESOURCE_TEXT_MAX) throw bad(`${text.length} characters`);
  const fields = parse(text);
  const resource: LockResource = {
    granted: decodeQueue(fields["g"]),
    converting: decodeQueue(fields["c"]),
    waiting: decodeQueue(fields["w"]),
    lvb: textOrNull(fields["b"]),
    lvbSeq: numberIn(fields["s"], 0),
    isLvbInvalid: numberIn(fields["i"], 0, 1) === 1,
  };
  checkQueues(resource);
  checkLvb(resource, lvbBytes);
  // Also: no other fields, no other version, no other spelling.
  if (encodeResource(resource) !== text) throw bad("not the text that encoding writes");
  return resource;
};

const bad = (reason: string, cause?: unknown): CodedError =>
  new CodedError("DLM_BAD_RESOURCE", `this is no lock resource: ${reason}`, {
    remedy:
      "put its last value back: the members go on by themselves; without it, end all of them, then delete the key",
    details: { reason },
    cause,
  });

const parse = (text: string): Readonly<Record<string, unknown>> => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad("no JSON", cause);
  }
  if (typeof value !== "object" || value === null) throw bad("no object");
  return value as Record<string, unknown>;
};

const decodeQueue = (value: unknown): DlmLock[] => {
  if (!Array.isArray(value) || value.length > LOCKS_MAX) throw bad("a queue that is none");
  return value.map(decodeLock);
};

const decodeLock = (value: unknown): DlmLock => {
  if (!Array.isArray(value) || value.length !== LOCK_FIELDS) throw bad("a lock that is none");
  const at = (index: number, least: number, most?: number): number =>
    numberIn(value[index], least, most);
  const flags = at(6, 0);
  const statusFlags = at(7, 0, STATUS_FLAGS);
  const bits = at(8, 0, HAS_BAST | HAS_READ);
  if ((flags & ~LOCK_CALL_FLAGS) !== 0 || flags > LOCK_CALL_FLAGS) throw bad("unknown flags");
  return {
    slot: at(0, 1),
    epoch: at(1, 0),
    id: at(2, 1),
    op: at(3, 1),
    granted: modeOrNull(value[4]),
    requested: modeOrNull(value[5]),
    flags,
    statusFlags,
    hasBast: (bits & HAS_BAST) !== 0,
    hasRead: (bits & HAS_READ) !== 0,
    highBast: modeOf(value[9]),
    astCount: at(10, 0),
    astStatus: STATUSES[at(11, 0, STATUSES.length - 1)] ?? "granted",
    bastCount: at(12, 0),
    bastMode: modeOf(value[13]),
    lvbSeq: at(14, 0),
    lvb: textOrNull(value[15]),
  };
};

const numberIn = (value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): number => {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most)
    return value;
  throw bad(`a number that is not in [${least}, ${most}]`);
};

const textOrNull = (value: unknown): string | null => {
  if (value === null || typeof value === "string") return value;
  throw bad("a value block that is no text");
};

const modeOf = (value: unknown): LockMode => {
  if (isLockMode(value)) return value;
  throw bad("a mode that is none");
};

const modeOrNull = (value: unknown): LockMode | null => (value === -1 ? null : modeOf(value));

/** The locks are in the queues that their modes belong to, compatible, and each there once. */
const checkQueues = (resource: LockResource): void => {
  const { granted, converting, waiting } = resource;
  if (countLocks(resource) > LOCKS_MAX) throw bad("too many locks");
  const isPlaced =
    granted.every((lock) => lock.granted !== null && lock.requested === null) &&
    converting.every((lock) => lock.granted !== null && lock.requested !== null) &&
    waiting.every((lock) => lock.granted === null && lock.requested !== null);
  if (!isPlaced) throw bad("a lock in a queue that it does not belong to");
  const neverQueued = DLM_LKF_EXPEDITE | DLM_LKF_NOQUEUE;
  if ([...converting, ...waiting].some(({ flags }) => (flags & neverQueued) !== 0))
    throw bad("a lock in a queue that its call did not allow");
  const all = [...granted, ...converting, ...waiting];
  const keys = new Set(all.map(({ slot, epoch, id }) => `${slot}/${epoch}/${id}`));
  if (keys.size !== all.length) throw bad("a lock twice");
  const holders = [...granted, ...converting];
  const conflict = holders.some((lock, index) =>
    holders.slice(0, index).some((other) => !areCompatible(other.granted, lock.granted ?? 0)),
  );
  if (conflict) throw bad("modes that are not compatible");
};

const checkLvb = (resource: LockResource, lvbBytes: number): void => {
  const { lvb, lvbSeq, granted, converting, waiting, isLvbInvalid } = resource;
  const isEmpty = countLocks(resource) === 0;
  if (isEmpty && (lvb !== null || isLvbInvalid)) throw bad("a value block without locks");
  if (lvb === null ? lvbSeq !== 0 : lvbSeq === 0) throw bad("a value block never written");
  if (lvb !== null && !isLvbText(lvb, lvbBytes)) throw bad("a value block of another length");
  for (const lock of [...granted, ...waiting, ...converting]) {
    if (lock.lvbSeq > lvbSeq) throw bad("a value block of the future");
    if (lock.lvb === null) continue;
    const isPending = lock.requested !== null && lock.granted === PW;
    if (!isPending || (lock.flags & DLM_LKF_VALBLK) === 0 || !isLvbText(lock.lvb, lvbBytes))
      throw bad("a pending value block where there is none");
  }
};

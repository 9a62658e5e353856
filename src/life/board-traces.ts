/**
 * What the cluster's store says of boards that live and of nodes that are gone: whether a board may
 * be taken for dead. Silence alone does not tell: it may only be cut off.
 */
import { BoardKeys, clusterPrefix } from "../cluster/store/board-keys.ts";
import type { KeyValue } from "../cluster/store/cluster-store.ts";
import { decodeMember, readSlotState } from "../cluster/store/member-records.ts";
import { CodedError } from "../common/errors.ts";

/** An array that some board runs now. */
export interface ArrayTrace {
  readonly uuid: string;
  /** Boards that run it. */
  readonly nodes: readonly string[];
  /** Bitmap slots of nodes that are gone and whose bitmaps nobody has recovered yet. */
  readonly unrecovered: readonly number[];
}

/** All of it, of one moment. */
export interface BoardTraces {
  /** Boards whose disks are served now. */
  readonly boards: readonly string[];
  readonly arrays: readonly ArrayTrace[];
}

const SLOT_KEY = /^([0-9a-f-]{8,64})\/(m|slot)\/([1-9]\d{0,2})$/;

/** `found`: every key of the cluster. */
export const tracesIn = (cluster: string, found: readonly KeyValue[]): BoardTraces => {
  const boardKeys = new BoardKeys(cluster);
  const prefix = `${clusterPrefix(cluster)}arrays/`;
  const nodes = new Map<string, Map<number, string>>();
  const slots: { readonly uuid: string; readonly slot: number; readonly value: string }[] = [];
  for (const { key, value } of found) {
    const [, uuid, kind, number] = key.startsWith(prefix)
      ? (SLOT_KEY.exec(key.slice(prefix.length)) ?? [])
      : [];
    if (uuid === undefined) continue;
    const slot = Number(number);
    if (kind === "slot") slots.push({ uuid, slot, value });
    else nodes.set(uuid, (nodes.get(uuid) ?? new Map()).set(slot, nodeIn(value)));
  }
  return {
    boards: found.flatMap(({ key }) => boardKeys.boardIn(key) ?? []),
    arrays: [...nodes].map(([uuid, members]) => ({
      uuid,
      nodes: [...members.values()],
      unrecovered: slots
        .filter((one) => one.uuid === uuid && !members.has(one.slot) && !isFree(one.value))
        .map(({ slot }) => slot - 1),
    })),
  };
};

/** Why the board may still read and write somewhere; null: it is gone for everybody. */
export const whyNotGone = ({ boards, arrays }: BoardTraces, name: string): string | null => {
  if (boards.includes(name)) return `the cluster still gives ${name} its disks' session`;
  const run = arrays.find(({ nodes }) => nodes.includes(name));
  if (run !== undefined) return `${name} still runs the array ${run.uuid}`;
  // Whose the slot was is not kept: any board that is gone may be the one.
  const open = arrays.find(({ unrecovered }) => unrecovered.length > 0);
  if (open === undefined) return null;
  return `slot ${open.unrecovered.join(", ")} of the array ${open.uuid} is not recovered yet`;
};

/**
 * Errors: LIFE_BOARD_NOT_GONE while the board says that it runs, lives in the store, or what it ran
 * is not recovered by the others.
 */
export const refuseLiving = (traces: BoardTraces, name: string, saysItRuns: boolean): void => {
  const why = saysItRuns ? `${name} still says that it runs` : whyNotGone(traces, name);
  if (why === null) return;
  throw new CodedError("LIFE_BOARD_NOT_GONE", `${name} is not gone for all boards: ${why}`, {
    remedy:
      "switch it off, or wait until the others have fenced it and recovered its slots (satsuma locks), some 30 s; then ask again",
    details: { board: name },
  });
};

const nodeIn = (text: string): string => {
  try {
    return decodeMember(text).node;
  } catch {
    return "";
  }
};

const isFree = (text: string): boolean => readSlotState(text)?.type === "free";

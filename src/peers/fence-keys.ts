/** Tells a fence ledger what the cluster's keys say: whose each slot is, which boards live. */
import { BoardKeys, clusterPrefix } from "../cluster/store/board-keys.ts";
import type { KeyChange } from "../cluster/store/cluster-store.ts";
import { decodeMember } from "../cluster/store/member-records.ts";
import { keyOf, revisionOf } from "../cluster/store/revisioned-map.ts";
import type { FenceLedger } from "./fence-ledger.ts";
import type { SlotMember } from "./fence-slots.ts";

/** What follows an array's UUID in the keys that the fence goes by. */
const SLOT_KEY = /^([0-9a-f-]{8,64})\/(?:(m|slot|in)|fd\/([^/]{1,64}))\/([1-9]\d{0,2})$/;

export class FenceKeys {
  readonly #arrays: string;
  readonly #boards: BoardKeys;
  readonly #board: string;

  /** `board`: the exporter's own name. */
  constructor(cluster: string, board: string) {
    this.#arrays = `${clusterPrefix(cluster)}arrays/`;
    this.#boards = new BoardKeys(cluster);
    this.#board = board;
  }

  /** News of a view of all keys of the cluster; everything up to `revision` is told by now. */
  tell(ledger: FenceLedger, changes: readonly KeyChange[], revision: number): void {
    let isNews = ledger.isLooking;
    for (const change of changes) isNews = this.#tellOne(ledger, change) || isNews;
    ledger.known(revision);
    if (isNews) ledger.settle();
  }

  /** False: the fence does not go by this key. */
  #tellOne(ledger: FenceLedger, change: KeyChange): boolean {
    const key = keyOf(change);
    const name = this.#boards.boardIn(key);
    if (name !== null) {
      ledger.boardKey(name, change.type === "put" ? change.now.createRevision : null);
      return true;
    }
    const match = key.startsWith(this.#arrays)
      ? SLOT_KEY.exec(key.slice(this.#arrays.length))
      : null;
    if (match === null) return false;
    const [, uuid = "", kind, board] = match;
    const slot = Number(match[4]);
    if (kind === "m") tellMember(ledger, uuid, slot, change);
    else if (kind === "slot") tellSlot(ledger, uuid, slot, change);
    else if (kind === "in") tellEntered(ledger, uuid, slot, change);
    else if (board === this.#board) tellFence(ledger, uuid, slot, change);
    else return false;
    return true;
  }
}

const tellMember = (ledger: FenceLedger, uuid: string, slot: number, change: KeyChange): void => {
  if (change.type === "delete") return ledger.member(uuid, slot, null, change.revision);
  const { createRevision, modRevision, value } = change.now;
  const member = { epoch: createRevision, ...ownerIn(value) };
  ledger.member(uuid, slot, member, modRevision);
};

const tellSlot = (ledger: FenceLedger, uuid: string, slot: number, change: KeyChange): void =>
  ledger.slotKey(uuid, slot, change.type === "put" ? change.now.modRevision : 0);

/** The slot's session takes part. */
const tellEntered = (ledger: FenceLedger, uuid: string, slot: number, change: KeyChange): void =>
  ledger.entered(uuid, slot, change.type === "put" ? numberIn(change.now.value) : 0);

const tellFence = (ledger: FenceLedger, uuid: string, slot: number, change: KeyChange): void => {
  const epoch = change.type === "put" ? numberIn(change.now.value) : 0;
  ledger.fenceKey(uuid, slot, epoch, revisionOf(change));
};

const numberIn = (value: string): number => (/^\d{1,16}$/.test(value) ? Number(value) : 0);

const ownerIn = (text: string): Pick<SlotMember, "node" | "boot"> => {
  try {
    const { node, boot } = decodeMember(text);
    return { node, boot };
  } catch {
    return { node: null, boot: null };
  }
};

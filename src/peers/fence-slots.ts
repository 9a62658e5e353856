/**
 * What an exporter knows of sessions from the cluster's keys: which one each slot of an array has,
 * and up to which epoch the end of its sessions is to be acknowledged, and is. Plain bookkeeping.
 */
import type { PeerSession } from "./member-name.ts";

/** `unseen`: begun after everything that the keys have told so far. */
export type Standing = "live" | "over" | "unseen";

/** A session of a node, as its member key tells. */
export interface SlotMember {
  readonly epoch: number;
  /** The board that has it; null when the key's value cannot be read. */
  readonly node: string | null;
  /** Its start of that board, where it is known. */
  readonly boot?: string | null;
}

/** A member that takes part in its array. */
export interface Party extends SlotMember {
  readonly slot: number;
}

/** One slot of one array. Numbers are revisions of the store. */
export interface SlotEntry {
  readonly uuid: string;
  readonly slot: number;
  /** Whose the slot is; null: nobody's. */
  member: SlotMember | null;
  /** The last one that was seen. */
  last: SlotMember | null;
  /** The session that takes part in the array, as its key tells; 0: none. */
  entered: number;
  /** Its member key was seen to be gone. */
  goneAt: number;
  /** Of the slot's own key. */
  written: number;
  /** The store says so, in this life of the board. */
  acknowledged: number;
  acknowledgedAt: number;
  /** Being written. */
  underWay: number | null;
  /** The board's own use of its disks: asked about, and known to be over, up to this epoch. */
  ownAsked: number;
  ownDrained: number;
}

const newEntry = (uuid: string, slot: number): SlotEntry => ({
  uuid,
  slot,
  member: null,
  last: null,
  entered: 0,
  goneAt: 0,
  written: 0,
  acknowledged: 0,
  acknowledgedAt: 0,
  underWay: null,
  ownAsked: 0,
  ownDrained: 0,
});

export class FenceSlots {
  readonly #slots = new Map<string, SlotEntry>();
  readonly #boards = new Map<string, number>();
  /** Everything up to this revision has been told. */
  #known = 0;

  /** Slots that any key told of. */
  get entries(): IterableIterator<SlotEntry> {
    return this.#slots.values();
  }

  entry(uuid: string, slot: number): SlotEntry {
    const key = `${uuid}/${slot}`;
    const entry = this.#slots.get(key) ?? newEntry(uuid, slot);
    this.#slots.set(key, entry);
    return entry;
  }

  known(revision: number): void {
    this.#known = Math.max(this.#known, revision);
  }

  /** `member` null: its key is gone, as of `revision`. */
  member(uuid: string, slot: number, member: SlotMember | null, revision: number): void {
    const entry = this.entry(uuid, slot);
    if (member === null) entry.goneAt = Math.max(entry.goneAt, revision);
    else {
      // Who it was is known, even when something else has written the key since.
      const isSame = entry.last?.epoch === member.epoch && member.node === null;
      entry.last = isSame ? entry.last : member;
    }
    entry.member = member === null ? null : entry.last;
  }

  board(name: string, epoch: number | null): void {
    if (epoch === null) this.#boards.delete(name);
    else this.#boards.set(name, epoch);
  }

  /** This board's own acknowledgement as the store has it; 0: none. */
  fence(uuid: string, slot: number, epoch: number, revision: number): void {
    const entry = this.entry(uuid, slot);
    if (revision < entry.acknowledgedAt) return;
    entry.acknowledged = epoch;
    entry.acknowledgedAt = revision;
  }

  standing(session: PeerSession): Standing {
    const live =
      session.kind === "node"
        ? this.#slots.get(`${session.uuid}/${session.slot}`)?.member?.epoch
        : this.#boards.get(session.name);
    if (live === session.epoch) return "live";
    return session.epoch > Math.max(this.#known, live ?? 0) ? "unseen" : "over";
  }

  /** Who takes part in the array. */
  parties(uuid: string): readonly Party[] {
    return [...this.#slots.values()].flatMap((entry) => {
      const { member, entered, slot } = entry;
      const takesPart = entry.uuid === uuid && member !== null && member.epoch === entered;
      return takesPart ? [{ ...member, slot }] : [];
    });
  }

  /** The board that a live session is of; null: nobody can tell. */
  ownerOf(session: PeerSession): string | null {
    if (session.kind === "board") return session.name;
    return this.#slots.get(`${session.uuid}/${session.slot}`)?.member?.node ?? null;
  }
}

/**
 * The epoch up to which the sessions of the slot are over, so that somebody may wait for them to be
 * fenced: whatever the slot's own key says, which something else may have written. 0: none is.
 */
export const dueEpoch = ({ member, written, goneAt }: SlotEntry): number =>
  member === null ? Math.max(written, goneAt) : 0;

/**
 * Whether the last session of the slot is known to be another board's. A slot key that was written
 * after that session began may be of another one, which came and went unseen.
 */
export const isOfOther = ({ last, written }: SlotEntry, board: string): boolean =>
  last !== null && last.node !== null && last.node !== board && last.epoch === written;

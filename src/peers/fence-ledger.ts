/**
 * The fence of an exporter (rule D8): which requests of peers may reach its disks, and when it may
 * say that a session's can no more. It decides without clock or I/O: events in, effects out. The
 * exporter's thread runs it, and the simulation.
 *
 *   ask ──► asking ──admit──► open ──┬─► closing ──► forgotten (its requests have ended)
 *             └──refuse              └─ its session is over, it is replaced, this life is over
 *
 * - A session is served while its key is there, and asked for by the board that has it.
 * - When the key is gone, no request of it begins. When those at the device have ended, and the
 *   board itself has ended its use for it, the end is acknowledged: never before.
 * - A connection that comes again takes the place of the one before, once that one's requests have
 *   ended: what a peer sends again must not be overtaken by what it has sent before.
 * - Nobody new writes to a disk that something of a connection which is over may still reach.
 */
import { assert } from "../common/assert.ts";
import { type Door, FenceDoors, type MemberAsk } from "./fence-doors.ts";
import { dueEpoch, FenceSlots, isOfOther, type SlotEntry, type SlotMember } from "./fence-slots.ts";
import { type NodeSession, type OwnBoard, whoDistrusts } from "./fence-trust.ts";
import type { Refusal } from "./fence-verdict.ts";

export type LedgerEffect =
  | { readonly type: "admit"; readonly connection: number }
  | { readonly type: "refuse"; readonly connection: number; readonly refusal: Refusal }
  /** Cut it off; `ended` is told when nothing of it is left. */
  | { readonly type: "close"; readonly connection: number; readonly reason: string }
  /** End what this board itself does with its disks for these sessions, then `ownDrained`. */
  | {
      readonly type: "own-fenced";
      readonly uuid: string;
      readonly slot: number;
      readonly epoch: number;
    }
  /** Write it into the store, by this life, while the slot has no member; then `acknowledged`. */
  | {
      readonly type: "acknowledge";
      readonly uuid: string;
      readonly slot: number;
      readonly epoch: number;
    };

const NOTHING: readonly LedgerEffect[] = [];

/** `wait`: the gate is closed, ask again; `never`: the request is not to be carried out. */
export type Permission = "go" | "wait" | "never";

export class FenceLedger {
  readonly #own: OwnBoard;
  readonly #slots = new FenceSlots();
  readonly #doors: FenceDoors;
  #effects: LedgerEffect[] = [];
  /** Board epoch; null: nobody is served. */
  #life: number | null = null;
  #gateUntil = Number.NEGATIVE_INFINITY;

  /**
   * `board`: the exporter's own name. `peerMax`: connections that one peer may have. `boot`: of
   * this start of the board, as its nodes' member keys have it.
   */
  constructor(board: string, peerMax: number, boot: string | null = null) {
    this.#own = { board, boot };
    this.#doors = new FenceDoors(peerMax);
  }

  /** What is to be done since the last call, in order. */
  take(): readonly LedgerEffect[] {
    if (this.#effects.length === 0) return NOTHING;
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  get life(): number | null {
    return this.#life;
  }

  /** AFTER the keys were read by a committed transaction of this life. */
  beginLife(epoch: number): void {
    this.#life = epoch;
    for (const entry of this.#slots.entries) {
      entry.acknowledged = 0;
      entry.acknowledgedAt = epoch;
      entry.underWay = null;
    }
    this.settle();
  }

  /** The board's key is gone, or it leaves: nobody is served. */
  endLife(reason: string): void {
    this.#life = null;
    this.#gateUntil = Number.NEGATIVE_INFINITY;
    for (const door of this.#doors.all) {
      if (door.state === "asking") this.#refuse(door, { word: "restarted", text: reason });
      else this.#close(door, reason);
    }
  }

  /** A confirmation was committed: requests may begin until then. */
  openGate(until: number): void {
    if (this.#life !== null) this.#gateUntil = Math.max(this.#gateUntil, until);
  }

  isGateOpen(now: number): boolean {
    return now < this.#gateUntil;
  }

  /** Key events; `settle` AFTER all that were told together. */
  member(uuid: string, slot: number, member: SlotMember | null, revision: number): void {
    this.#slots.member(uuid, slot, member, revision);
  }

  /** The slot's session of this epoch takes part in its array; 0: none does. */
  entered(uuid: string, slot: number, epoch: number): void {
    this.#slots.entry(uuid, slot).entered = epoch;
  }

  /**
   * Whether a node of this board, which takes no part in its array yet, may use the disk where
   * others run the array: none of them has what an earlier life of the board may have lost.
   */
  isTrusted(session: NodeSession, disk: string): boolean {
    const isLive = this.#life !== null && this.#slots.standing(session) === "live";
    return isLive && whoDistrusts(session, disk, this.#slots, this.#doors.all, this.#own) === null;
  }

  /** The slot's own key, by its mod revision; 0: there is none. */
  slotKey(uuid: string, slot: number, written: number): void {
    this.#slots.entry(uuid, slot).written = written;
  }

  boardKey(name: string, epoch: number | null): void {
    this.#slots.board(name, epoch);
  }

  /** This board's acknowledgement as the store shows it; those of earlier lives do not count. */
  fenceKey(uuid: string, slot: number, epoch: number, revision: number): void {
    if (this.#life !== null && revision >= this.#life)
      this.#slots.fence(uuid, slot, epoch, revision);
  }

  /** All keys up to this revision were told. */
  known(revision: number): void {
    this.#slots.known(revision);
  }

  /** Nothing of this process uses the disks any more for sessions of the slot up to `epoch`. */
  ownDrained(uuid: string, slot: number, epoch: number): void {
    const entry = this.#slots.entry(uuid, slot);
    entry.ownDrained = Math.max(entry.ownDrained, epoch);
    this.#weigh(entry);
  }

  /** `revision` null: it was not written, and is to be looked at anew. */
  acknowledged(effect: SlotEpoch, life: number, revision: number | null): void {
    if (life !== this.#life) return;
    const entry = this.#slots.entry(effect.uuid, effect.slot);
    entry.underWay = null;
    if (revision !== null) this.#slots.fence(effect.uuid, effect.slot, effect.epoch, revision);
    this.#weigh(entry);
  }

  ask(ask: MemberAsk): void {
    const door = this.#doors.add(ask);
    if (door === null) {
      const refusal = {
        word: "busy",
        text: "the board has as many connections as it may",
      } as const;
      this.#effects.push({ type: "refuse", connection: ask.connection, refusal });
    } else this.#answer();
  }

  /** It has waited for too long, or is gone: what it waits for is the reason. */
  giveUp(connection: number): void {
    const door = this.#doors.find(connection);
    if (door?.state !== "asking") return;
    this.#refuse(door, door.waits ?? { word: "busy", text: "it was given up" });
    this.#answer();
  }

  /** Its socket is closed: no request of it begins any more. */
  gone(connection: number): void {
    const door = this.#doors.find(connection);
    if (door?.state === "open") door.state = "closing";
    this.#answer();
  }

  /** Nothing of the connection is left: neither its socket nor a request at the device. */
  ended(connection: number): void {
    const door = this.#doors.find(connection);
    if (door === null) return;
    assert(door.atDevice === 0, "a connection ends after its requests");
    this.#doors.remove(door);
    this.#afterEnd(door);
  }

  /** The disk is served no more. */
  closeDisk(disk: string): void {
    for (const door of this.#doors.all) {
      if (door.ask.name.disk !== disk) continue;
      const text = "the disk is served no more";
      if (door.state === "asking") this.#refuse(door, { word: "no-disk", text });
      else this.#close(door, text);
    }
  }

  /** Right BEFORE a request is given to the device, in the same turn. `go` counts it there. */
  begin(connection: number, now: number): Permission {
    const door = this.#doors.find(connection);
    if (door?.state !== "open" || this.#life === null) return "never";
    if (now >= this.#gateUntil) return "wait";
    door.atDevice += 1;
    return "go";
  }

  /** A request that `begin` let go has ended at the device, however. */
  end(connection: number): void {
    const door = this.#doors.find(connection);
    if (door === null) return;
    door.atDevice -= 1;
    if (door.atDevice === 0 && (door.state === "closing" || this.#doors.isAsked))
      this.#afterEnd(door);
  }

  /** Some ask waits for a session that no key has told of yet: look at the keys again. */
  get isLooking(): boolean {
    return this.#doors.asking.some(
      ({ ask }) => this.#slots.standing(ask.name.session) === "unseen",
    );
  }

  /** Disks that requests of connections which are over may still reach. */
  get draining(): readonly string[] {
    const late = this.#doors.all.filter((door) => door.state === "closing" && door.atDevice > 0);
    return [...new Set(late.map((door) => door.ask.name.disk))].sort();
  }

  get doors(): readonly Door[] {
    return this.#doors.all;
  }

  /** Slots whose sessions are over and not yet acknowledged. */
  get unacknowledged(): readonly SlotEpoch[] {
    const due = [...this.#slots.entries].filter((entry) => dueEpoch(entry) > entry.acknowledged);
    return due.map((entry) => ({ uuid: entry.uuid, slot: entry.slot, epoch: dueEpoch(entry) }));
  }

  /** Takes the keys' events in: closes whose session is over, answers asks, acknowledges. */
  settle(): void {
    for (const door of this.#doors.all) {
      if (door.state !== "open") continue;
      if (this.#slots.standing(door.ask.name.session) !== "live")
        this.#close(door, "its session is over");
    }
    this.#answer();
    for (const entry of this.#slots.entries) this.#weigh(entry);
  }

  #afterEnd({ ask }: Door): void {
    this.#answer();
    const { session } = ask.name;
    if (session.kind === "node") this.#weigh(this.#slots.entry(session.uuid, session.slot));
  }

  /** Looks at every ask again, in the order in which they came. */
  #answer(): void {
    let hasOpened = false;
    for (const door of this.#doors.asking) {
      if (door.state !== "asking") continue;
      const verdict = this.#doors.judge(door, this.#life, this.#slots, this.#own);
      for (const replaced of verdict.replaces) {
        if (replaced.state !== "asking") this.#close(replaced, "a later connection replaces it");
        else this.#refuse(replaced, { word: "superseded", text: "a later connection replaces it" });
      }
      if (verdict.type === "wait") door.waits = verdict.refusal;
      else if (verdict.type === "refuse") this.#refuse(door, verdict.refusal);
      else {
        this.#doors.open(door);
        this.#effects.push({ type: "admit", connection: door.ask.connection });
        hasOpened = true;
      }
    }
    // Others may have waited for just that.
    if (hasOpened && this.#doors.isAsked) this.#answer();
  }

  #refuse(door: Door, refusal: Refusal): void {
    door.state = "closing";
    this.#doors.remove(door);
    this.#effects.push({ type: "refuse", connection: door.ask.connection, refusal });
  }

  #close(door: Door, reason: string): void {
    if (door.state === "closing") return;
    door.state = "closing";
    this.#effects.push({ type: "close", connection: door.ask.connection, reason });
  }

  /** Acknowledges the end of the slot's sessions when it is due, and nothing is left of them. */
  #weigh(entry: SlotEntry): void {
    const { uuid, slot } = entry;
    const epoch = dueEpoch(entry);
    if (this.#life === null || epoch <= entry.acknowledged || entry.underWay !== null) return;
    if (!isOfOther(entry, this.#own.board) && entry.ownDrained < epoch) {
      if (entry.ownAsked >= epoch) return;
      entry.ownAsked = epoch;
      this.#effects.push({ type: "own-fenced", uuid, slot, epoch });
      return;
    }
    if (this.#doors.isAtDevice(uuid, slot)) return;
    entry.underWay = epoch;
    this.#effects.push({ type: "acknowledge", uuid, slot, epoch });
  }
}

/** All sessions of a slot up to an epoch. */
export interface SlotEpoch {
  readonly uuid: string;
  readonly slot: number;
  readonly epoch: number;
}

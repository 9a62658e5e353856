/**
 * Looks at each change of the simulated store: sessions, slots and the message channel; locks and
 * what becomes of messages are looked at by lock-checks.ts and message-checks.ts.
 *   I5 messages are numbered one after the other, and one is finished before the next
 *   I7 a message is finished when every member that is still there has acknowledged it
 *   I8 a slot has one session at a time, and is free again once it is recovered; epochs are new
 */

import { LVB_BYTES } from "../../../src/cluster/dlm/lvb-text.ts";
import { decodeResource } from "../../../src/cluster/dlm/resource-codec.ts";
import {
  type ChannelAck,
  type ChannelRecord,
  decodeAck,
  decodeChannel,
  EMPTY_CHANNEL,
} from "../../../src/cluster/md/channel-record.ts";
import type { KeyChange } from "../../../src/cluster/store/cluster-store.ts";
import {
  decodeMember,
  decodeSlot,
  type SlotState,
} from "../../../src/cluster/store/member-records.ts";
import { keyOf } from "../../../src/cluster/store/revisioned-map.ts";
import type { Session } from "../../../src/cluster/store/store-keys.ts";
import { LockChecks } from "./lock-checks.ts";
import { MessageChecks } from "./message-checks.ts";
import type { SimWorld } from "./sim-world.ts";

interface SeenMember {
  readonly epoch: number;
  /** Its life's number. */
  readonly life: string;
}

export class StoreChecks {
  readonly #sim: SimWorld;
  readonly messages: MessageChecks;
  readonly #locks: LockChecks;
  readonly members = new Map<number, SeenMember>();
  readonly #slots = new Map<number, SlotState>();
  readonly #acks = new Map<number, ChannelAck>();
  /** By epoch: whose session it was. */
  readonly #lives = new Map<number, string>();
  /** By number of a life: the last session that it had. */
  readonly #sessions = new Map<string, Session>();
  /** Whose session each slot had last. */
  readonly #holders = new Map<number, string>();
  readonly #passes = new Set<number>();
  #channel: ChannelRecord = EMPTY_CHANNEL;
  /** Null: to be found out. */
  #isResting: boolean | null = null;
  /** When the message in flight was published: who was a member. */
  #receivers = new Map<number, number>();

  constructor(sim: SimWorld) {
    this.#sim = sim;
    const tell = (invariant: string, what: string): void => this.#bad(invariant, what);
    const isMember = (epoch: number): boolean =>
      [...this.members.values()].some((member) => member.epoch === epoch);
    this.#locks = new LockChecks(tell, ({ epoch }) => isMember(epoch));
    this.messages = new MessageChecks(tell, {
      get now() {
        return sim.timeline.now;
      },
      epochOf: ({ number }) =>
        [...this.members.values()].find(({ life }) => life === number)?.epoch ?? null,
      isMember,
    });
  }

  /** Every slot is free or a member's that lives, and no pass is owed. */
  get isResting(): boolean {
    this.#isResting ??= this.#doesRest();
    return this.#isResting;
  }

  sessionOf(life: string): Session | null {
    return this.#sessions.get(life) ?? null;
  }

  /** Number of the life that had the slot last. */
  holderOf(slot: number): string {
    return this.#holders.get(slot) ?? "";
  }

  /** A node is gone, or out. */
  forgetRest(): void {
    this.#isResting = null;
  }

  #doesRest(): boolean {
    if (this.#passes.size > 0) return false;
    for (const [slot, state] of this.#slots) {
      if (state.type === "free") continue;
      const member = this.members.get(slot);
      if (state.type !== "live" || member === undefined || !this.#sim.isAlive(member.life))
        return false;
    }
    return true;
  }

  get isChannelDone(): boolean {
    return this.#channel.isDone;
  }

  /** All changes of one transaction. */
  see(changes: readonly KeyChange[]): void {
    const { keys } = this.#sim;
    const before = new Map(this.#slots);
    this.#isResting = null;
    for (const change of changes) {
      const key = keyOf(change);
      const value = change.type === "put" ? change.now.value : null;
      if (!key.startsWith(keys.prefix)) continue;
      const slot = keys.slotIn(key);
      if (!key.startsWith(keys.heartbeats) && !key.startsWith(keys.locks))
        this.#sim.trace(
          null,
          () => `store: ${key.slice(keys.prefix.length)} ${value ?? "is gone"}`,
        );
      if (key === keys.channel && value !== null) this.#onChannel(decodeChannel(value));
      else if (key.startsWith(keys.locks) && value !== null) this.#onLock(key, value);
      else if (slot === null) continue;
      else if (key === keys.member(slot)) this.#onMember(slot, change);
      else if (key === keys.slot(slot)) this.#slots.set(slot, decodeSlot(value));
      else if (key === keys.pass(slot)) this.#onPass(slot, value);
      else if (key === keys.ack(slot) && value !== null) this.#onAck(slot, decodeAck(value));
    }
    for (const [slot, state] of this.#slots) this.#onSlot(slot, before.get(slot), state);
    for (const [slot, { life }] of this.members) this.#holders.set(slot, life);
  }

  #onPass(slot: number, value: string | null): void {
    if (value === null) this.#passes.delete(slot);
    else this.#passes.add(slot);
  }

  #onMember(slot: number, change: KeyChange): void {
    if (change.type === "delete") {
      this.members.delete(slot);
      return;
    }
    const { createRevision: epoch, value } = change.now;
    if (this.members.get(slot)?.epoch === epoch) return;
    if (this.members.has(slot)) this.#bad("I8", `slot ${slot} is taken twice`);
    if (this.#lives.has(epoch)) this.#bad("I8", `epoch ${epoch} is used twice`);
    const { life } = decodeMember(value);
    this.members.set(slot, { epoch, life });
    this.#lives.set(epoch, life);
    this.#sessions.set(life, { slot, epoch });
    this.#sim.onSession(life);
  }

  #onSlot(slot: number, was: SlotState = { type: "free" }, now: SlotState): void {
    if (was === now) return;
    if (now.type === "free" && was.type === "dead")
      this.#bad("I8", `slot ${slot} is free, and nobody has recovered it`);
    if (now.type === "recovering") this.#sim.onRecovery(this.#lives.get(now.epoch) ?? "");
    // Adopted where nobody is left to recover it: its bits are the new session's own. That may be
    // of the very life that had it: one that lost its session before its array ran.
    const holder = this.#holders.get(slot);
    const isAnother = holder !== this.members.get(slot)?.life;
    if (now.type === "live" && was.type !== "free" && isAnother) this.#sim.onRecovery(holder ?? "");
    if (now.type === "dead") this.#sim.onSlotDead(slot);
  }

  #onLock(key: string, value: string): void {
    const resource = decodeResource(value, LVB_BYTES);
    const name = key.slice(this.#sim.keys.locks.length);
    this.#locks.see(name, resource);
    const slot = /^bitmap(\d{4})$/.exec(name)?.[1];
    if (slot !== undefined && resource.lvb !== null)
      this.messages.rangeTold(Number(slot), resource.lvb);
  }

  #onAck(slot: number, ack: ChannelAck): void {
    const life = this.#sim.lifeOf(this.#lives.get(ack.epoch) ?? "");
    if (life !== null) this.messages.acknowledged(life, this.#acks.get(slot), ack);
    this.#acks.set(slot, ack);
  }

  #onChannel(now: ChannelRecord): void {
    const was = this.#channel;
    this.#channel = now;
    if (now.seq !== was.seq) {
      if (now.seq !== was.seq + 1) this.#bad("I5", `message ${now.seq} follows ${was.seq}`);
      if (!was.isDone) this.#bad("I5", `message ${now.seq} is sent before ${was.seq} is finished`);
      this.#receivers = new Map(
        [...this.members].flatMap(([slot, { epoch }]) =>
          this.#acks.get(slot)?.epoch === epoch ? [[slot, epoch]] : [],
        ),
      );
      this.messages.published(now);
    }
    if (was.seq === now.seq && !was.isDone && now.isDone) this.#onDone(now);
  }

  #onDone({ seq, origin }: ChannelRecord): void {
    if (this.messages.type === "metadata-updated") this.#sim.mediaChecks.updateDone();
    for (const [slot, epoch] of this.#receivers) {
      const isThere = this.members.get(slot)?.epoch === epoch;
      const isOrigin = origin?.slot === slot && origin.epoch === epoch;
      const ack = this.#acks.get(slot);
      const hasAcked = ack?.epoch === epoch && ack.seq >= seq;
      if (isThere && !isOrigin && !hasAcked)
        this.#bad("I7", `message ${seq} is finished, and slot ${slot} has not acknowledged it`);
    }
  }

  #bad(invariant: string, what: string): void {
    this.#sim.violate(`${invariant}: ${what}`);
  }
}

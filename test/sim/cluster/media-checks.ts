/**
 * Looks at each call of a node to a medium, and at each effect: the invariants of the fake disk.
 *   I9  no write of a session takes effect after somebody began to recover it
 *   I10 no client write takes effect in a range that its node has agreed to suspend
 *   I11 before a client write begins, its bits are durable on every in-sync leg
 *   I12 a bit is cleared only where all in-sync copies are equal, or another slot's bit stays
 *   I13 reads are not balanced on a node that was told of a recovery
 *   I15 no client reads a member that failed or is gone, once all nodes know
 *   I16 nothing begins after the node was expelled; and nothing behind a closed gate
 */

import { LEG_BLOCKED, LEG_IN_SYNC, LEG_NONE } from "../../../src/raid/shared-state.ts";
import {
  bitsUnder,
  CLUSTER_GEOMETRY,
  chunkAt,
  hasBitIn,
  isSuperblockAt,
  type MediaRoles,
  rolesOn,
} from "./cluster-media.ts";
import type {
  Caller,
  CallerLife,
  MediumWatch,
  MediumWrite,
  SharedMedium,
} from "./shared-medium.ts";
import type { SimWorld, UpdateWatch } from "./sim-world.ts";

const { dataAt, chunkBytes } = CLUSTER_GEOMETRY;

export class MediaChecks implements MediumWatch, UpdateWatch {
  readonly #sim: SimWorld;
  #roles: MediaRoles | null = null;
  /** Faulty or gone ever since an update that all nodes have read. */
  readonly #out = new Set<SharedMedium>();

  constructor(sim: SimWorld) {
    this.#sim = sim;
  }

  get roles(): MediaRoles {
    if (this.#roles === null) {
      this.#roles = rolesOn(this.#sim.counted);
      for (const medium of inUse(this.#roles)) this.#out.delete(medium);
      this.#sim.rolesChanged();
    }
    return this.#roles;
  }

  /** Superblocks have changed, in a way of their own. */
  forgetRoles(): void {
    this.#roles = null;
  }

  updateDone(): void {
    const used = inUse(this.roles);
    for (const medium of this.#sim.media) if (!used.includes(medium)) this.#out.add(medium);
  }

  reads(medium: SharedMedium, caller: Caller, offset: number): void {
    if (this.#isServed(medium, caller)) return;
    const { life, isClient } = caller;
    this.#mayBegin(life);
    if (!isClient || offset < dataAt) return;
    this.#sim.service?.reads(medium, life);
    // One that is rebuilt is read by who has rebuilt it, just before that is recorded. What a
    // closed gate held goes on when it opens: nobody takes what a member that was given up answers.
    const isUsed = inUse(this.roles).includes(medium) || hasGivenUp(life, medium);
    if (!isUsed && this.#out.has(medium))
      this.#bad("I15", life.node, `reads ${medium.path}, which all know to be out`);
    if (life.isBalancingSuspended && life.shared?.balances === true)
      this.#bad("I13", life.node, "balances reads while a node is being recovered");
  }

  begins(medium: SharedMedium, caller: Caller, offset: number, length: number): void {
    if (this.#isServed(medium, caller)) return;
    const { life, isClient } = caller;
    this.#mayBegin(life);
    if (isClient && length > 0 && offset >= dataAt) this.#haveBits(medium, life, offset, length);
  }

  takesEffect(medium: SharedMedium, write: MediumWrite): void {
    const { caller, offset, data } = write;
    const { life, isClient } = caller;
    if (this.#sim.isTraced) {
      const who = isClient ? "client" : "array";
      this.#sim.trace(life, `${who} wrote ${medium.path} ${offset}+${data.length}`);
    }
    const { service } = this.#sim;
    if (this.#sim.recovered.has(life) && service !== null) service.late(medium, write);
    else if (this.#sim.recovered.has(life))
      this.#bad("I9", life.node, `a write at ${offset} after its recovery began`);
    if (offset < dataAt) {
      this.#clears(medium, write);
      if (isSuperblockAt(offset, data.length)) this.#roles = null;
    } else if (isClient) {
      const { inSync, rebuilding } = this.roles;
      // What a member that failed was sent before may still reach it: nobody reads it there.
      const isUsed = inSync.includes(medium) || rebuilding.includes(medium);
      if (isUsed && !hasGivenUp(life, medium))
        for (const [from, to] of this.#ranges(medium, life, offset, data.length))
          this.#isAllowed(life, from, to);
      this.#sim.planted.clientWrote(this.#sim, medium, write);
    }
  }

  /** It was looked at when the node asked for it; now a board carries it out. */
  #isServed(medium: SharedMedium, caller: Caller): boolean {
    if (caller.via !== undefined) this.#sim.service?.serves(medium, caller, caller.via);
    return caller.via !== undefined;
  }

  #mayBegin(life: CallerLife): void {
    if (life.isExpelled) this.#bad("I16", life.node, "a call begins after the node was expelled");
    else if (life.isGated && life.clock.now() >= life.gateUntil)
      this.#bad("I16", life.node, "a call begins behind a closed gate");
  }

  /** The array's bytes that a life's workers mean by these of a medium. */
  #ranges(
    medium: SharedMedium,
    life: CallerLife,
    offset: number,
    length: number,
  ): readonly (readonly [number, number])[] {
    const { shared, legs } = life;
    let slot = 0;
    for (const [leg, other] of legs)
      if (other === medium && shared !== null && shared.leg(leg) !== LEG_NONE)
        slot = leg % shared.map.raidSlots;
    return this.#sim.copies.ranges(slot, offset - dataAt, length);
  }

  #haveBits(medium: SharedMedium, life: CallerLife, offset: number, length: number): void {
    for (const [from, to] of this.#ranges(medium, life, offset, length)) {
      const first = Math.floor(from / chunkBytes);
      const last = Math.floor((to - 1) / chunkBytes);
      for (const [leg, other] of life.legs) {
        if (life.shared?.leg(leg) !== LEG_IN_SYNC) continue;
        for (let chunk = first; chunk <= last; chunk++)
          if (!hasBitIn(other.durable, life.slot, chunk))
            this.#bad("I11", life.node, `writes chunk ${chunk} without its bit on ${other.path}`);
      }
    }
  }

  #isAllowed(life: CallerLife, from: number, to: number): void {
    for (const [slot, [start, end]] of life.suspended)
      if (from < end && start < to)
        this.#bad("I10", life.node, `writes at ${from}, which slot ${slot} resyncs`);
  }

  #clears(medium: SharedMedium, { caller, offset, data }: MediumWrite): void {
    for (const { slot, from, to } of bitsUnder(offset, data.length, this.#sim.nodes))
      for (let at = from; at < to; at++) {
        const cleared = (medium.current[at] ?? 0) & ~(data[at - offset] ?? 0);
        if (cleared === 0 || !this.roles.inSync.includes(medium)) continue;
        for (let bit = 0; bit < 8; bit++)
          if ((cleared & (1 << bit)) !== 0)
            this.#mayClear(medium, caller, slot, chunkAt(slot, at) + bit);
      }
  }

  #mayClear(medium: SharedMedium, { life }: Caller, slot: number, chunk: number): void {
    const { nodes, copies } = this.#sim;
    for (let other = 0; other < nodes; other++)
      if (other !== slot && hasBitIn(medium.current, other, chunk)) return;
    const difference = copies.difference(this.roles, "current", chunk * chunkBytes, chunkBytes);
    if (difference !== null)
      this.#bad("I12", life.node, `clears bit ${chunk} of slot ${slot}: ${difference}`);
  }

  #bad(invariant: string, node: number, what: string): void {
    this.#sim.violate(`${invariant}: node ${node} ${what}`);
  }
}

/** The node has it recorded as faulty, and answers no write before that is done. */
const hasGivenUp = ({ legs, shared }: CallerLife, medium: SharedMedium): boolean =>
  [...legs].some(([leg, other]) => other === medium && shared?.leg(leg) === LEG_BLOCKED);

const inUse = ({ inSync, rebuilding }: MediaRoles): readonly SharedMedium[] => [
  ...inSync,
  ...rebuilding,
];

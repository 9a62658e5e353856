/**
 * Looks at each call of a node to a medium, and at each effect: the invariants of the fake disk.
 *   I9  no write of a session takes effect after somebody began to recover it
 *   I10 no client write takes effect in a range that its node has agreed to suspend
 *   I11 before a client write begins, its bits are durable on every in-sync leg
 *   I12 a bit is cleared only where all in-sync copies are equal, or another slot's bit stays
 *   I16 nothing begins after the node was expelled; and nothing behind a closed gate
 */

import { LEG_IN_SYNC } from "../../../src/raid/shared-state.ts";
import {
  bitsAt,
  CLUSTER_GEOMETRY,
  hasBitIn,
  isEqualOn,
  type MediaRoles,
  rolesOn,
} from "./cluster-media.ts";
import type { Caller, MediumWatch, MediumWrite, SharedMedium } from "./shared-medium.ts";
import type { SimWorld } from "./sim-world.ts";

const { dataAt, chunkBytes, arrayBytes } = CLUSTER_GEOMETRY;

export class MediaChecks implements MediumWatch {
  readonly #sim: SimWorld;
  #version = -1;
  #roles: MediaRoles = { inSync: [], rebuilding: [] };

  constructor(sim: SimWorld) {
    this.#sim = sim;
  }

  /** As the superblocks give them now. */
  get roles(): MediaRoles {
    const version = this.#sim.media.reduce((sum, medium) => sum + medium.metadataVersion, 0);
    if (version !== this.#version) this.#roles = rolesOn(this.#sim.media);
    this.#version = version;
    return this.#roles;
  }

  begins(medium: SharedMedium, { life, isClient }: Caller, offset: number, length: number): void {
    if (life.isExpelled) this.#bad("I16", life.node, "a call begins after the node was expelled");
    else if (life.isGated && life.clock.now() >= life.gateUntil)
      this.#bad("I16", life.node, "a call begins behind a closed gate");
    if (isClient && length > 0 && offset >= dataAt) this.#haveBits(medium, life, offset, length);
  }

  takesEffect(medium: SharedMedium, write: MediumWrite): void {
    const { caller, offset, data } = write;
    const { life, isClient } = caller;
    if (this.#sim.isTraced) {
      const who = isClient ? "client" : "array";
      this.#sim.trace(life, `${who} wrote ${medium.path} ${offset}+${data.length}`);
    }
    if (this.#sim.recovered.has(life))
      this.#bad("I9", life.node, `a write at ${offset} after its recovery began`);
    if (offset < dataAt) this.#clears(medium, write);
    else if (isClient) {
      const { inSync, rebuilding } = this.roles;
      // What a member that failed was sent before may still reach it: nobody reads it there.
      if (inSync.includes(medium) || rebuilding.includes(medium))
        this.#isAllowed(caller, offset - dataAt, data.length);
      this.#sim.planted.clientWrote(this.#sim, medium, write);
    }
  }

  #haveBits(_: SharedMedium, life: Caller["life"], offset: number, length: number): void {
    const first = Math.floor((offset - dataAt) / chunkBytes);
    const last = Math.floor((offset + length - 1 - dataAt) / chunkBytes);
    for (const [leg, medium] of life.legs) {
      if (life.shared?.leg(leg) !== LEG_IN_SYNC) continue;
      for (let chunk = first; chunk <= last; chunk++)
        if (!hasBitIn(medium.durable, life.slot, chunk))
          this.#bad("I11", life.node, `writes chunk ${chunk} without its bit on ${medium.path}`);
    }
  }

  #isAllowed({ life }: Caller, offset: number, length: number): void {
    for (const [slot, [from, to]] of life.suspended)
      if (offset < to && from < offset + length)
        this.#bad("I10", life.node, `writes at ${offset}, which slot ${slot} resyncs`);
  }

  #clears(medium: SharedMedium, { caller, offset, data }: MediumWrite): void {
    const { nodes } = this.#sim;
    for (let at = 0; at < data.length; at++) {
      const cleared = (medium.current[offset + at] ?? 0) & ~(data[at] ?? 0);
      const place = cleared === 0 ? null : bitsAt(offset + at, nodes);
      if (place === null || !this.roles.inSync.includes(medium)) continue;
      for (let bit = 0; bit < 8; bit++)
        if ((cleared & (1 << bit)) !== 0)
          this.#mayClear(medium, caller, place.slot, place.chunk + bit);
    }
  }

  #mayClear(medium: SharedMedium, { life }: Caller, slot: number, chunk: number): void {
    const { nodes } = this.#sim;
    for (let other = 0; other < nodes; other++)
      if (other !== slot && hasBitIn(medium.current, other, chunk)) return;
    const from = chunk * chunkBytes;
    const length = Math.min(chunkBytes, arrayBytes - from);
    for (const other of this.roles.inSync)
      if (!isEqualOn(medium.current, other.current, from, length))
        this.#bad(
          "I12",
          life.node,
          `clears bit ${chunk} of slot ${slot}: ${medium.path} and ${other.path} differ`,
        );
  }

  #bad(invariant: string, node: number, what: string): void {
    this.#sim.violate(`${invariant}: node ${node} ${what}`);
  }
}

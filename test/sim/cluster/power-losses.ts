/**
 * What members may lack whose board has lost its power before all was flushed, and when the fault
 * model allows that it is lost for good: nobody was left who would have recorded them as faulty.
 */

import { readNewest } from "../../../src/cluster/store/copy-records.ts";
import { type MediaRoles, rolesOn, superblockOf } from "./cluster-media.ts";
import type { ClusterSim } from "./cluster-sim.ts";
import type { NodeLife } from "./node-life.ts";
import type { SharedMedium } from "./shared-medium.ts";

export class PowerLosses {
  readonly #sim: ClusterSim;
  /** In sync by the superblocks of all. */
  readonly #inSync = new Set<SharedMedium>();
  /** Out by those of others, and not rebuilt: where the others are gone, it may count again. */
  readonly #out = new Set<SharedMedium>();

  constructor(sim: ClusterSim) {
    this.#sim = sim;
  }

  has(medium: SharedMedium): boolean {
    return this.#inSync.has(medium);
  }

  /** BEFORE the roles are asked for anew. */
  add(medium: SharedMedium, { inSync }: MediaRoles): void {
    if (inSync.includes(medium)) this.#inSync.add(medium);
  }

  clear(): void {
    this.#inSync.clear();
    this.#out.clear();
  }

  rolesChanged({ inSync, rebuilding }: MediaRoles): void {
    for (const medium of this.#inSync) {
      if (inSync.includes(medium)) continue;
      this.#inSync.delete(medium);
      this.#out.add(medium);
    }
    for (const medium of rebuilding) this.#out.delete(medium);
  }

  /** A node that begins has opened these, and lacks what they lack: it is nobody's any more. */
  isLost(life: NodeLife, opened: readonly SharedMedium[]): boolean {
    if (this.#isRunBesides(life)) return false;
    return this.#inSync.size > 0 || (this.#out.size > 0 && this.#countsAgain(opened));
  }

  #countsAgain(opened: readonly SharedMedium[]): boolean {
    const { etcd, keys } = this.#sim;
    const told = readNewest(etcd.memory.map.get(keys.newest)?.value ?? "") ?? 0;
    const events = opened.map(({ current }) => superblockOf(current)?.events ?? 0);
    if (opened.length === 0 || Math.max(...events) < told) return false;
    return rolesOn(opened).inSync.some((medium) => this.#out.has(medium));
  }

  /**
   * Somebody is up who would record it. Who is up all the same has been fenced, maybe while they
   * were opened, or is broken and leaves; an exporter may know that before this node does.
   */
  #isRunBesides({ number }: NodeLife): boolean {
    const { etcd, keys, storeChecks, nodes } = this.#sim;
    const own = storeChecks.sessionOf(number)?.slot;
    const isRun = (slot: number): boolean =>
      etcd.memory.map.get(keys.entered(slot)) !== null &&
      this.#sim.lifeOf(storeChecks.holderOf(slot))?.isBroken !== true;
    return Array.from({ length: nodes }, (_, at) => at + 1).some(
      (slot) => slot !== own && isRun(slot),
    );
  }
}

/**
 * A start by force, as an administrator has it: a board is away for so long that the others go on
 * without its copies; then these lose their power, and only older copies are there. No node starts
 * from them, so he insists (`--run`). Later the others are switched on again: their copies have run
 * apart.
 */

import type { BoardHost } from "./board-host.ts";
import type { BoardsSim } from "./boards-sim.ts";
import type { SharedMedium } from "./shared-medium.ts";

/** The others have a lease to wait for, and go on for a while; milliseconds. */
const AWAY_MS = [13_000, 17_000, 24_000];
const OFF_MS = [25_000, 35_000, 50_000];
/** Between those that are switched on again. */
const ON_MS = 4000;

export class BoardForce {
  readonly #sim: BoardsSim;
  #isUnderWay = false;

  constructor(sim: BoardsSim) {
    this.#sim = sim;
  }

  /** Unless one is under way, or one of the sides lacks a part of the array. */
  begin({ node }: { readonly node: number }): void {
    const { copies, mediaChecks, prng, timeline, hosts } = this.#sim;
    const left = this.#sim.hostAt(node);
    const isLeft = (medium: SharedMedium): boolean => left.has(medium);
    const { roles } = mediaChecks;
    if (this.#isUnderWay || !copies.survives(roles, isLeft)) return;
    if (!copies.survives(roles, (medium) => !isLeft(medium))) return;
    this.#isUnderWay = true;
    const ms = prng.pick(AWAY_MS);
    this.#sim.trace(null, `${left.name} is left behind for ${ms} ms`);
    if (prng.below(2) === 0) this.#switchOff(left, ms);
    else this.#cutOff(left, ms);
    timeline.after(ms, null, () => {
      const offMs = prng.pick(OFF_MS);
      for (const host of hosts) if (host !== left) this.#switchOff(host, offMs);
      left.isWatched = true;
      this.#sim.boot(left.board);
      timeline.after(offMs, null, () => {
        left.isWatched = false;
        left.isForced = false;
        this.#isUnderWay = false;
      });
    });
  }

  #switchOff(host: BoardHost, ms: number): void {
    const { timeline, prng } = this.#sim;
    host.board.isWanted = false;
    this.#sim.losePower(host.board);
    host.offUntil = timeline.now + ms;
    timeline.after(ms + prng.below(ON_MS), null, () => this.#sim.boot(host.board));
  }

  /** It reaches neither boards nor the store. */
  #cutOff(host: BoardHost, ms: number): void {
    const { links, hosts, timeline } = this.#sim;
    const others = hosts.filter((other) => other !== host).map(({ board }) => board.node);
    const { node } = host.board;
    host.isCutOff = true;
    for (const other of others) {
      links.cut(node, other);
      links.cut(other, node);
    }
    timeline.after(ms, null, () => {
      host.isCutOff = false;
      for (const other of others) {
        links.heal(node, other);
        links.heal(other, node);
      }
    });
  }
}

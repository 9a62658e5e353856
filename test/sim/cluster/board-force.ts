/**
 * A start by force, as an administrator has it: a board is away for so long that the others go on
 * without its copies; then these lose their power, and only older copies are there. No node starts
 * from them, so he insists (`--run`). Later the others are switched on again: their copies have run
 * apart.
 */

import type { BoardHost } from "./board-host.ts";
import type { BoardsSim } from "./boards-sim.ts";

/** Until the others lose their power, milliseconds. */
const LIMIT_MS = 30_000;
const LOOK_MS = 500;
/** They go on without it for a while. */
const ALONE_MS = [200, 2000, 8000];
const OFF_MS = [25_000, 35_000, 50_000];
/** Between those that are switched on again. */
const ON_MS = 4000;

export class BoardForce {
  readonly #sim: BoardsSim;

  constructor(sim: BoardsSim) {
    this.#sim = sim;
  }

  /** Unless one is under way, or one of the sides lacks a part of the array. */
  begin({ node }: { readonly node: number }): void {
    const { copies, mediaChecks, prng, timeline, up } = this.#sim;
    const left = this.#sim.hostAt(node);
    const { roles } = mediaChecks;
    if (this.#sim.isForcing || !up.some((life) => life.node !== node)) return;
    if (!copies.survives(roles, (medium) => left.has(medium))) return;
    if (!copies.survives(roles, (medium) => !left.has(medium))) return;
    this.#sim.isForcing = true;
    this.#sim.trace(null, `${left.name} is left behind`);
    const isOff = prng.below(2) === 0;
    if (isOff) this.#switchOff(left, LIMIT_MS);
    else this.#cutOff(left);
    this.#untilLeft(left, timeline.now + LIMIT_MS);
  }

  /** The others have gone on without its copies, or will not do so in time. */
  #untilLeft(left: BoardHost, limit: number): void {
    const { mediaChecks, prng, timeline } = this.#sim;
    const isLeft = ![...left.disks.values()].some((medium) =>
      mediaChecks.roles.inSync.includes(medium),
    );
    if (isLeft || timeline.now >= limit)
      timeline.after(prng.pick(ALONE_MS), null, () => this.#swap(left, isLeft));
    else timeline.after(LOOK_MS, null, () => this.#untilLeft(left, limit));
  }

  /** It is there again; `isLeft`: and the others are not. */
  #swap(left: BoardHost, isLeft: boolean): void {
    const { hosts, prng, timeline } = this.#sim;
    const ms = isLeft ? prng.pick(OFF_MS) : 0;
    for (const host of hosts) if (isLeft && host !== left) this.#switchOff(host, ms);
    if (isLeft) this.#sim.count("left behind");
    left.isHurried = isLeft;
    left.isInsisted = isLeft;
    left.offUntil = 0;
    this.#connect(left);
    this.#sim.boot(left.board);
    timeline.after(ms, null, () => {
      left.isHurried = false;
      left.isInsisted = false;
      left.isForced = false;
      this.#sim.isForcing = false;
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
  #cutOff(host: BoardHost): void {
    const { links, hosts } = this.#sim;
    const { node } = host.board;
    host.isCutOff = true;
    for (const { board } of hosts) {
      links.cut(node, board.node);
      links.cut(board.node, node);
    }
  }

  #connect(host: BoardHost): void {
    const { links, hosts } = this.#sim;
    const { node } = host.board;
    host.isCutOff = false;
    for (const { board } of hosts) {
      links.heal(node, board.node);
      links.heal(board.node, node);
    }
  }
}

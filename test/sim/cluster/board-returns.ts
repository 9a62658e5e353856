/**
 * What control does on each board: a disk of its own whose superblock names the running array, and
 * which the array does not use, is brought back, by the bits if that can be, else as a whole. What
 * went on apart from the array is left to an administrator.
 */

import { ranApartByForce } from "../../../src/cluster/node/cluster-view.ts";
import type { CommandOutcome } from "../../../src/raid/array-messages.ts";
import type { BoardHost, BoardProcess } from "./board-host.ts";
import { superblockOf } from "./cluster-media.ts";
import type { ClusterSim } from "./cluster-sim.ts";
import type { NodeLife } from "./node-life.ts";
import type { SharedMedium } from "./shared-medium.ts";
import type { Delay } from "./timeline.ts";

/** Between looks; milliseconds. */
const PAUSE: Delay = { usual: 2000, oneIn: 4, most: 8000 };

export class BoardReturns {
  readonly #sim: ClusterSim;

  constructor(sim: ClusterSim) {
    this.#sim = sim;
  }

  watch(host: BoardHost, process: BoardProcess): void {
    const { timeline } = this.#sim;
    process.clock.after(timeline.draw(PAUSE), () => {
      if (!process.isReturning) void this.#look(host, process);
      this.watch(host, process);
    });
  }

  async #look(host: BoardHost, process: BoardProcess): Promise<void> {
    const { life } = host.board;
    if (life?.isUp !== true || life.isChanging) return;
    for (const medium of host.disks.values()) {
      const states = statesOf(life, medium);
      const isUsed = states !== null && !states.includes("faulty");
      const superblock = superblockOf(medium.current);
      const { forced } = life;
      if (isUsed || superblock === null || ranApartByForce(superblock.events, { forced })) continue;
      process.isReturning = true;
      await this.#bringBack(life, medium);
      process.isReturning = false;
      return;
    }
  }

  async #bringBack(life: NodeLife, medium: SharedMedium): Promise<void> {
    const again = await this.#told("re-add", life.join("re-add", medium));
    if (again.ok || again.code !== "RAID_RE_ADD_REFUSED") return;
    await this.#told("add", life.join("add", medium));
  }

  async #told(what: string, outcome: Promise<CommandOutcome>): Promise<CommandOutcome> {
    const result = await outcome;
    this.#sim.count(`returns: ${what} ${result.ok ? "ok" : result.code}`);
    return result;
  }
}

/** Null: the array does not list it. */
const statesOf = ({ driver }: NodeLife, { path }: SharedMedium): readonly string[] | null =>
  driver?.status.members.find((member) => member.path === path)?.states ?? null;

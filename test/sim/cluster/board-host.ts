/**
 * A board of the simulated cluster: its disks, and the process that serves them to its peers and
 * runs its node. Both die and freeze together; when the machine loses its power, what no flush has
 * stored on its disks is there or not.
 */

import { boardName } from "./board-links.ts";
import type { Board } from "./cluster-sim.ts";
import type { NodeLife } from "./node-life.ts";
import type { SharedDevice } from "./shared-device.ts";
import type { SharedMedium } from "./shared-medium.ts";
import type { SimExporter } from "./sim-exporter.ts";
import { type Life, NodeClock, type Timeline } from "./timeline.ts";

export class BoardProcess implements Life {
  isDead = false;
  frozenUntil = 0;
  readonly boot: string;
  readonly clock: NodeClock;
  /** Nodes that it has run. */
  readonly nodes: NodeLife[] = [];
  /** Handles of its exporter. */
  readonly devices: SharedDevice[] = [];
  exporter: SimExporter | null = null;
  /** A node is about to start, as soon as the members are there. */
  isStarting = false;
  /** A disk of its own is being brought back. */
  isReturning = false;

  constructor(boot: string, timeline: Timeline, rate: number, zero: number) {
    this.boot = boot;
    this.clock = new NodeClock(timeline, this, rate, zero);
  }
}

export class BoardHost {
  readonly board: Board;
  readonly name: string;
  /** By the disk's id. */
  readonly disks: ReadonlyMap<string, SharedMedium>;
  process: BoardProcess | null = null;
  /** The store does not answer it. */
  isCutOff = false;
  /** The store's member that it talks to has been deposed, and does not know. */
  isDeposed = false;
  /** Calls of processes that are dead reach its disks until then. */
  busyUntil = 0;
  /** Nobody switches it on before. */
  offUntil = 0;
  /** An administrator has its node start at once, whoever else is there. */
  isHurried = false;
  /** He has it start by force, when that was refused for older copies. */
  isInsisted = false;
  isForced = false;

  constructor(board: Board, disks: ReadonlyMap<string, SharedMedium>) {
    this.board = board;
    this.name = boardName(board.node);
    this.disks = disks;
  }

  has(medium: SharedMedium): boolean {
    return [...this.disks.values()].includes(medium);
  }
}

/** The id of a disk on its board. */
export const diskId = ({ path }: SharedMedium): string => path.slice(path.lastIndexOf("/") + 1);

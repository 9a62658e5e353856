/**
 * Bad luck of boards that serve their disks to each other: machines that lose their power,
 * processes, threads and disks that hang, ways between boards that are cut, in one direction or
 * both, boards that reach no store or one that tells them old things, leases that end too early or
 * are kept for too long, a store that is full; and administrators who start from older copies.
 */

import { assert } from "../../../src/common/assert.ts";
import { BoardForce } from "./board-force.ts";
import type { BoardsSim } from "./boards-sim.ts";
import type { OwnMoves } from "./cluster-nemesis.ts";
import type { Board } from "./cluster-sim.ts";

const SHARES = [
  ["board loses power", 5],
  ["all lose power", 1],
  ["board freezes", 7],
  ["node hangs", 3],
  ["exports hang", 3],
  ["disk hangs", 6],
  ["way cut", 5],
  ["board alone", 5],
  ["board off the store", 4],
  ["deposed leader", 4],
  ["session ends", 6],
  ["leases kept", 2],
  ["store restarts", 1],
  ["store full", 1],
  ["forced start", 5],
] as const;

type BoardMove = (typeof SHARES)[number][0];

/** For how long, milliseconds. */
const SHORT = [50, 800, 3000, 9000, 20_000];
const HANGS = [300, 1500, 5000, 9000];
const LONG = [300, 3000, 8000, 15_000, 30_000];

export class BoardNemesis implements OwnMoves {
  readonly shares = SHARES;
  readonly gapsMs = [1000, 3000, 7000];
  /** Moves of boards that share disks which these have in a form of their own, or not at all. */
  readonly without: ReadonlySet<string> = new Set(["freeze", "cut off", "power cut", "hide"]);
  readonly #sim: BoardsSim;
  readonly #force: BoardForce;

  constructor(sim: BoardsSim) {
    this.#sim = sim;
    this.#force = new BoardForce(sim);
  }

  act(name: string, board: Board): void {
    const sim = this.#sim;
    const { timeline, prng, etcd } = sim;
    const move = name as BoardMove;
    sim.count(move);
    switch (move) {
      case "board loses power":
        return sim.losePower(board);
      case "all lose power":
        sim.cutPower();
        for (const one of sim.boards) timeline.after(prng.below(5000), null, () => sim.boot(one));
        return;
      case "board freezes":
        return this.#freeze(board, "all");
      case "node hangs":
        return this.#freeze(board, "node");
      case "exports hang":
        return this.#freeze(board, "exporter");
      case "disk hangs": {
        const medium = prng.pick(sim.media);
        const ms = prng.pick(HANGS);
        sim.trace(null, `${medium.path} hangs for ${ms} ms`);
        medium.hangsUntil = timeline.now + ms;
        return;
      }
      case "way cut":
        return this.#cutWay(board.node);
      case "board alone":
        return this.#alone(board);
      case "board off the store":
        return this.#offStore(board);
      case "deposed leader":
        return this.#depose(board);
      case "session ends": {
        const { leases } = etcd.memory;
        if (leases.length > 0) etcd.memory.end(prng.pick(leases));
        return;
      }
      case "leases kept": {
        const ms = prng.pick(LONG);
        sim.trace(null, `no lease ends for ${ms} ms`);
        sim.leasesKeptUntil = timeline.now + ms;
        return;
      }
      case "store restarts":
        etcd.isAway = true;
        timeline.after(prng.pick(LONG), null, () => {
          etcd.restart();
          etcd.isAway = false;
        });
        return;
      case "store full":
        etcd.isFull = true;
        timeline.after(prng.pick(LONG), null, () => {
          etcd.isFull = false;
        });
        return;
      case "forced start":
        return this.#force.begin(board);
      default:
        assert(false, `no move ${name}`);
    }
  }

  #freeze(board: Board, what: "all" | "node" | "exporter"): void {
    const ms = this.#sim.prng.pick(SHORT) * (0.5 + this.#sim.prng.below(100) / 100);
    this.#sim.trace(null, `board ${board.node} freezes for ${ms.toFixed(0)} ms: ${what}`);
    this.#sim.freeze(board, ms, what);
  }

  #cutWay(from: number): void {
    const { links, boards, prng, timeline } = this.#sim;
    const to = prng.below(boards.length);
    const isBoth = prng.below(2) === 0;
    const ms = prng.pick(LONG);
    this.#sim.trace(
      null,
      `board ${from} to ${to} is cut for ${ms} ms${isBoth ? ", both ways" : ""}`,
    );
    links.cut(from, to);
    if (isBoth) links.cut(to, from);
    timeline.after(ms, null, () => {
      links.heal(from, to);
      links.heal(to, from);
    });
  }

  /** It reaches no other board; perhaps the store. */
  #alone({ node }: Board): void {
    const { links, boards, prng, timeline } = this.#sim;
    const ms = prng.pick(LONG);
    const isOff = prng.below(2) === 0;
    const host = this.#sim.hostAt(node);
    this.#sim.trace(null, `board ${node} is alone for ${ms} ms${isOff ? ", without store" : ""}`);
    const others = boards.map((board) => board.node).filter((other) => other !== node);
    for (const other of others) {
      links.cut(node, other);
      links.cut(other, node);
    }
    if (isOff) host.isCutOff = true;
    timeline.after(ms, null, () => {
      for (const other of others) {
        links.heal(node, other);
        links.heal(other, node);
      }
      if (isOff) host.isCutOff = false;
    });
  }

  #offStore({ node }: Board): void {
    const { prng, timeline } = this.#sim;
    const host = this.#sim.hostAt(node);
    const ms = prng.pick(LONG);
    this.#sim.trace(null, `board ${node} is off the store for ${ms} ms`);
    host.isCutOff = true;
    timeline.after(ms, null, () => {
      host.isCutOff = false;
    });
  }

  #depose({ node }: Board): void {
    const { prng, timeline } = this.#sim;
    const host = this.#sim.hostAt(node);
    const ms = prng.pick(LONG);
    this.#sim.trace(null, `board ${node} talks to a deposed leader for ${ms} ms`);
    host.isDeposed = true;
    timeline.after(ms, null, () => {
      host.isDeposed = false;
    });
  }
}

/**
 * Bad luck and administrators: nodes that die, hang, stop and start, a store that is away or ends
 * sessions, media that fail for one node or for all, boards that reach no medium, members that are
 * failed, removed and added on any node, sync actions, changes of the array as a whole, power cuts.
 */

import { assert } from "../../../src/common/assert.ts";
import type { ArrayChange } from "../../../src/raid/array-change.ts";
import type { CommandOutcome } from "../../../src/raid/array-messages.ts";
import type { Board, ClusterSim } from "./cluster-sim.ts";
import type { NodeLife } from "./node-life.ts";
import type { MediumFault, SharedMedium } from "./shared-medium.ts";

type Move =
  | "crash"
  | "boot"
  | "freeze"
  | "cut off"
  | "store away"
  | "lease ends"
  | "power cut"
  | "medium fails"
  | "medium heals"
  | "fail"
  | "remove"
  | "add"
  | "re-add"
  | "check"
  | "repair"
  | "idle"
  | "stop"
  | "hide"
  | "change"
  | "fails in resync"
  | "cable";

/** Moves of a story of its own. */
export interface OwnMoves {
  readonly shares: readonly (readonly [string, number])[];
  /** One of them, about, is between two moves. */
  readonly gapsMs: readonly number[];
  /** Moves that do not happen in it. */
  readonly without: ReadonlySet<string>;
  act(move: string, board: Board): void;
}

/** How often each happens, against the others. */
const SHARES: readonly (readonly [Move, number])[] = [
  ["crash", 8],
  ["boot", 12],
  ["freeze", 8],
  ["cut off", 6],
  ["store away", 2],
  ["lease ends", 3],
  ["power cut", 1],
  ["medium fails", 6],
  ["medium heals", 5],
  ["fail", 5],
  ["remove", 6],
  ["add", 5],
  ["re-add", 7],
  ["check", 6],
  ["repair", 4],
  ["idle", 1],
  ["stop", 4],
  ["hide", 1],
  ["change", 5],
  ["fails in resync", 4],
  ["cable", 6],
];
const GAPS_MS: readonly number[] = [400, 1500, 4000];
const SECTOR = 512;
/** About as long as a change takes, milliseconds. */
const CHANGE_MS = 300;
/** Raid devices that a raid1 is given at most. */
const RAID_DISKS_MAX = 4;

const KINDS: readonly MediumFault["kind"][] = ["read", "write", "flush"];

export class ClusterNemesis {
  readonly #sim: ClusterSim;
  readonly #gapMs: number;
  readonly #shares: readonly (readonly [string, number])[];
  readonly #own: OwnMoves | null;
  isOver = false;
  /** Moves so far: number and name; those that are skipped without a name. */
  readonly moves: string[] = [];
  readonly #skipped: ReadonlySet<number>;
  /** Commands without an answer, of lives that live. */
  readonly #open = new Map<NodeLife, number>();

  /** `skipped`: numbers of moves that do not happen. */
  constructor(
    sim: ClusterSim,
    skipped: ReadonlySet<number> = new Set(),
    own: OwnMoves | null = null,
  ) {
    this.#sim = sim;
    this.#skipped = skipped;
    this.#own = own;
    const { prng } = sim;
    this.#gapMs = prng.pick(own?.gapsMs ?? GAPS_MS);
    // Each seed leaves some of it out: what is left happens together more often.
    const common = SHARES.filter(([move]) => own?.without.has(move) !== true);
    const shares: readonly (readonly [string, number])[] = [...common, ...(own?.shares ?? [])];
    const { focus } = sim.planted;
    const isPicked = (move: string): boolean => focus?.includes(move) ?? prng.below(4) > 0;
    this.#shares = shares.filter(([move]) => move === "boot" || isPicked(move));
    sim.onDeath.push((life) => this.#open.delete(life));
    this.#later();
  }

  get open(): number {
    return [...this.#open.values()].reduce((sum, count) => sum + count, 0);
  }

  #later(): void {
    const { timeline, prng } = this.#sim;
    timeline.after(prng.below(2 * this.#gapMs), null, () => {
      if (this.isOver) return;
      this.#act();
      this.#later();
    });
  }

  #act(): void {
    const { prng } = this.#sim;
    const total = this.#shares.reduce((sum, [, share]) => sum + share, 0);
    let dice = prng.below(total);
    const move = this.#shares.find(([, share]) => {
      dice -= share;
      return dice < 0;
    });
    assert(move !== undefined, "one of the moves");
    const isSkipped = this.#skipped.has(this.moves.length);
    this.moves.push(isSkipped ? "" : move[0]);
    if (isSkipped) return;
    const [name] = move;
    const isOwn = this.#own?.shares.some(([one]) => one === name) === true;
    if (isOwn) this.#own?.act(name, prng.pick(this.#sim.boards));
    else this.#move(name as Move);
  }

  #move(move: Move): void {
    const sim = this.#sim;
    const { prng, boards, timeline, etcd } = sim;
    const board = prng.pick(boards);
    const { life } = board;
    switch (move) {
      case "crash":
        return life === null ? undefined : this.#crash(board.node);
      case "boot":
        return sim.boot(board);
      case "freeze": {
        if (life === null) return;
        const ms = prng.pick([50, 800, 5000, 9000, 20_000]) * (0.5 + prng.below(100) / 100);
        sim.trace(life, `freezes for ${ms.toFixed(0)} ms`);
        life.frozenUntil = timeline.now + ms;
        return sim.count("freeze");
      }
      case "cut off": {
        if (life === null) return;
        const ms = prng.pick([300, 3000, 8000, 15_000]);
        sim.trace(life, `is cut off from the store for ${ms} ms`);
        life.isCutOff = true;
        timeline.after(ms, null, () => {
          life.isCutOff = false;
        });
        return sim.count("cut off");
      }
      case "store away":
        return this.#storeAway();
      case "lease ends": {
        const { leases } = etcd.memory;
        if (leases.length === 0) return;
        sim.trace(null, "a lease ends");
        etcd.memory.end(prng.pick(leases));
        return sim.count("lease ends");
      }
      case "power cut":
        sim.count("power cut");
        return this.cutPower();
      default:
        return this.#arrayMove(move, life);
    }
  }

  #arrayMove(move: Move, life: NodeLife | null): void {
    const sim = this.#sim;
    const { prng, media } = sim;
    if (move === "medium fails") return this.#breakMedium(prng.pick(media));
    if (move === "fails in resync") return this.#failInResync();
    if (move === "medium heals") {
      prng.pick(media).faults = [];
      return;
    }
    if (life?.isUp !== true) return;
    const medium = prng.pick(media);
    const { path } = medium;
    switch (move) {
      case "fail":
        return this.#command(life, "fail", path, () =>
          life.command({ type: "fail", path, reason: "by the story" }),
        );
      case "remove":
        return this.remove(life, path);
      case "add":
      case "re-add":
        return this.join(life, move, medium);
      case "check":
      case "repair":
      case "idle":
        return this.#command(life, move, "", () =>
          life.command({ type: "sync-action", action: move }),
        );
      case "stop":
        return this.stop(life);
      case "change":
        return this.#change(life);
      case "cable":
        return this.#cutCable(life.node);
      case "hide":
        sim.hide(life, medium);
        sim.timeline.after(10_000, null, () => sim.showAll());
        return sim.count("hide");
      default:
        assert(false, `no move ${move}`);
    }
  }

  #crash(node: number): void {
    const sim = this.#sim;
    const board = sim.boards[node];
    if (board === undefined) return;
    sim.count("crash");
    sim.crash(board);
    board.isWanted = false;
    if (sim.prng.below(3) === 0) sim.boot(board);
  }

  #storeAway(): void {
    const { etcd, timeline, prng } = this.#sim;
    const ms = prng.pick([500, 3000, 8000]);
    this.#sim.trace(null, `the store is away for ${ms} ms`);
    this.#sim.count("store away");
    etcd.isAway = true;
    timeline.after(ms, null, () => {
      etcd.isAway = false;
    });
  }

  cutPower(): void {
    const sim = this.#sim;
    sim.cutPower();
    for (const board of sim.boards)
      sim.timeline.after(sim.prng.below(5000), null, () => sim.boot(board));
  }

  /**
   * Every byte keeps an in-sync copy on a medium that is whole. A board that starts can read all of
   * them: when the others are gone before it has, it would go by an old copy, as on one board.
   */
  #breakMedium(medium: SharedMedium, kinds: readonly MediumFault["kind"][] = KINDS): void {
    const { prng, copies, mediaChecks, boards } = this.#sim;
    const isWhole = (one: SharedMedium) => one !== medium && one.faults.length === 0;
    if (!copies.survives(mediaChecks.roles, isWhole)) return;
    const kind = prng.pick(kinds);
    if (kind === "read" && boards.some(({ life }) => life?.isUp === false)) return;
    const fault: MediumFault = {
      kind,
      node: prng.below(2) === 0 ? null : prng.below(boards.length),
      after: prng.below(6),
      left: prng.below(2) === 0 ? Number.POSITIVE_INFINITY : 1 + prng.below(3),
    };
    this.#sim.trace(null, () => `${medium.path} fails: ${JSON.stringify(fault)}`);
    this.#sim.count(`fault ${kind}`);
    medium.faults = [fault];
  }

  /** A member refuses writes or flushes while some node holds writes for another one's resync. */
  #failInResync(): void {
    const { up, prng, media } = this.#sim;
    if (!up.some(({ suspended }) => suspended.size > 0)) return;
    this.#sim.count("fault in a resync");
    this.#breakMedium(prng.pick(media), ["write", "flush"]);
  }

  /** A board writes to no member for a while; others do. */
  #cutCable(node: number): void {
    const { prng, media, timeline } = this.#sim;
    const left = Number.POSITIVE_INFINITY;
    const kinds = prng.below(2) === 0 ? (["write"] as const) : (["write", "read"] as const);
    const faults = kinds.map((kind): MediumFault => ({ kind, node, after: prng.below(20), left }));
    this.#sim.trace(null, `node ${node} writes to no member`);
    this.#sim.count("cable");
    for (const medium of media)
      medium.faults = [...medium.faults, ...faults.map((f) => ({ ...f }))];
    timeline.after(500 + prng.below(15_000), null, () => {
      for (const medium of media)
        medium.faults = medium.faults.filter((fault) => fault.node !== node);
    });
  }

  remove(life: NodeLife, path: string): void {
    this.#command(life, "remove", path, () => life.command({ type: "remove", path }));
  }

  join(life: NodeLife, type: "add" | "re-add", medium: SharedMedium): void {
    const { mediaChecks } = this.#sim;
    // No administrator adds what another node has in use.
    if (mediaChecks.roles.inSync.includes(medium)) return;
    this.#command(life, type, medium.path, () => life.join(type, medium));
  }

  /** Not while the array is being changed: its engine would wait. A change may follow, though. */
  stop(life: NodeLife): void {
    if (life.isChanging) return;
    life.isUp = false;
    const board = this.#sim.boards[life.node];
    if (board !== undefined) board.isWanted = false;
    this.#command(life, "stop", "", () => life.stop());
  }

  /** Half of the changes meet a board that starts, or dies, meanwhile. */
  #change(life: NodeLife): void {
    const { prng, timeline, boards } = this.#sim;
    const change = this.#drawChange();
    this.#command(life, `change ${change.type}`, "", () => life.change(change));
    if (prng.below(2) === 0) return;
    const board = prng.pick(boards);
    timeline.after(prng.below(CHANGE_MS), null, () => {
      if (this.isOver) return;
      if (boards.some((one) => one.life?.isChanging === true))
        this.#sim.count(`${board.life === null ? "starts" : "dies"} within a change`);
      if (board.life === null) this.#sim.boot(board);
      else this.#crash(board.node);
    });
  }

  #drawChange(): ArrayChange {
    const { prng, mediaChecks, shape, media } = this.#sim;
    const { raidDisks, size } = mediaChecks.roles;
    const dice = prng.below(8);
    if (dice < 3 && size < shape.sizeMax) {
      const step = 64 * (1 + prng.below(12));
      return { type: "size", sizeBytes: Math.min(size + step, shape.sizeMax) * SECTOR };
    }
    if (dice < 6 && shape.level === 1) {
      const most = Math.min(media.length, RAID_DISKS_MAX);
      const count = raidDisks < most && prng.below(3) > 0 ? raidDisks + 1 : raidDisks - 1;
      return { type: "raid-devices", count: Math.max(2, count) };
    }
    return { type: "name", name: `md${prng.below(8)}` };
  }

  #command(life: NodeLife, name: string, path: string, ask: () => Promise<CommandOutcome>): void {
    this.#sim.trace(life, () => `command ${name} ${path}`);
    this.#open.set(life, (this.#open.get(life) ?? 0) + 1);
    void ask().then((outcome) => {
      const text = outcome.ok ? "ok" : outcome.code;
      this.#sim.trace(life, () => `command ${name} ${path}: ${text}`);
      this.#sim.count(`${name} ${text}`);
      const open = this.#open.get(life);
      if (open !== undefined) this.#open.set(life, open - 1);
    });
  }
}

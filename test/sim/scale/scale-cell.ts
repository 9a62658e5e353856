/**
 * One cell of the scaling table: so many boards with so many arrays, at rest and while one of them
 * dies. Time is simulated; what is counted is what the product's code asks and is told.
 */

import { EmbeddedStore } from "../../../src/cluster/store/embedded-store-driver.ts";
import { MemoryStore } from "../../../src/cluster/store/memory-store.ts";
import type { StoreClock } from "../../../src/cluster/store/store-clock.ts";
import { Prng } from "../../../src/common/prng.ts";
import { type Life, Timeline } from "../cluster/timeline.ts";
import { CountedStore, newCounts, type StoreCounts, WatchHub } from "./counted-store.ts";
import { ScaleBoard } from "./scale-board.ts";

/** What is simulated. */
export interface CellPlan {
  readonly boards: number;
  readonly arrays: number;
  /** Seconds at rest that are counted. */
  readonly restSeconds: number;
  /** Transactions that the store commits in a second, one after the other; null: no limit. */
  readonly commitsPerSecond: number | null;
}

/** What was counted; rates are per simulated second. */
export interface CellFigures {
  readonly boards: number;
  readonly arrays: number;
  /** Of all boards: what etcd has to commit. */
  readonly transactionsAtRest: number;
  readonly keepAlivesAtRest: number;
  readonly listsAtRest: number;
  /** Of one board. */
  readonly eventsAtRest: number;
  readonly watches: number;
  /** From the death until the last array has recovered its slot. */
  readonly recoverySeconds: number;
  /** Most in any second of the failover: of all boards, and events of one. */
  readonly transactionsInFailover: number;
  readonly eventsInFailover: number;
  /** Transactions that the failover took beyond rest, per array and surviving board. */
  readonly extraTransactions: number;
  /** Heap of one board, bytes. */
  readonly heapBytes: number;
  /** Processor milliseconds of one board, for each simulated second at rest. */
  readonly cpuMs: number;
}

/** One way to the store: what a guarded write takes is two of these. */
const WAY_MS = 2;
const SECOND = 1000;
/** Most that a failover may take: beyond it the cell has failed. */
const FAILOVER_LIMIT_S = 60;
const JOIN_LIMIT_S = 600;

const uuidOf = (array: number): string =>
  `00000000-0000-0000-0000-${String(array).padStart(12, "0")}`;

const heapNow = (): number => {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed;
};

class ScaleWorld {
  readonly boards: ScaleBoard[] = [];
  readonly recovered = new Map<string, number>();
  readonly #timeline = new Timeline(new Prng(1));
  readonly #memory = new MemoryStore("1");
  readonly #hub = new WatchHub(this.#memory);
  readonly #prng = new Prng(2);
  /** When the store has committed all that it was given. */
  #freeAt = 0;
  readonly #plan: CellPlan;

  constructor(plan: CellPlan) {
    this.#plan = plan;
  }

  get now(): number {
    return this.#timeline.now;
  }

  add(name: string): ScaleBoard {
    const counts = newCounts();
    const life: Life = { isDead: false, frozenUntil: 0 };
    const clock: StoreClock = {
      now: () => this.#timeline.now,
      after: (ms, act) => this.#timeline.after(ms, life, act),
    };
    const after = (ms: number): Promise<void> =>
      new Promise((resolve) => void this.#timeline.after(ms, life, resolve));
    const ways = { way: () => after(WAY_MS), commit: () => after(this.#commitMs()) };
    const board = new ScaleBoard(name, {
      clock,
      counts,
      random: () => this.#prng.below(1_000_000) / 1_000_000,
      storeFor: () => {
        const inner = new EmbeddedStore(this.#memory, clock);
        return new CountedStore(inner, this.#hub, counts, ways);
      },
      happened: (uuid, { type }) => {
        if (type === "recovered") this.recovered.set(uuid, this.#timeline.now);
      },
    });
    const die = board.die.bind(board);
    board.die = () => {
      life.isDead = true;
      die();
    };
    this.boards.push(board);
    return board;
  }

  /** Until a transaction that is given to the store now is committed. */
  #commitMs(): number {
    const { commitsPerSecond } = this.#plan;
    if (commitsPerSecond === null) return 0;
    this.#freeAt = Math.max(this.now, this.#freeAt) + SECOND / commitsPerSecond;
    return this.#freeAt - this.now;
  }

  /** Time passes until it is done. */
  async finish(what: string, seconds: number, work: Promise<unknown>): Promise<void> {
    let isDone = false;
    let problem: unknown = null;
    work.then(
      () => (isDone = true),
      (error: unknown) => (problem = error),
    );
    const end = this.now + seconds * SECOND;
    await this.#timeline.run(() => isDone || problem !== null || this.now > end);
    if (problem !== null) throw problem;
    if (!isDone) throw new Error(`never in ${seconds} s: ${what}`);
  }

  async pass(ms: number, isOver: () => boolean = () => false): Promise<void> {
    const end = this.now + ms;
    await this.#timeline.run(() => this.now >= end || isOver());
  }

  /** Boards start one after the other, each with all of its arrays at once. */
  async start(): Promise<void> {
    const { boards, arrays } = this.#plan;
    for (let at = 0; at < boards; at += 1) {
      const board = this.add(`board${at + 1}`);
      await this.finish(`${board.name} begins`, JOIN_LIMIT_S, board.begin());
      const joins = Array.from({ length: arrays }, (_, array) =>
        board.join(uuidOf(array), boards + 1),
      );
      await this.finish(`${board.name} joins`, JOIN_LIMIT_S, Promise.all(joins));
    }
  }
}

const sum = (boards: readonly ScaleBoard[], of: (counts: StoreCounts) => number): number =>
  boards.reduce((total, { counts }) => total + of(counts), 0);

interface Failover {
  readonly recoverySeconds: number;
  readonly transactionsInFailover: number;
  readonly eventsInFailover: number;
  readonly transactions: number;
}

/** The last board dies, and the others recover its slots. */
const failOver = async (world: ScaleWorld, arrays: number): Promise<Failover> => {
  const dead = world.boards[world.boards.length - 1];
  const others = world.boards.slice(0, -1);
  world.recovered.clear();
  dead?.die();
  const diedAt = world.now;
  let most = { transactions: 0, events: 0 };
  const began = sum(others, ({ transactions }) => transactions);
  const isOver = (): boolean => world.recovered.size === arrays;
  while (!isOver()) {
    if (world.now - diedAt > FAILOVER_LIMIT_S * SECOND)
      throw new Error(`${arrays - world.recovered.size} of ${arrays} slots are not recovered`);
    const before = sum(others, ({ transactions }) => transactions);
    const told = sum(others, ({ events }) => events);
    await world.pass(SECOND);
    const transactions = sum(others, (counts) => counts.transactions) - before;
    const events = (sum(others, (counts) => counts.events) - told) / others.length;
    most = {
      transactions: Math.max(most.transactions, transactions),
      events: Math.max(most.events, events),
    };
  }
  return {
    recoverySeconds: (Math.max(...world.recovered.values()) - diedAt) / SECOND,
    transactionsInFailover: most.transactions,
    eventsInFailover: most.events,
    transactions: sum(others, ({ transactions }) => transactions) - began,
  };
};

/** Simulates the cell. Errors: what the boards end with, or that they never come to an end. */
export const runCell = async (plan: CellPlan): Promise<CellFigures> => {
  const { boards, arrays, restSeconds } = plan;
  const empty = heapNow();
  const world = new ScaleWorld(plan);
  await world.start();
  await world.pass(5 * SECOND);
  const heap = heapNow();
  const before = world.boards.map(({ counts }) => ({ ...counts }));
  const cpu = process.cpuUsage();
  await world.pass(restSeconds * SECOND);
  const { user, system } = process.cpuUsage(cpu);
  const rate = (of: (counts: StoreCounts) => number): number => {
    const total = before.reduce((counted, counts) => counted + of(counts), 0);
    return (sum(world.boards, of) - total) / restSeconds;
  };
  const transactionsAtRest = rate(({ transactions }) => transactions);
  const figures = {
    boards,
    arrays,
    transactionsAtRest,
    keepAlivesAtRest: rate(({ keepAlives }) => keepAlives),
    listsAtRest: rate(({ lists }) => lists),
    eventsAtRest: rate(({ events }) => events) / boards,
    watches: sum(world.boards, ({ watches }) => watches) / boards,
  };
  const failover = await failOver(world, arrays);
  const { recoverySeconds, transactions } = failover;
  const usual = ((transactionsAtRest * (boards - 1)) / boards) * Math.ceil(recoverySeconds);
  return {
    ...figures,
    recoverySeconds,
    transactionsInFailover: failover.transactionsInFailover,
    eventsInFailover: failover.eventsInFailover,
    extraTransactions: Math.max(0, transactions - usual) / arrays / (boards - 1),
    heapBytes: Math.max(0, heap - empty) / boards,
    cpuMs: (user + system) / 1000 / restSeconds / boards,
  };
};

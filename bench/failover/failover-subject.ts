/**
 * Three boards under light writes on each, one of which is killed, with the leader of etcd or
 * without: how long the others' writes are held, how long until all know what is redundant, and
 * what the board's return copies.
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import type { DlmResource } from "../../src/api/schemas/dlm.ts";
import type { EventResource } from "../../src/api/schemas/event.ts";
import { Prng } from "../../src/common/prng.ts";
import { ARRAY, type BoardsKind, FaultBoards } from "../../test/helpers/fault-runs/fault-boards.ts";
import { eventually } from "../../test/helpers/timeout.ts";
import { WriteFlow } from "./write-flow.ts";

export const FAILOVER_BOARDS = 3;
const ETCD_MEMBERS = 3;
const START_MS = 60_000;
const KNOWN_MS = 120_000;
const WHOLE_MS = 240_000;
const CLEAN_MS = 60_000;
const FLOW_WRITES = 50;
const BLOCK_BYTES = 4096;
/** With the usual 64 MiB a few writes mark all of a small array. */
const BITMAP_CHUNK_BYTES = 64 * 1024;

/** What dies. */
export interface FailoverWork {
  readonly withLeader: boolean;
}

/** Milliseconds after the kill, but for the bytes. */
export interface FailoverFigures {
  /** Until every other board answers writes, and holds none from before any more. */
  readonly flowing: number;
  /** Until every other board knows which copies there are, and has none in doubt. */
  readonly known: number;
  /** The longest that a write waited on another board. */
  readonly longestHold: number;
  /** Errors that clients of the other boards met. */
  readonly errors: number;
  /** From the board's start to a whole array. */
  readonly whole: number;
  /** Written while the board was away; copied when it returned. */
  readonly written: number;
  readonly copied: number;
}

interface EventList {
  readonly items: readonly EventResource[];
}

export class FailoverSubject {
  readonly #folder: string;
  readonly #kind: BoardsKind;
  readonly #sizeBytes: number;
  readonly #prng = new Prng(1);
  #boards: FaultBoards | null = null;

  constructor(folder: string, kind: BoardsKind, sizeBytes: number) {
    this.#folder = folder;
    this.#kind = kind;
    this.#sizeBytes = sizeBytes;
  }

  async start(): Promise<void> {
    this.#boards = await FaultBoards.start({
      ...{ kind: this.#kind, boards: FAILOVER_BOARDS, etcdMembers: ETCD_MEMBERS },
      sizeMib: Math.ceil(this.#sizeBytes / 2 ** 20),
      folder: mkdtempSync(join(this.#folder, "failover-")),
      prng: this.#prng.fork(),
      bitmapChunkBytes: BITMAP_CHUNK_BYTES,
      onExit: () => undefined,
    });
    await this.#boards.untilWhole(START_MS);
  }

  async stop(): Promise<void> {
    await this.#boards?.stop();
    this.#boards = null;
  }

  /** Kills a board, waits, starts it again and waits until all is whole. */
  async measure(victim: number, { withLeader }: FailoverWork): Promise<FailoverFigures> {
    const boards = this.#running;
    const { config } = await boards.array(0);
    await this.#untilClean();
    const flows = boards.boards.map(
      ({ socket, at }) => new WriteFlow(socket, ARRAY, () => this.#place(at, config.size)),
    );
    try {
      await this.#untilFlowing(flows);
      const leader = (await boards.etcd.leader()) ?? 0;
      const events = await this.#eventsSoFar();
      const killedAt = performance.now();
      const killed = boards.board(victim).kill();
      if (withLeader) await boards.etcd.kill(leader);
      await killed;
      const others = boards.numbers.filter((at) => at !== victim);
      await this.#untilKnown(others, victim);
      const knownAt = performance.now();
      const survivors = others.flatMap((at) => flows[at] ?? []);
      await this.#untilFlowing(survivors);
      const flowingAt = survivors.map((flow) => flow.flowingAt(killedAt, knownAt));
      const holds = survivors.map((flow) => flow.longestHold(killedAt, knownAt));
      const written = survivors.reduce((sum, flow) => sum + flow.bytes, 0);
      if (withLeader) boards.etcd.run(leader);
      const startedAt = performance.now();
      await boards.board(victim).start();
      await boards.untilWhole(WHOLE_MS);
      return {
        flowing: Math.max(...flowingAt) - killedAt,
        known: knownAt - killedAt,
        longestHold: Math.max(...holds),
        errors: survivors.reduce((sum, { errors }) => sum + errors, 0),
        whole: performance.now() - startedAt,
        written,
        copied: await this.#copied(events),
      };
    } finally {
      await Promise.all(flows.map((flow) => flow.stop()));
    }
  }

  get #running(): FaultBoards {
    if (this.#boards === null) throw new Error("the boards do not run");
    return this.#boards;
  }

  /** Each board's client has a part of the array for itself. */
  #place(at: number, sizeBytes: number): number {
    const blocks = Math.floor(sizeBytes / FAILOVER_BOARDS / BLOCK_BYTES);
    return (at * blocks + this.#prng.below(blocks)) * BLOCK_BYTES;
  }

  async #untilFlowing(flows: readonly WriteFlow[]): Promise<void> {
    for (const flow of flows) {
      const target = flow.answers.length + FLOW_WRITES;
      await eventually("writes flow", START_MS, () => flow.answers.length >= target);
    }
  }

  /** The return is to copy what is written from now on, not what was before. */
  async #untilClean(): Promise<void> {
    for (const at of this.#running.numbers)
      await eventually(`board ${at + 1} has no bit set`, CLEAN_MS, async () => {
        const { status } = await this.#running.array(at);
        return status.bitmap?.dirty === 0;
      });
  }

  /** The dead board's bitmap is taken over, and its member, if it had one, recorded as missing. */
  async #untilKnown(others: readonly number[], victim: number): Promise<void> {
    const gone = `board${victim + 1}`;
    for (const at of others)
      await eventually(`board ${at + 1} knows what is redundant`, KNOWN_MS, async () => {
        const { status } = await this.#running.array(at);
        const { cluster, members } = status;
        if (cluster === null || cluster.phase !== "entered") return false;
        const isOut = cluster.nodes.every(({ node }) => node !== gone);
        const isTold =
          this.#kind === "shared" ||
          members.some(({ states }) => !states.includes("in_sync") || states.includes("faulty"));
        return isOut && isTold && (await this.#areSlotsClean(at));
      });
  }

  /** No bitmap is a dead node's any more. */
  async #areSlotsClean(at: number): Promise<boolean> {
    const { items } = await this.#running.board(at).ask<DlmResource>("GET", "/dlm");
    const slots = items.find(({ name }) => name === ARRAY)?.slots ?? [];
    return slots.every(({ condition }) => condition === "free" || condition === "live");
  }

  /** The newest event that each board has told. */
  async #eventsSoFar(): Promise<readonly number[]> {
    return await Promise.all(
      this.#running.numbers.map(async (at) => {
        const [newest] = await this.#events(at, "limit=1");
        return newest?.id ?? 0;
      }),
    );
  }

  /** Given to the board's disk when it returned, by whichever board rebuilt it. */
  async #copied(since: readonly number[]): Promise<number> {
    let sum = 0;
    for (const at of this.#running.numbers) {
      const query = `types=sync.finished&order=asc&limit=1000&cursor=${since[at] ?? 0}`;
      for (const { data } of await this.#events(at, query)) {
        const { action, outcome, copied_bytes: copied } = data;
        if (action === "recover" && outcome === "done") sum += Number(copied);
      }
    }
    return sum;
  }

  async #events(at: number, query: string): Promise<readonly EventResource[]> {
    const path = `/events?${query}`;
    const { items } = await this.#running.board(at).ask<EventList>("GET", path);
    return items;
  }
}

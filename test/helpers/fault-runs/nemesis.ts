/** Carries out the faults of a plan, and ends them. */
import { existsSync, renameSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { FaultBoards } from "./fault-boards.ts";
import { describeFault, type Fault, type PlanStep } from "./fault-plan.ts";
import type { Link } from "./link-table.ts";
import { GOOD_LINK } from "./link-table.ts";

/** Ends a fault. */
type End = () => Promise<void> | void;

const START_PAUSE_MS = 1000;
const STARTS_MAX = 60;
const LEAST_FREE = 4096;

export class Nemesis {
  readonly #boards: FaultBoards;
  readonly #note: (text: string) => void;
  /** Boards that a fault keeps from running. */
  readonly #down = new Set<number>();
  readonly #etcdDown = new Set<number>();
  #isHealed = false;

  constructor(boards: FaultBoards, note: (text: string) => void) {
    this.#boards = boards;
    this.#note = note;
  }

  /** What this machine cannot do is told before, by the plan's `without`. */
  async step({ faults, pauseMs }: PlanStep): Promise<void> {
    await Promise.all(
      faults.map(async (fault) => {
        this.#note(describeFault(fault));
        const end = await this.#begin(fault);
        await pause(fault.ms);
        await end();
        this.#note(`end of ${fault.kind}`);
      }),
    );
    await pause(pauseMs);
  }

  /** A board that ended by itself is started again, unless a fault wants it down. */
  async revive(at: number): Promise<void> {
    await pause(START_PAUSE_MS);
    if (!this.#down.has(at) && !this.#isHealed) await this.#start(at);
  }

  /** Nothing more is started by itself. */
  finish(): void {
    this.#isHealed = true;
  }

  async #begin(fault: Fault): Promise<End> {
    switch (fault.kind) {
      case "kill":
      case "reboot":
        return this.#endBoard(fault.board, fault.kind);
      case "kill-all":
        return this.#killAll(fault.order, fault.apartMs);
      case "stop":
        this.#boards.board(fault.board).signal("SIGSTOP");
        return () => this.#boards.board(fault.board).signal("SIGCONT");
      case "cut-all":
        if (this.#boards.namespaces !== null) return this.#takeDown(fault.board);
        return this.#boards.links.cut([
          ...this.#toPeers(fault.board),
          ...this.#toEtcd(fault.board),
        ]);
      case "cut-etcd":
        return this.#boards.links.cut(this.#toEtcd(fault.board));
      case "cut-peer":
        return this.#boards.links.cut([this.#link(fault.board, fault.peer)]);
      case "cut-one-way":
        return this.#cutOneWay(fault.board, fault.peer);
      case "bad-link": {
        const { kind: _kind, board, ms: _ms, ...rule } = fault;
        if (this.#boards.namespaces !== null) return this.#shape(board, rule);
        const links = [...this.#toPeers(board), ...this.#toEtcd(board)];
        return this.#boards.links.lay(links, { ...GOOD_LINK, ...rule });
      }
      default:
        return this.#beginOther(fault);
    }
  }

  async #beginOther(fault: Fault): Promise<End> {
    switch (fault.kind) {
      case "disk-gone":
        return this.#diskGone(fault.board);
      case "disk-fault":
        return this.#diskFault(fault);
      case "etcd-kill":
        return this.#killEtcd(1, fault.isLeader);
      case "etcd-majority":
        return this.#killEtcd(Math.floor(this.#boards.etcd.numbers.length / 2) + 1, true);
      case "etcd-stop":
        return this.#stopEtcd();
      case "etcd-full":
        return this.#fill(this.#boards.etcd.folder((await this.#boards.etcd.leader()) ?? 0), true);
      case "settings-full":
        return this.#fill(this.#boards.dataDir(fault.board), false);
      case "clock-jump":
        return this.#jump(fault.board, fault.seconds);
      default:
        throw new Error(`nothing is known of ${fault.kind}`);
    }
  }

  // --- boards -----------------------------------------------------------------------------------

  async #endBoard(at: number, how: "kill" | "reboot"): Promise<End> {
    this.#down.add(at);
    const board = this.#boards.board(at);
    if (how === "kill") await board.kill();
    else await board.shutDown();
    return async () => {
      this.#down.delete(at);
      await this.#start(at);
    };
  }

  async #killAll(order: readonly number[], apartMs: number): Promise<End> {
    for (const at of order) this.#down.add(at);
    await Promise.all(order.map((at) => this.#boards.board(at).kill()));
    return async () => {
      for (const at of order) {
        this.#down.delete(at);
        void this.#start(at);
        await pause(apartMs);
      }
    };
  }

  /** Until it runs: it may need what another fault keeps away just now. */
  async #start(at: number): Promise<void> {
    const board = this.#boards.board(at);
    for (let tries = 0; tries < STARTS_MAX && board.pid === null; tries++) {
      if (this.#down.has(at) || this.#isHealed) return;
      try {
        await board.start();
        this.#note(`${board.name} runs again`);
      } catch (error) {
        this.#note(`${board.name} does not start: ${String(error)}`);
        await pause(START_PAUSE_MS);
      }
    }
  }

  // --- links ------------------------------------------------------------------------------------

  #link(board: number, peer: number, isOneWay = false): Link {
    return { from: `board${board + 1}`, to: `board${peer + 1}`, isOneWay };
  }

  #toPeers(board: number, isOneWay = false): readonly Link[] {
    return this.#boards.numbers
      .filter((at) => at !== board)
      .map((peer) => this.#link(board, peer, isOneWay));
  }

  #toEtcd(board: number, isOneWay = false): readonly Link[] {
    const from = `board${board + 1}`;
    return this.#boards.etcd.numbers.map((at) => ({ from, to: `etcd${at + 1}`, isOneWay }));
  }

  #cutOneWay(board: number, peer: number | null): End {
    const all = [...this.#toPeers(board, true), ...this.#toEtcd(board, true)];
    return this.#boards.links.cut(peer === null ? all : [this.#link(board, peer, true)]);
  }

  /** The board's machine, its member of etcd too. */
  #takeDown(board: number): End {
    this.#boards.namespaces?.setCut(board, true);
    return () => this.#boards.namespaces?.setCut(board, false);
  }

  #shape(
    board: number,
    { delayMs, lostPerMille }: { readonly delayMs: number; readonly lostPerMille: number },
  ): End {
    const loss = `${lostPerMille / 10}%`;
    const { ok, said } = this.#boards.namespaces?.shape(board, [
      ...["delay", `${delayMs}ms`, `${delayMs / 4}ms`, "loss", loss],
    ]) ?? { ok: false, said: "no network" };
    if (!ok) throw new Error(`netem: ${said}`);
    return () => void this.#boards.namespaces?.shape(board, []);
  }

  // --- disks ------------------------------------------------------------------------------------

  #diskGone(at: number): End {
    const { file } = this.#boards.disk(at);
    const aside = `${file}.away`;
    renameSync(file, aside);
    return () => renameSync(aside, file);
  }

  async #diskFault(fault: Extract<Fault, { readonly kind: "disk-fault" }>): Promise<End> {
    const board = this.#boards.board(fault.board);
    const { id } = this.#boards.disk(fault.board);
    const { fault: kind, count, stallMs } = fault;
    await this.#ask(board.ask("POST", "/lab/faults", laid(id, kind, count, stallMs)));
    return () => this.#ask(board.ask("DELETE", `/lab/faults?device_id=${id}`));
  }

  /** What a board is asked while it is not there is not done; the board forgot it when it ended. */
  async #ask(answer: Promise<unknown>): Promise<void> {
    try {
      await answer;
    } catch (error) {
      this.#note(`not done: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  // --- etcd -------------------------------------------------------------------------------------

  /** The leader first, if it is to be among them. */
  async #victims(count: number, isLeader: boolean): Promise<readonly number[]> {
    const { etcd } = this.#boards;
    const leader = (await etcd.leader()) ?? 0;
    const after = etcd.numbers.map((at) => (leader + at) % etcd.numbers.length);
    return isLeader ? after.slice(0, count) : after.slice(1, count + 1);
  }

  async #killEtcd(count: number, isLeader: boolean): Promise<End> {
    const { etcd } = this.#boards;
    const members = await this.#victims(count, isLeader);
    for (const at of members) this.#etcdDown.add(at);
    await Promise.all(members.map((at) => etcd.kill(at)));
    return () => {
      for (const at of members) {
        this.#etcdDown.delete(at);
        etcd.run(at);
      }
    };
  }

  async #stopEtcd(): Promise<End> {
    const { etcd } = this.#boards;
    const [at = 0] = await this.#victims(1, true);
    etcd.signal(at, "SIGSTOP");
    return () => etcd.signal(at, "SIGCONT");
  }

  // --- full disks, clocks -----------------------------------------------------------------------

  /** Leaves no room where a folder lies: a file system of its own (see `small-mount.ts`). */
  #fill(folder: string, isEtcd: boolean): End {
    const file = join(folder, "filler");
    const { bavail, bsize } = statfsSync(folder);
    writeFileSync(file, Buffer.alloc(Math.max(0, bavail * bsize - LEAST_FREE)));
    return async () => {
      if (existsSync(file)) rmSync(file);
      if (!isEtcd) return;
      // A member that met it may have ended; etcd's alarm for it is lifted by who cleared the disk.
      for (const at of this.#boards.etcd.numbers)
        if (!this.#etcdDown.has(at)) this.#boards.etcd.run(at);
      await this.#ask(this.#boards.etcd.liftAlarms());
    };
  }

  /** The board is started again with another time of day, which goes away at its next start. */
  async #jump(at: number, seconds: number): Promise<End> {
    const board = this.#boards.board(at);
    this.#down.add(at);
    await board.kill();
    board.env = jumped(seconds);
    this.#down.delete(at);
    await this.#start(at);
    return () => {
      board.env = {};
    };
  }
}

const laid = (device_id: string, kind: string, count: number, stall_ms: number) => ({
  ...{ device_id, kind, count },
  ...(kind === "stall" ? { stall_ms } : {}),
});

/** Variables that shift a process's time of day. */
const jumped = (seconds: number): Readonly<Record<string, string>> => ({
  LD_PRELOAD: FAKETIME_LIBRARY,
  FAKETIME: `${seconds >= 0 ? "+" : ""}${seconds}s`,
  // Only the time of day: what the boards go by is the monotonic clock.
  FAKETIME_DONT_FAKE_MONOTONIC: "1",
  DONT_FAKE_MONOTONIC: "1",
});

/** Where Debian's package libfaketime has its library for threads. */
export const FAKETIME_LIBRARY = join(
  "/usr/lib",
  `${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`,
  "faketime/libfaketimeMT.so.1",
);

/**
 * Rounds of what can happen to boards that share their disks, under verified writes and reads of
 * clients on all of them: members fail, return and are replaced, copies are compared, boards die.
 * After each round the boards come to rest, and every cell, every copy and every member is checked.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { Prng } from "../../src/common/prng.ts";
import { ClusterRegion, StaleRead } from "./cluster-region.ts";
import { runCommand, tryCommand } from "./command.ts";
import type { NbdClient } from "./nbd-client.ts";
import type { SharedBoards } from "./shared-boards.ts";
import { eventually } from "./timeout.ts";

const MIB = 1024 * 1024;
const DEVICES = ["disk1", "disk2", "spare1", "spare2"];
const SECTOR = 512;
const SYNC_MS = 120_000;
const PROBLEMS_TOLD = 5;
/** Part of the array at its end that fio has for itself, for each board. */
const FIO_BYTES = 4 * MIB;
/** Writes of each board before something happens, and after it. */
const WRITES_AROUND = 300;

type Happening = "re-add" | "replace" | "check" | "kill" | "kill-while-rebuilding" | "fio";
const HAPPENINGS: readonly Happening[] = [
  "re-add",
  "kill",
  "replace",
  "fio",
  "kill-while-rebuilding",
  "check",
];

export interface RoundReport {
  readonly round: number;
  readonly happening: Happening;
  readonly board: number;
  readonly seconds: number;
  readonly writes: number;
  readonly reads: number;
}

/** Writes that the boards held, since each was started. */
export interface HeldReport {
  readonly board: number;
  readonly byRange: number;
  readonly byGate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

interface Running {
  readonly load: Promise<void>;
  readonly reads: Promise<void>;
}

export class ClusterRounds {
  readonly #boards: SharedBoards;
  readonly #prng: Prng;
  readonly #seed: number;
  #regions: readonly ClusterRegion[] = [];
  readonly #running = new Map<number, Running>();
  readonly #failures: Error[] = [];
  #isResting = true;
  #round = 0;

  constructor(boards: SharedBoards, seed: number) {
    this.#boards = boards;
    this.#prng = new Prng(seed);
    this.#seed = seed;
  }

  /** AFTER the boards have started: divides the array among them. */
  async prepare(): Promise<void> {
    const { numbers } = this.#boards;
    const { config } = await this.#boards.array(0);
    const usable = config.size - numbers.length * FIO_BYTES;
    const bytes = Math.floor(usable / numbers.length / MIB) * MIB;
    this.#regions = numbers.map(
      (at) => new ClusterRegion(`region ${at + 1}`, at * bytes, bytes, this.#seed + at),
    );
    await this.#boards.untilWhole();
  }

  /** One round. Errors: whatever is not as it must be. */
  async round(): Promise<RoundReport> {
    const round = this.#round++;
    const happening = HAPPENINGS[round % HAPPENINGS.length] ?? "kill";
    const board = this.#prng.below(this.#boards.numbers.length);
    const began = performance.now();
    const [writesBefore, readsBefore] = this.#counts();
    this.#isResting = false;
    for (const at of this.#boards.numbers) await this.#startClients(at);
    await this.#untilWritten(WRITES_AROUND);
    await this.#happen(happening, board);
    await this.#untilWritten(WRITES_AROUND);
    await this.#rest();
    await this.#check();
    const [writes, reads] = this.#counts();
    const seconds = (performance.now() - began) / 1000;
    const counts = { writes: writes - writesBefore, reads: reads - readsBefore };
    return { round, happening, board, seconds, ...counts };
  }

  async held(): Promise<HeldReport[]> {
    const reports: HeldReport[] = [];
    for (const board of this.#boards.numbers) {
      const { by_range, by_gate, p50, p99, max } = (await this.#boards.dlm(board)).held_writes;
      const times = { p50Ms: p50 * 1000, p99Ms: p99 * 1000, maxMs: max * 1000 };
      reports.push({ board, byRange: by_range, byGate: by_gate, ...times });
    }
    return reports;
  }

  #counts(): readonly [writes: number, reads: number] {
    let writes = 0;
    let reads = 0;
    for (const region of this.#regions) {
      writes += region.load.writes;
      reads += region.reads;
    }
    return [writes, reads];
  }

  // --- clients ----------------------------------------------------------------------------------

  async #startClients(at: number): Promise<void> {
    const region = this.#region(at);
    const load = region.load.run(this.#boards.board(at).nbd_socket, "md0");
    const reader = await this.#boards.attach(at);
    this.#running.set(at, { load, reads: this.#readOthers(at, reader) });
  }

  /** Reads what the clients of the other boards write, until the boards rest or this one dies. */
  async #readOthers(at: number, client: NbdClient): Promise<void> {
    const prng = new Prng(this.#seed + 100 + at);
    const others = this.#regions.filter((_, owner) => owner !== at);
    try {
      while (!this.#isResting) {
        const region = others[prng.below(others.length)];
        await region?.readSomewhere(client, prng);
      }
    } catch (error) {
      if (error instanceof StaleRead) this.#failures.push(error);
    } finally {
      client.close();
    }
  }

  /** Every board that has clients answers so many writes more. */
  async #untilWritten(count: number): Promise<void> {
    const targets = [...this.#running.keys()].map(
      (at) => [at, this.#region(at).load.writes + count] as const,
    );
    for (const [at, target] of targets) {
      await eventually(`writes flow on board ${at + 1}`, SYNC_MS, () => {
        if (this.#failures.length > 0) return true;
        return this.#region(at).load.writes >= target;
      });
    }
    this.#throwFailures();
  }

  /** All clients end, and the array comes to rest. */
  async #rest(): Promise<void> {
    this.#isResting = true;
    for (const region of this.#regions) region.load.stop();
    for (const { load, reads } of this.#running.values()) await Promise.all([load, reads]);
    this.#running.clear();
    this.#throwFailures();
    await this.#boards.untilWhole();
  }

  #throwFailures(): void {
    const [failure] = this.#failures;
    if (failure !== undefined) throw failure;
  }

  #region(at: number): ClusterRegion {
    const region = this.#regions[at];
    if (region === undefined) throw new Error(`board ${at + 1} has no region`);
    return region;
  }

  // --- what happens -----------------------------------------------------------------------------

  async #happen(happening: Happening, board: number): Promise<void> {
    switch (happening) {
      case "re-add":
        return await this.#readd(board);
      case "replace":
        return await this.#replace(board);
      case "check":
        return await this.#compare(board);
      case "kill":
        return await this.#kill(board);
      case "kill-while-rebuilding":
        await this.#failOne(board);
        await this.#boards.member(board, "re-add", this.#failed);
        return await this.#kill(board);
      case "fio":
        return await this.#fio();
    }
  }

  #failed = "";

  /** One board fails a member, another one removes it. */
  async #failOne(board: number): Promise<void> {
    const members = Object.keys(await this.#boards.members(board));
    this.#failed = members[this.#prng.below(members.length)] ?? "";
    await this.#boards.member(board, "fail", this.#failed);
    await this.#untilWritten(WRITES_AROUND / 10);
    await this.#boards.member(this.#another(board), "remove", this.#failed);
  }

  async #readd(board: number): Promise<void> {
    await this.#failOne(board);
    await this.#boards.member(this.#another(board), "re-add", this.#failed);
    await this.#untilRebuilt();
  }

  async #replace(board: number): Promise<void> {
    const members = Object.keys(await this.#boards.members(board));
    const free = DEVICES.filter((device) => !members.includes(device));
    await this.#failOne(board);
    await this.#boards.member(board, "add", free[this.#prng.below(free.length)] ?? "");
    await this.#untilRebuilt();
  }

  async #untilRebuilt(): Promise<void> {
    await eventually("the member is rebuilt", SYNC_MS, async () => {
      const { status } = await this.#boards.array(0);
      return status.health === "optimal";
    });
  }

  async #compare(board: number): Promise<void> {
    await this.#boards.ask(board, "PUT", "/arrays/md0/sync-action", { action: "check" });
    await eventually("the check is done", SYNC_MS, async () => {
      const { status } = await this.#boards.array(board);
      const isPending = status.cluster?.resync === "PENDING";
      return status.sync === null && !isPending;
    });
    const { status } = await this.#boards.array(board);
    if (status.mismatch_count > 0)
      throw new Error(`the check found ${status.mismatch_count} sectors that differ`);
  }

  async #kill(board: number): Promise<void> {
    const pid = await this.#boards.kill(board);
    const running = this.#running.get(board);
    this.#running.delete(board);
    await Promise.all([running?.load, running?.reads]);
    this.#region(board).load.model.cut();
    await this.#untilWritten(WRITES_AROUND);
    await this.#boards.untilReturned(board, pid);
    await this.#startClients(board);
  }

  /** fio writes and verifies a part of its own through every board at once. */
  async #fio(): Promise<void> {
    const { config } = await this.#boards.array(0);
    const { numbers } = this.#boards;
    await Promise.all(
      numbers.map(async (at) => {
        const offset = config.size - (numbers.length - at) * FIO_BYTES;
        const { ending, stdout, stderr } = await tryCommand("fio", [
          ...["--name=verify", "--ioengine=nbd", `--uri=${this.#boards.uri(at)}`, "--thread"],
          ...["--rw=randwrite", "--bsrange=4k-64k", "--iodepth=8", `--size=${FIO_BYTES}`],
          ...[`--offset=${offset}`, "--verify=crc32c", "--verify_fatal=1", "--fsync=64"],
          "--verify_state_save=0",
        ]);
        if (ending !== "0") throw new Error(`fio on board ${at + 1}: ${stdout}${stderr}`);
      }),
    );
  }

  #another(board: number): number {
    return (board + 1) % this.#boards.numbers.length;
  }

  // --- what must hold ---------------------------------------------------------------------------

  async #check(): Promise<void> {
    const problems: string[] = [];
    for (const [owner, region] of this.#regions.entries()) {
      const client = await this.#boards.attach((owner + this.#round) % this.#regions.length);
      problems.push(...(await region.check(client)));
      client.close();
    }
    problems.push(...(await this.#compareCopies()));
    if (problems.length > 0) throw new Error(problems.slice(0, PROBLEMS_TOLD).join("\n"));
  }

  /** mdadm accepts every member, and all of them hold the same. */
  async #compareCopies(): Promise<string[]> {
    const { status, config } = await this.#boards.array(0);
    const paths = status.members.flatMap(({ path, states }) =>
      path !== null && states.includes("in_sync") ? [path] : [],
    );
    const files: { readonly fd: number; readonly at: number }[] = [];
    for (const path of paths) {
      const { stdout } = await runCommand("mdadm", ["--examine", path]);
      const sectors = /Data Offset : (\d+) sectors/.exec(stdout)?.[1];
      if (sectors === undefined) return [`mdadm does not know ${path}:\n${stdout}`];
      files.push({ fd: openSync(path, "r"), at: Number(sectors) * SECTOR });
    }
    try {
      return comparedFiles(files, config.size);
    } finally {
      for (const { fd } of files) closeSync(fd);
    }
  }
}

const comparedFiles = (
  files: readonly { readonly fd: number; readonly at: number }[],
  sizeBytes: number,
): string[] => {
  const problems: string[] = [];
  const [first, ...rest] = files.map(() => Buffer.alloc(MIB));
  if (first === undefined) return ["no member is in sync"];
  for (let offset = 0; offset < sizeBytes; offset += MIB) {
    const length = Math.min(MIB, sizeBytes - offset);
    for (const [index, { fd, at }] of files.entries())
      readSync(fd, [first, ...rest][index] ?? first, 0, length, at + offset);
    for (const copy of rest)
      if (Buffer.compare(first.subarray(0, length), copy.subarray(0, length)) !== 0)
        problems.push(`copies differ in the mebibyte at ${offset}`);
  }
  return problems;
};

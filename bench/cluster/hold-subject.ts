/**
 * Boards that share an array, one of which resyncs it while a client of another one writes: what
 * that client's writes waited.
 */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import type { ArrayResource } from "../../src/api/schemas/array.ts";
import type { ArrayDlmResource, DlmResource } from "../../src/api/schemas/dlm.ts";
import { runCommand } from "../../test/helpers/command.ts";
import { SharedBoards } from "../../test/helpers/shared-boards.ts";
import { METADATA_BYTES } from "../bench-board.ts";
import { parseFio } from "../clients/fio-job.ts";
import { makePattern, overwrite } from "../pattern.ts";
import { medianOf } from "../report.ts";
import { HoldWatch } from "./hold-watch.ts";

const ARRAY = "held";
const MEMBERS = ["spare1", "spare2"] as const;
const BOARDS = 3;
const RESYNCER = 0;
const WRITER = 1;
const DEPTH = 8;
/** Choice: busy, but not so that the machine's cores are, which three boards and etcd share. */
const WRITES_PER_SECOND = 2000;
const LIMIT_MS = 120_000;
const LOOK_MS = 100;

/** What a board does to the array beside the writes. */
export interface HoldWork {
  readonly action: "resync" | "repair";
  /** Bytes per second, where they are not those that every array has. */
  readonly speed: { readonly sync_speed_min?: number; readonly sync_speed_max?: number };
}

export interface HoldFigures {
  /** Writes of the client, and those of them that were held. */
  readonly writes: number;
  readonly held: number;
  /** Milliseconds that these waited. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Milliseconds until a write was answered, of all writes. */
  readonly latencyP99: number;
  /** The longest range that was held at a time, and the array: bytes. */
  readonly rangeBytes: number;
  readonly arrayBytes: number;
  /** Milliseconds until a window is held by every other board, median. */
  readonly announcement: number;
  /** What the action had done when the writes ended, bytes per second. */
  readonly speed: number;
}

export class HoldSubject {
  readonly #boards: SharedBoards;
  readonly #folder: string;
  readonly #sizeBytes: number;

  constructor(folder: string, sizeBytes: number) {
    this.#folder = folder;
    this.#sizeBytes = sizeBytes;
    const size = String(sizeBytes + METADATA_BYTES);
    this.#boards = new SharedBoards({ boards: BOARDS, size });
  }

  async start(): Promise<void> {
    await this.#boards.start();
    await makePattern(this.#pattern, this.#sizeBytes + METADATA_BYTES);
    for (const member of MEMBERS) copyFileSync(this.#pattern, this.#boards.disk(member));
  }

  async stop(): Promise<void> {
    await this.#boards.stop();
  }

  async measure(work: HoldWork, seconds: number): Promise<HoldFigures> {
    await this.#make(work.action === "repair");
    const watch = new HoldWatch(this.#sizeBytes);
    const uri = this.#boards.uri(WRITER).replace("///md0?", `///${ARRAY}?`);
    const writes = runCommand(
      "fio",
      fioArguments(uri, this.#sizeBytes, seconds),
      seconds * 1000 + LIMIT_MS,
    );
    await this.#setSync({
      ...work.speed,
      action: work.action === "repair" ? "repair" : "idle",
    });
    let last = Promise.resolve();
    const looks = setInterval(() => {
      last = last.then(() => this.#look(work, watch));
    }, LOOK_MS);
    const { stdout } = await writes.finally(() => clearInterval(looks));
    await last;
    const { requests, p99Us } = parseFio(stdout);
    const { held_writes: holds } = await this.#dlm(WRITER);
    await this.#forget();
    return {
      writes: requests,
      held: holds.by_range,
      p50: holds.p50 * 1000,
      p99: holds.p99 * 1000,
      max: holds.max * 1000,
      latencyP99: p99Us / 1000,
      rangeBytes: watch.rangeBytes,
      arrayBytes: this.#sizeBytes,
      announcement: medianOf(watch.announcements),
      speed: watch.speed,
    };
  }

  get #pattern(): string {
    return join(this.#folder, "pattern");
  }

  /** An array of the spares that every board runs; its copies differ unless they are equal. */
  async #make(isEqual: boolean): Promise<void> {
    const second = this.#boards.disk(MEMBERS[1]);
    if (!isEqual) await overwrite(this.#pattern, second);
    const order = { name: ARRAY, level: "raid1", device_ids: MEMBERS, force: true };
    const cluster = { bitmap: "clustered", nodes: BOARDS + 1, home_cluster: "demo" };
    await this.#boards.ask(RESYNCER, "POST", "/arrays", {
      ...order,
      ...cluster,
      size: this.#sizeBytes,
      assume_clean: isEqual,
    });
    await this.#setSync({ action: "frozen" });
    for (const at of this.#boards.numbers)
      if (at !== RESYNCER) await this.#boards.ask(at, "POST", "/arrays", { import: MEMBERS });
    await this.#boards.ask(WRITER, "POST", "/exports", { name: ARRAY, array: ARRAY });
  }

  async #forget(): Promise<void> {
    const order = { confirm: ARRAY, forget: true, force: true };
    for (const at of this.#boards.numbers)
      await this.#boards.ask(at, "DELETE", `/arrays/${ARRAY}`, order);
  }

  /** Starts a repair again that is through, for as long as the writes go on. */
  async #look(work: HoldWork, watch: HoldWatch): Promise<void> {
    const [writer, resyncer, { sync }] = await Promise.all([
      this.#dlm(WRITER),
      this.#dlm(RESYNCER),
      this.#sync(),
    ]);
    const { ranges, trace } = writer;
    watch.look({ ranges, trace, calls: resyncer.trace, completed: sync?.completed ?? null });
    // One that was asked for begins a moment later: then it is refused.
    if (sync === null && work.action === "repair")
      await this.#setSync({ action: "repair" }).catch(ignoreBegun);
  }

  async #sync(): Promise<ArrayResource["status"]> {
    const path = `/arrays/${ARRAY}`;
    return (await this.#boards.ask<ArrayResource>(RESYNCER, "GET", path)).status;
  }

  async #dlm(at: number): Promise<ArrayDlmResource> {
    const { items } = await this.#boards.ask<DlmResource>(at, "GET", "/dlm");
    const found = items.find(({ name }) => name === ARRAY);
    if (found === undefined) throw new Error(`${ARRAY} is in no cluster`);
    return found;
  }

  async #setSync(body: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#boards.ask(RESYNCER, "PUT", `/arrays/${ARRAY}/sync-action`, body);
  }
}

const ignoreBegun = (error: unknown): void => {
  if (!String(error).includes("sync-in-progress")) throw error;
};

const fioArguments = (uri: string, sizeBytes: number, seconds: number): string[] => [
  "--name=held",
  "--ioengine=nbd",
  `--uri=${uri}`,
  "--thread",
  "--rw=randwrite",
  "--bs=4k",
  `--iodepth=${DEPTH}`,
  `--rate_iops=${WRITES_PER_SECOND}`,
  "--time_based",
  "--norandommap",
  "--randrepeat=0",
  `--runtime=${seconds}`,
  `--size=${sizeBytes}`,
  "--output-format=json",
];

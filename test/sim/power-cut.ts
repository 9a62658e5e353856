/**
 * One seeded story: an array on simulated media, clients that write, read, flush and write with
 * FUA, time that passes, members that fail, and power cuts that lose or tear every unflushed
 * sector. After each cut the array is assembled from what is left, and everything a user relies on
 * is checked: durable data is there, reads are stable, legs are equal wherever no bit is set,
 * the resync touches only dirty chunks, and it ends with equal legs.
 */

import { assert } from "../../src/common/assert.ts";
import { Prng } from "../../src/common/prng.ts";
import { FaultSwitch } from "../../src/hal/layers/fault-device.ts";
import { SimMedium } from "../../src/hal/sim/crash-device.ts";
import { ContentModel, type OpenWrite } from "./content-model.ts";
import { checkLegsOnMedia, contentBytes, createOnMedia, GEOMETRY } from "./media.ts";
import { Scheduler, settle } from "./scheduler.ts";
import { drive, SimArray, type SimLeg } from "./sim-array.ts";

const SECTOR = 512;

export interface StoryResult {
  readonly crashes: number;
  readonly writes: number;
  readonly failures: number;
  readonly readBack: number;
}

class Story {
  readonly #prng: Prng;
  readonly #legs: SimLeg[];
  readonly #model: ContentModel;
  readonly #bitmap: boolean;
  #scheduler: Scheduler;
  #array: SimArray | null = null;
  #open = 0;
  crashes = 0;
  writes = 0;
  failures = 0;
  readBack = 0;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
    this.#scheduler = new Scheduler(this.#prng);
    this.#bitmap = this.#prng.below(4) !== 0;
    const count = 2 + this.#prng.below(2);
    this.#legs = Array.from({ length: count }, (_, index) => ({
      path: `/sim/leg${index}`,
      medium: new SimMedium(GEOMETRY.mediumBytes),
      faults: new FaultSwitch(),
    }));
    createOnMedia(
      this.#legs.map((leg) => leg.medium),
      this.#bitmap,
      this.#prng,
    );
    this.#model = new ContentModel(contentBytes() / SECTOR);
  }

  async run(): Promise<void> {
    const lives = 1 + this.#prng.below(3);
    for (let life = 0; life < lives; life++) {
      await this.#boot();
      if (life > 0) await this.#verifyAll();
      await this.#live(20 + this.#prng.below(150));
      if (this.#prng.below(5) === 0) await this.#stopCleanly();
      else this.#crash();
      checkLegsOnMedia(this.#legs.map((leg) => leg.medium));
    }
    await this.#boot();
    await this.#verifyAll();
    await this.#untilQuiet();
    await this.#verifyAll();
    this.#model.forgetShadows();
    await this.#stopCleanly();
    checkLegsOnMedia(this.#legs.map((leg) => leg.medium));
  }

  async #boot(): Promise<void> {
    this.#scheduler = new Scheduler(this.#prng);
    for (const leg of this.#legs) leg.faults.disarmAll();
    this.#open = 0;
    const scheduler = this.#scheduler;
    const workers = 1 + this.#prng.below(3);
    this.#array = await SimArray.start({ legs: this.#legs, workers, scheduler, prng: this.#prng });
  }

  get #running(): SimArray {
    assert(this.#array !== null, "the array runs");
    return this.#array;
  }

  /** Random things happen, a step at a time. */
  async #live(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      const dice = this.#prng.below(100);
      if (dice < 18 && this.#open < 12) this.#write();
      else if (dice < 24) this.#flush();
      else if (dice < 30) this.#running.tick(1 + this.#prng.below(60));
      else if (dice < 32) this.#running.tick(200 + this.#prng.below(6000));
      else if (dice < 33 && this.failures === 0) this.#failMember();
      else await this.#scheduler.step();
    }
  }

  #worker() {
    const { workers } = this.#running;
    const worker = workers[this.#prng.below(workers.length)];
    assert(worker !== undefined, "a worker");
    return worker;
  }

  /** Writes overlap on purpose: few places, several sizes. */
  #write(): void {
    const count = 1 + this.#prng.below(8);
    const place = this.#prng.below(24) * 256 + this.#prng.below(6);
    const first = Math.min(place, this.#model.sectors - count);
    const write = this.#model.beginWrite(first, count);
    const fua = this.#prng.below(8) === 0;
    this.#open++;
    this.writes++;
    this.#worker().write([stamp(write)], first * SECTOR, fua, (errno) => {
      this.#open--;
      if (errno !== 0) return;
      if (fua) this.#model.ackedDurable(write);
      else this.#model.ack(write);
    });
  }

  #flush(): void {
    const began = this.#model.beginFlush();
    this.#worker().flush((errno) => {
      if (errno === 0) this.#model.flushed(began);
    });
  }

  #failMember(): void {
    this.failures++;
    const leg = this.#legs[this.#prng.below(this.#legs.length)];
    const kind = this.#prng.pick(["write-error", "flush-error", "read-error"] as const);
    const count = this.#prng.below(2) === 0 ? null : 1;
    leg?.faults.arm({ kind, after: this.#prng.below(6), count, range: null, stallMs: 0 });
  }

  #crash(): void {
    this.crashes++;
    this.#scheduler.kill();
    for (const leg of this.#legs) leg.medium.crash(this.#prng);
    this.#array = null;
  }

  async #stopCleanly(): Promise<void> {
    const array = this.#running;
    await this.#untilAnswered();
    const outcome = await this.#withTime(array.driver.command({ type: "stop" }));
    assert(outcome.ok, "stop succeeds");
    this.#array = null;
  }

  /** Drives a promise while the clock ticks. */
  async #withTime<T>(promise: Promise<T>): Promise<T> {
    let done = false;
    void promise.finally(() => {
      done = true;
    });
    for (let steps = 0; !done; steps++) {
      assert(steps < 100_000, "the simulation stands still");
      await this.#scheduler.step();
      if (steps % 8 === 0) this.#running.tick(20);
    }
    return promise;
  }

  async #untilAnswered(): Promise<void> {
    for (let steps = 0; this.#open > 0; steps++) {
      assert(steps < 100_000, "a write is never answered");
      await this.#scheduler.step();
      if (steps % 16 === 0) this.#running.tick(20);
    }
  }

  /** No sync action, clean, every bit that may be cleared is. */
  async #untilQuiet(): Promise<void> {
    for (let round = 0; round < 4000; round++) {
      this.#running.tick(300);
      for (let step = 0; step < 12; step++) await this.#scheduler.step();
      const { status } = this.#running.driver;
      if (status.sync === null && status.arrayState === "clean" && this.#scheduler.idle) return;
    }
    assert(false, "the array never comes to rest");
  }

  /** Every sector holds a write it may hold; from now on exactly that one. */
  async #verifyAll(): Promise<void> {
    const piece = 64 * 1024;
    for (let offset = 0; offset < contentBytes(); offset += piece) {
      const first = await this.#read(offset, piece);
      const again = await this.#read(offset, piece);
      assert(Buffer.compare(first, again) === 0, `two reads at ${offset} differ`);
      for (let at = 0; at < piece; at += SECTOR)
        this.#checkSector(offset + at, first.subarray(at, at + SECTOR));
    }
  }

  #checkSector(offset: number, content: Uint8Array): void {
    const sector = offset / SECTOR;
    const words = new Uint32Array(content.buffer, content.byteOffset, SECTOR / 4);
    const id = words[0] ?? 0;
    for (const word of words) assert(word === id, `sector ${sector} is torn`);
    const problem = this.#model.problem(sector, id, this.failures > 0);
    assert(problem === null, problem ?? "");
    this.#model.pin(sector, id);
    this.readBack++;
  }

  async #read(offset: number, length: number): Promise<Uint8Array> {
    const target = new Uint8Array(length);
    const worker = this.#worker();
    const errno = await drive(
      this.#scheduler,
      new Promise<number>((resolve) => worker.read(target, offset, resolve)),
    );
    assert(errno === 0, `read at ${offset} failed with ${errno}`);
    return target;
  }
}

/** Each sector of a write is filled with its number. */
const stamp = (write: OpenWrite): Uint8Array => {
  const bytes = new Uint8Array(write.count * SECTOR);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 4) view.setUint32(at, write.id, true);
  return bytes;
};

/** Runs the story of one seed; throws with what was violated. */
export const runPowerCutStory = async (seed: number): Promise<StoryResult> => {
  const story = new Story(seed);
  await story.run();
  await settle();
  const { crashes, writes, failures, readBack } = story;
  return { crashes, writes, failures, readBack };
};

/**
 * One seeded story: an array on simulated media, clients, an administrator and bad luck, time that
 * passes, and power cuts that lose or tear every unflushed sector. After each cut the array is
 * assembled from what is left, and everything a user relies on is checked: durable data is there,
 * reads are stable, legs are equal wherever no bit is set, a member that was away is never trusted,
 * the resync touches only dirty chunks, and in the end all legs are equal.
 */

import { assert } from "../../src/common/assert.ts";
import { Prng } from "../../src/common/prng.ts";
import { FaultSwitch } from "../../src/hal/layers/fault-device.ts";
import type { SimMedium } from "../../src/hal/sim/crash-device.ts";
import { LEG_BLOCKED, SYNCED_ALL } from "../../src/raid/shared-state.ts";
import { AdminMoves } from "./admin-moves.ts";
import { ClientLoad } from "./client-load.ts";
import { ContentModel } from "./content-model.ts";
import {
  checkLegsOnMedia,
  createOnMedia,
  GEOMETRY,
  type MediaView,
  type SimShape,
  simShape,
  viewMedia,
} from "./media.ts";
import { Scheduler, settle, withRejections } from "./scheduler.ts";
import { SimArray, type SimLeg } from "./sim-array.ts";
import { type Move, STORIES, type StoryName, type StoryPlan } from "./stories.ts";
import { WatchedMedium } from "./watched-medium.ts";
import { World } from "./world.ts";

const SECTOR = 512;
const SPEEDS = [2 ** 40, 4 * 2 ** 20, 2 ** 19];

export interface StoryWatch {
  /** After every stop: the media, as the story left them. */
  readonly onStop?: (media: readonly SimMedium[]) => void;
  /** Every move and happening, to look into a seed that fails. */
  readonly onTrace?: (line: string) => void;
}

/** An array of one of the story's layouts, with or without a bitmap and bad-block lists. */
const drawShape = (plan: StoryPlan, prng: Prng): SimShape => {
  const hasBitmap = prng.below(4) !== 0;
  const word = prng.pick(plan.layouts);
  const layout = word === "raid1" ? null : word;
  const copies = layout === null ? 2 : Number(layout.slice(1));
  const raidSlots = prng.between(copies, Math.max(plan.legsMax, copies) + 1);
  const chunkSectors = layout === null ? 0 : prng.pick([8, 128]);
  const hasBadBlockLog = plan.layouts.length > 1 && prng.below(2) === 0;
  return simShape({ raidSlots, layout, chunkSectors, hasBitmap, hasBadBlockLog });
};

class Story {
  readonly #plan: StoryPlan;
  readonly #world: World;
  readonly #clients: ClientLoad;
  readonly #admin: AdminMoves;
  readonly #watch: StoryWatch;
  readonly #media: readonly WatchedMedium[];
  #traced = 0;
  /** What the media said when the array was started; null while nobody may count on it. */
  #found: MediaView | null = null;
  /** How far the sync action of this number was seen. */
  #progress = { run: 0, completed: 0 };
  #broken: unknown = null;

  constructor(plan: StoryPlan, seed: number, watch: StoryWatch) {
    const prng = new Prng(seed);
    const shape = drawShape(plan, prng);
    const count = shape.raidSlots;
    const blank = plan.blankMax === 0 ? 0 : prng.below(plan.blankMax + 1);
    const { mediumBytes, dataAt } = GEOMETRY;
    const blanks = Array.from({ length: count + blank });
    this.#media = blanks.map(() => new WatchedMedium(mediumBytes, dataAt));
    const legs: SimLeg[] = this.#media.map((medium, index) => ({
      path: `/sim/leg${index}`,
      medium,
      faults: new FaultSwitch(),
    }));
    createOnMedia(this.#media.slice(0, count), shape, prng);
    const model = new ContentModel(shape.map.sizeBytes / SECTOR);
    this.#plan = plan;
    this.#watch = watch;
    this.#world = new World(prng, new Scheduler(prng), legs, model, shape);
    this.#clients = new ClientLoad(this.#world);
    this.#admin = new AdminMoves(this.#world);
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#world.counts;
  }

  async run(): Promise<void> {
    const told = async (): Promise<void> => {
      await this.#tell();
      await settle();
      this.#checkAlive();
    };
    await withRejections(told, (error) => {
      this.#broken ??= error;
    });
  }

  async #tell(): Promise<void> {
    const { prng } = this.#world;
    const lives = 1 + prng.below(this.#plan.livesMax);
    for (let life = 0; life < lives; life++) {
      await this.#boot(this.#present());
      if (life > 0) await this.#clients.verifyAll();
      const isCut = await this.#live(20 + prng.below(this.#plan.stepsMax));
      if (!isCut && prng.below(5) === 0) await this.#stopCleanly();
      else await this.#cutPower(isCut);
      this.#checkMedia();
    }
    await this.#boot(this.#world.legs);
    await this.#clients.verifyAll();
    await this.#untilQuiet();
    await this.#admin.makeWhole(() => this.#untilQuiet());
    await this.#clients.verifyAll();
    this.#checkWhole();
    this.#world.model.forgetShadows();
    await this.#stopCleanly();
    this.#checkMedia();
  }

  // --- lives ------------------------------------------------------------------------------------

  /** The media that are there at the next start: enough that hold the newest data. */
  #present(): readonly SimLeg[] {
    const { prng, legs, media, shape } = this.#world;
    if (!this.#plan.mediaGoAway) return legs;
    const { inSync } = viewMedia(media);
    const slotOf = new Map(inSync.map(({ medium, raidSlot }) => [medium, raidSlot]));
    let present = [...legs];
    for (const leg of legs) {
      if (prng.below(4) > 0) continue;
      const left = present.filter((other) => other !== leg);
      const slots = new Set(left.map(({ medium }) => slotOf.get(medium)));
      if (shape.map.copiesLeft((slot) => slots.has(slot)) > 0) present = left;
    }
    if (present.length < legs.length) this.#world.loseLeg(false);
    return present;
  }

  async #boot(present: readonly SimLeg[]): Promise<void> {
    const world = this.#world;
    world.scheduler = new Scheduler(world.prng);
    AdminMoves.healAll(world.legs);
    this.#clients.open = 0;
    this.#admin.open = 0;
    this.#progress = { run: 0, completed: 0 };
    this.#traced = 0;
    world.shaky = false;
    this.#found = viewMedia(present.map((leg) => leg.medium));
    const current = new Set(this.#found.inSync.map(({ medium }) => medium));
    world.array = await SimArray.start({
      legs: present,
      workers: 1 + world.prng.below(3),
      scheduler: world.scheduler,
      prng: world.prng,
      syncSpeed: world.prng.pick(SPEEDS),
      quickness: world.prng.pick([0, 0, 3, 8]),
    });
    this.#trace(`start with ${present.map(({ path }) => path).join(" ")}`);
    for (const { path, states } of world.array.driver.status.members) {
      this.#trace(`    ${path} ${states.join()}`);
      const medium = present.find((leg) => leg.path === path)?.medium;
      if (!states.includes("in_sync") || medium === undefined) continue;
      assert(current.has(medium), `${path} is trusted though it missed writes`);
    }
  }

  /**
   * Random things happen, a step at a time; true when they end at a moment that was waited for.
   */
  async #live(steps: number): Promise<boolean> {
    const { prng } = this.#world;
    const { moves } = this.#plan;
    const isNow = this.#moment();
    for (let step = 0; step < steps; step++) {
      if (isNow()) return true;
      let dice = prng.below(100);
      const move = moves.find(([, share]) => {
        dice -= share;
        return dice < 0;
      });
      if (move === undefined) await this.#step();
      else if (move[0] === "busy ticks") await this.#busyTicks();
      else this.#move(move[0]);
      this.#checkAlive();
    }
    return false;
  }

  /** When the power goes by itself: in the middle of a metadata write, or as a leg has failed. */
  #moment(): () => boolean {
    const { prng } = this.#world;
    const writes = () => this.#media.reduce((sum, medium) => sum + medium.metadataWrites, 0);
    let left = prng.below(12);
    const isBlocked = () => {
      const { shared } = this.#world.array;
      for (let leg = 0; leg < shared.legs; leg++) if (shared.leg(leg) === LEG_BLOCKED) return true;
      return false;
    };
    const at = writes() + 1 + prng.below(24);
    switch (prng.below(6)) {
      case 0:
      case 1:
        return () => writes() >= at;
      case 2:
      case 3:
        return () => isBlocked() && left-- === 0;
      default:
        return () => false;
    }
  }

  /** Sweeps pass while the array never rests: a write between any two of them. */
  async #busyTicks(): Promise<void> {
    for (let round = 0; round < 4; round++) {
      if (!this.#clients.isFull) this.#clients.write();
      for (let step = 0; step < 6; step++) await this.#step();
      this.#tick(5000);
    }
  }

  #trace(line: string): void {
    const { onTrace } = this.#watch;
    if (onTrace === undefined) return;
    const { happenings } = this.#world.array;
    for (; this.#traced < happenings.length; this.#traced++)
      onTrace(`    ${happenings[this.#traced]?.message}`);
    onTrace(line);
  }

  #move(name: Exclude<Move, "busy ticks">): void {
    const { prng } = this.#world;
    this.#trace(name);
    switch (name) {
      case "write":
      case "read":
      case "flush":
        return this.#clients.isFull ? undefined : this.#clients[name]();
      case "tick":
        return this.#tick(1 + prng.below(60));
      case "long tick":
        return this.#tick(200 + prng.below(6000));
      case "one fault":
        return this.#world.lenient ? undefined : this.#admin.fault();
      case "fault":
      case "heal":
      case "fail":
      case "remove":
      case "replace":
        return this.#admin[name]();
      case "add":
      case "re-add":
        return this.#admin.join(name);
      case "check":
      case "repair":
      case "idle":
        return this.#admin.sync(name);
    }
  }

  async #step(): Promise<void> {
    await this.#world.scheduler.step();
  }

  /** Time passes; what a sync action shows never falls and never exceeds the whole. */
  #tick(ms: number): void {
    const { array } = this.#world;
    array.tick(ms);
    const { sync } = array.driver.status;
    if (sync === null) return;
    const { completedBytes, totalBytes, eta } = sync;
    const run = array.happenings.filter(({ type }) => type === "sync.started").length;
    const last = this.#progress;
    assert(completedBytes <= totalBytes, "progress exceeds the whole");
    assert(run !== last.run || completedBytes >= last.completed, "progress falls");
    assert(eta === null || (eta.low >= 0 && eta.low <= eta.high), "ETA is a range");
    this.#progress = { run, completed: completedBytes };
  }

  /** Often the power goes while time has just made the array write its metadata. */
  async #cutPower(isNow: boolean): Promise<void> {
    const { prng } = this.#world;
    if (!isNow && prng.below(3) === 0) this.#tick(prng.pick([300, 6000]));
    for (let steps = isNow ? 0 : prng.below(8); steps > 0; steps--) await this.#step();
    this.#checkAlive();
    this.#world.count("cut");
    this.#trace("power cut");
    this.#checkSyncs();
    this.#world.scheduler.kill();
    // What had begun begins before the cut, not in the next life.
    await settle();
    for (const leg of this.#world.legs) leg.medium.crash(this.#world.prng);
    this.#world.model.cut();
    this.#world.array = null;
  }

  async #stopCleanly(): Promise<void> {
    const { array } = this.#world;
    this.#world.count("stop");
    this.#trace("stop");
    await this.#until("a request is never answered", () => this.#clients.open === 0);
    let stopped = false;
    void array.driver.command({ type: "stop" }).then((outcome) => {
      assert(outcome.ok, "stop succeeds");
      stopped = true;
    });
    await this.#until("the array never stops", () => stopped);
    await this.#until("a command is never answered", () => this.#admin.open === 0);
    this.#trace("stopped");
    this.#checkSyncs();
    this.#world.model.cut();
    for (const leg of this.#world.legs) leg.medium.crash(this.#world.prng);
    this.#world.array = null;
  }

  /** Time passes until the condition holds. */
  async #until(otherwise: string, done: () => boolean): Promise<void> {
    for (let steps = 0; !done(); steps++) {
      assert(steps < 60_000, otherwise);
      await this.#step();
      if (steps % 12 === 0) this.#tick(20);
      this.#checkAlive();
    }
  }

  /** No sync action, clean (or broken), every command answered. */
  async #untilQuiet(): Promise<void> {
    AdminMoves.healAll(this.#world.legs);
    const { array, scheduler } = this.#world;
    void array.driver.command({ type: "sync-speed", min: 2 ** 40, max: 2 ** 40 });
    for (let round = 0; round < 4000; round++) {
      this.#tick(300);
      for (let step = 0; step < 12; step++) await this.#step();
      this.#checkAlive();
      const { sync, arrayState } = array.driver.status;
      const rests = sync === null && (arrayState === "clean" || arrayState === "broken");
      if (rests && scheduler.idle && this.#admin.open === 0) return;
    }
    assert(false, "the array never comes to rest");
  }

  // --- checks -----------------------------------------------------------------------------------

  #checkAlive(): void {
    if (this.#broken !== null) throw this.#broken;
    assert(this.#clients.problem === null, this.#clients.problem ?? "");
  }

  #checkMedia(): void {
    this.#watch.onStop?.(this.#world.media);
    checkLegsOnMedia(this.#world.media, this.#world.shape);
  }

  /** A resync copies the chunks that were dirty and nothing else; a check finds no difference. */
  #checkSyncs(): void {
    const { array, lenient } = this.#world;
    const finished = array.happenings.filter(({ type }) => type === "sync.finished");
    for (const { details } of finished) {
      this.#world.count(`${details["action"]} ${details["outcome"]}`);
      // A raid10 member that must stay may have failed a write, which the client was told.
      const isExcused = this.#world.shape.raid10 !== null && this.#world.failedWrites > 0;
      if (!isExcused && (details["action"] === "check" || details["action"] === "repair"))
        assert(details["mismatch_count"] === 0, `${details["action"]} finds legs different`);
    }
    const resyncs = finished.filter(({ details }) => details["action"] === "resync");
    const [only] = resyncs;
    const found = this.#found;
    if (found === null || found.dirty === null || lenient || resyncs.length !== 1) return;
    if (only?.details["outcome"] !== "done") return;
    const copied = Number(only.details["copied_bytes"]);
    const { sizeBytes } = this.#world.shape.map;
    const { chunkBytes } = GEOMETRY;
    let due = 0;
    for (const chunk of found.dirty)
      due += Math.min((chunk + 1) * chunkBytes, sizeBytes) - chunk * chunkBytes;
    assert(copied === due, `a resync copied ${copied} bytes, ${due} bytes were dirty`);
  }

  /** All legs are in sync and nothing is to be done, unless no metadata can be written any more. */
  #checkWhole(): void {
    const { array } = this.#world;
    const { status, shared } = { status: array.driver.status, shared: array.shared };
    if (status.arrayState === "broken") return;
    assert(status.degraded === 0, "a raid slot is empty though there are members for it");
    assert(shared.syncedMib === SYNCED_ALL, "a resync is pending");
    assert(status.health === "optimal", `a whole array is ${status.health}`);
  }
}

/** Runs the story of one seed; throws with what was violated. Returns what happened, by name. */
export const runStory = async (
  name: StoryName,
  seed: number,
  watch: StoryWatch = {},
): Promise<ReadonlyMap<string, number>> => {
  const story = new Story(STORIES[name], seed, watch);
  await story.run();
  return story.counts;
};

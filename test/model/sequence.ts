/**
 * One seeded sequence: an array, some dozens of random operations, and in the end everything
 * healed,
 * at rest, read, checked and stopped. Each operation draws from a generator of its own, so that
 * operations can be left out to find the few that matter.
 */

import { assert } from "../../src/common/assert.ts";
import { Prng } from "../../src/common/prng.ts";
import { MD_FEATURE_CLUSTERED } from "../../src/raid/superblock-fields.ts";
import { ChangeSteps } from "./change-steps.ts";
import { ClientSteps } from "./client-steps.ts";
import { describeMedia, type MediaView, viewMedia } from "./media-view.ts";
import type { ModelMedium } from "./medium.ts";
import { MemberSteps } from "./member-steps.ts";
import { Model } from "./model.ts";
import { ScrubSteps } from "./scrub-steps.ts";

export interface SequenceOptions {
  /** A layout of array-shape.ts; null: any. */
  readonly layout?: string | null;
  /** Operations to leave out. */
  readonly skip?: ReadonlySet<number>;
}

export interface SequenceResult {
  readonly operations: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly trace: readonly string[];
  /** What was violated; null when nothing was. */
  readonly problem: string | null;
}

type Operation =
  | "write"
  | "zero"
  | "read"
  | "flush"
  | "tick"
  | "long tick"
  | "busy"
  | "rest"
  | "fail"
  | "remove"
  | "add"
  | "re-add"
  | "replace"
  | "flags"
  | "damage"
  | "heal"
  | "action"
  | "check"
  | "repair"
  | "corrupt"
  | "change"
  | "restart"
  | "crash"
  | "crash soon";

/** How often what happens. */
const SHARES: readonly (readonly [Operation, number])[] = [
  ["write", 26],
  ["zero", 7],
  ["read", 12],
  ["flush", 5],
  ["tick", 5],
  ["long tick", 4],
  ["busy", 2],
  ["rest", 3],
  ["fail", 5],
  ["remove", 5],
  ["add", 5],
  ["re-add", 5],
  ["replace", 3],
  ["flags", 2],
  ["damage", 3],
  ["heal", 2],
  ["action", 2],
  ["check", 2],
  ["repair", 1],
  ["corrupt", 1],
  ["change", 3],
  ["restart", 3],
  ["crash", 3],
  ["crash soon", 2],
];
const TOTAL = SHARES.reduce((sum, [, share]) => sum + share, 0);

const draw = (prng: Prng): Operation => {
  let dice = prng.below(TOTAL);
  for (const [operation, share] of SHARES) {
    dice -= share;
    if (dice < 0) return operation;
  }
  return "write";
};

/** The generator of one operation. */
const generatorOf = (seed: number, index: number): Prng =>
  new Prng((seed ^ Math.imul(index + 1, 0x9e37_79b1)) >>> 0);

class Sequence {
  readonly #model: Model;
  readonly #clients: ClientSteps;
  readonly #members: MemberSteps;
  readonly #scrubs: ScrubSteps;
  readonly #changes: ChangeSteps;

  constructor(model: Model) {
    this.#model = model;
    this.#clients = new ClientSteps(model);
    this.#members = new MemberSteps(model);
    this.#scrubs = new ScrubSteps(model);
    this.#changes = new ChangeSteps(model);
  }

  async begin(prng: Prng): Promise<void> {
    const model = this.#model;
    if (!model.shape.hasBadBlockLists) await this.#changes.withoutLists(prng);
    if (model.power.isOff) model.cut(prng);
    await model.start(model.media, prng);
  }

  async operate(operation: Operation, prng: Prng): Promise<void> {
    const model = this.#model;
    model.count(operation);
    await this.#act(operation, prng);
    if (model.isRunning) await model.array.pass(prng.pick([0, 0, 0, 4, 40]));
    if (model.power.isOff) model.cut(prng);
    if (!model.isRunning) await this.#startAgain(prng);
    if (model.array.broken !== null) throw model.array.broken;
    model.afterStep();
  }

  async #act(operation: Operation, prng: Prng): Promise<void> {
    const model = this.#model;
    switch (operation) {
      case "write":
      case "zero":
      case "read":
      case "flush":
        return this.#clients[operation](prng);
      case "tick":
        return this.#tick(1 + prng.below(60), 1);
      case "long tick":
        return this.#tick(200 + prng.below(6000), 1 + prng.below(4));
      case "busy":
        return this.#busy(prng);
      case "rest":
        return model.rest();
      case "fail":
      case "remove":
      case "replace":
      case "flags":
        return this.#members[operation](prng);
      case "add":
      case "re-add":
        return this.#members.join(operation, prng);
      case "damage":
      case "heal":
        return this.#members[operation](prng);
      case "action":
      case "corrupt":
        return this.#scrubs[operation](prng);
      case "check":
      case "repair":
        return this.#scrubs.scrub(operation, prng);
      case "change":
        return this.#changes.change(prng);
      case "restart":
        await model.stop(prng);
        return;
      case "crash":
        return model.cut(prng);
      case "crash soon":
        model.power.left = 1 + prng.below(40);
        return;
    }
  }

  async #tick(ms: number, times: number): Promise<void> {
    const { array } = this.#model;
    for (let time = 0; time < times; time++) {
      array.tick(ms);
      await array.pass(40);
    }
    this.#model.note(`tick ${times} × ${ms} ms`);
  }

  /** Sweeps pass while the array never rests: a write between any two of them. */
  async #busy(prng: Prng): Promise<void> {
    for (let round = 0; round < 4; round++) {
      await this.#clients.write(prng);
      await this.#tick(5000, 1);
    }
    if (prng.chance(1, 3)) this.#model.cut(prng);
  }

  // --- starts -----------------------------------------------------------------------------------

  /**
   * With all media that work, or without some the array can do without; first, perhaps, too few.
   */
  async #startAgain(prng: Prng): Promise<void> {
    const model = this.#model;
    for (;;) {
      await this.#changes.plain(prng);
      if (!model.power.isOff) break;
      model.cut(prng);
    }
    if (prng.chance(1, 8)) await this.#startWithTooFew(prng);
    if (model.isRunning) return;
    const present = this.#present(prng);
    const isStarted = await model.start(present, prng);
    assert(isStarted, "enough members are given");
    model.count("start");
  }

  #present(prng: Prng): ModelMedium[] {
    const model = this.#model;
    const view = model.viewAll();
    let present = [...model.media];
    for (const medium of model.media) {
      const without = present.filter((other) => other !== medium);
      const canMiss = view !== null && isEnough(view, without) && this.#areEnough(without);
      const isLeftOut = medium.isDead ? prng.chance(3, 4) : prng.chance(1, 8);
      if (isLeftOut && canMiss) present = without;
      else if (medium.isDead) medium.heal();
    }
    return prng.shuffle(present);
  }

  /** What they make of it among themselves: one left out may be the last to trust another. */
  #areEnough(media: readonly ModelMedium[]): boolean {
    return viewMedia(media, this.#model.shape.minor)?.isEnough === true && this.#isPlain(media);
  }

  /**
   * False for members that a change cut short left clustered though others are plain already: on
   * their own they are a clustered array, and a board in no cluster rightly runs none.
   */
  #isPlain(media: readonly ModelMedium[]): boolean {
    const featureMap = viewMedia(media, this.#model.shape.minor)?.freshest.featureMap ?? 0;
    return (featureMap & MD_FEATURE_CLUSTERED) === 0;
  }

  /** In-sync members that do not hold everything, with all the stale ones there are. */
  async #startWithTooFew(prng: Prng): Promise<void> {
    const model = this.#model;
    const view = model.viewAll();
    const inSync = view?.inSync.map(({ medium }) => medium) ?? [];
    const kept = prng.shuffle([...inSync]).slice(0, Math.floor(inSync.length / 2));
    const healthy = (medium: ModelMedium): boolean => !medium.isDead;
    if (view === null || kept.length === 0 || isEnough(view, kept)) return;
    const others = model.media.filter((medium) => !inSync.includes(medium));
    const given = [...kept, ...others].filter(healthy);
    // What the members given make of it among themselves counts.
    if (viewMedia(given, model.shape.minor)?.isEnough === true || !this.#isPlain(given)) return;
    await model.start(given, prng);
  }

  /** Everything heals and comes to rest; then the content is whole, once more. */
  async end(prng: Prng): Promise<void> {
    const model = this.#model;
    for (const medium of model.media) medium.heal();
    if (model.isBroken || model.power.isOff) {
      model.cut(prng);
      const isStarted = await model.start(model.media, prng);
      assert(isStarted, "healed members start");
    }
    model.power.restore();
    await model.rest();
    await this.#clients.readAll();
    await this.#scrubs.scrub("check", prng);
    await model.stop(prng);
  }
}

/** The in-sync members among these media hold everything. */
const isEnough = ({ inSync, map }: MediaView, media: readonly ModelMedium[]): boolean => {
  const left = inSync.filter(({ medium }) => media.includes(medium));
  const slots = new Set(left.map(({ raidSlot }) => raidSlot));
  return map.copiesLeft((slot) => slots.has(slot)) > 0;
};

/** Runs one sequence; never rejects for what it finds. */
export const runSequence = async (
  seed: number,
  { layout = null, skip = new Set() }: SequenceOptions = {},
): Promise<SequenceResult> => {
  const first = new Prng(seed);
  const model = await Model.create(first, layout);
  const length = 10 + first.below(31);
  let problem: string | null = null;
  try {
    const sequence = new Sequence(model);
    await sequence.begin(first);
    for (let index = 0; index < length; index++) {
      if (skip.has(index)) continue;
      const prng = generatorOf(seed, index);
      const operation = draw(prng);
      model.trace.push(`${index}: ${operation}`);
      await sequence.operate(operation, prng);
    }
    model.trace.push("end");
    await sequence.end(first);
  } catch (error) {
    model.note("failed");
    model.trace.push(...describeMedia(model.media, model.shape.minor));
    problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  // What still runs after a failure must not write to memory that others get.
  model.power.life++;
  for (const medium of model.media) medium.recycle();
  return { operations: length, counts: model.counts, trace: model.trace, problem };
};

/**
 * The model of one sequence: media, the running array, what it must hold. Starts, stops and cuts
 * the array, and after each of them holds the media against md's rules and the oracle.
 */

import { assert } from "../../src/common/assert.ts";
import { CodedError } from "../../src/common/errors.ts";
import type { Prng } from "../../src/common/prng.ts";
import type { ArrayStatus, MemberStatus } from "../../src/raid/array-status.ts";
import { RUN_BROKEN, SYNCED_ALL } from "../../src/raid/shared-state.ts";
import { type ArrayShape, createArray, drawShape } from "./array-shape.ts";
import { ContentOracle } from "./content-oracle.ts";
import { checkCleanStop, checkCopies, checkEquality } from "./media-check.ts";
import { dataOf, type MediaView, type PlacedLeg, viewMedia } from "./media-view.ts";
import { type ModelMedium, Power } from "./medium.ts";
import { RunningArray } from "./running-array.ts";

const FULL_SPEED = 2 ** 40;
/** Ticks without anything to do until an array counts as resting. */
const RESTING_TICKS = 2;

export class Model {
  readonly shape: ArrayShape;
  readonly power = new Power();
  readonly counts = new Map<string, number>();
  readonly trace: string[] = [];
  media: ModelMedium[] = [];
  oracle = new ContentOracle(0);
  /** A sync action was frozen by the administrator. */
  isFrozen = false;
  /** Paths that may be faulty: somebody said so. */
  readonly blamed = new Set<string>();
  now = 1_700_000_000_000;
  #array: RunningArray | null = null;
  /** Members had different events at the start: the first update brings them level. */
  #isUneven = false;
  #traced = 0;

  private constructor(shape: ArrayShape) {
    this.shape = shape;
  }

  static async create(prng: Prng, layout: string | null): Promise<Model> {
    const model = new Model(drawShape(prng, layout));
    model.media = [...(await createArray(model.shape, prng, model.power))];
    const pace = prng.pick([
      { isQuick: true, latency: 0 },
      { isQuick: true, latency: 0 },
      { isQuick: false, latency: 0 },
      { isQuick: false, latency: 3 },
    ]);
    for (const medium of model.media) medium.pace = prng.chance(1, 8) ? SLOW : pace;
    model.note(`create ${describeShape(model.shape)}`);
    const view = model.viewAll();
    assert(view?.isEnough, "a new array can be started");
    model.oracle = new ContentOracle(view.map.sizeBytes);
    model.learn(view, 0);
    return model;
  }

  get isRunning(): boolean {
    return this.#array !== null;
  }

  get array(): RunningArray {
    assert(this.#array !== null, "the array runs");
    return this.#array;
  }

  get status(): ArrayStatus {
    return this.array.driver.status;
  }

  get isBroken(): boolean {
    return this.array.shared.run === RUN_BROKEN;
  }

  medium(path: string): ModelMedium {
    const medium = this.media.find((other) => other.path === path);
    assert(medium !== undefined, `${path} is a medium of the model`);
    return medium;
  }

  /** Members that the array lists, raid slots without one left out. */
  members(wanted: (member: MemberStatus) => boolean = () => true): MemberStatus[] {
    return this.status.members.filter((member) => member.path !== null && wanted(member));
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  note(line: string): void {
    const happenings = this.#array?.happenings ?? [];
    for (; this.#traced < happenings.length; this.#traced++)
      this.trace.push(`      ${happenings[this.#traced]?.message}`);
    this.trace.push(line);
  }

  /** What must hold unless the power went in the middle: then nobody heard the answer. */
  expect(holds: boolean, otherwise: () => string): void {
    if (!holds && !this.power.isOff) assert(false, otherwise());
  }

  // --- starts and stops -------------------------------------------------------------------------

  viewAll(): MediaView | null {
    return viewMedia(this.media, this.shape.minor);
  }

  /** Starts the array from these media; false when they are, rightly, too few. */
  async start(present: readonly ModelMedium[], prng: Prng): Promise<boolean> {
    const view = viewMedia(present, this.shape.minor);
    const paths = present.map(({ path }) => path);
    this.note(`start ${paths.join(" ")}`);
    const array = await this.#assemble(present, view, prng);
    if (array === null || view === null) return false;
    this.#array = array;
    this.#traced = 0;
    this.isFrozen = false;
    const { events, resyncOffset } = view.freshest;
    this.#isUneven = view.inSync.some(
      ({ superblock: own }) => own.events < events || own.resyncOffset !== resyncOffset,
    );
    this.#checkPlaces(view);
    const { sizeBytes } = array;
    const before = this.oracle.content.length;
    if (sizeBytes < before) this.oracle.shrink(sizeBytes);
    else if (sizeBytes > before) {
      this.oracle.grow(sizeBytes);
      this.learn(view, before, this.viewAll()?.inSync ?? []);
    }
    if (present.length < this.media.length) this.oracle.unpin(false);
    checkCopies(view, this.oracle);
    array.tick(prng.pick([0, 1, 20, 300]));
    await array.pass(prng.pick([0, 8, 200]));
    return true;
  }

  async #assemble(
    present: readonly ModelMedium[],
    view: MediaView | null,
    prng: Prng,
  ): Promise<RunningArray | null> {
    const isEnough = view?.isEnough === true;
    try {
      const workers = prng.pick([1, 1, 2]);
      const syncSpeed = prng.pick([FULL_SPEED, FULL_SPEED, 2 ** 18]);
      const array = await RunningArray.start({
        media: present,
        workers,
        prng,
        now: this.now,
        syncSpeed,
      });
      const places = array.driver.status.members.map(
        ({ path, raidSlot, states }) => `${path} ${raidSlot} ${states.join("+")}`,
      );
      assert(isEnough, `the array starts from too few members: ${places.join("; ")}`);
      return array;
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      const { code } = error;
      const reasons = JSON.stringify(error.details);
      assert(!isEnough, `the array does not start: ${code} ${error.message} ${reasons}`);
      const isRight = code === "RAID_NOT_ENOUGH_MEMBERS" || code === "RAID_NO_MEMBERS";
      assert(isRight, `too few members are refused as ${code}`);
      this.count(`start ${code}`);
      this.note(`  ${code}`);
      return null;
    }
  }

  /** Assembly sees what md's rules say. */
  #checkPlaces(view: MediaView): void {
    const pathsOf = (legs: readonly { readonly medium: ModelMedium }[]): string =>
      legs
        .map(({ medium }) => medium.path)
        .sort()
        .join(" ");
    const members = this.members();
    const pathsIn = (wanted: (member: MemberStatus) => boolean): string =>
      members
        .filter(wanted)
        .map(({ path }) => path ?? "")
        .sort()
        .join(" ");
    const inSync = pathsIn(({ states }) => states.includes("in_sync"));
    assert(inSync === pathsOf(view.inSync), `in sync: ${inSync}, not ${pathsOf(view.inSync)}`);
    const rebuilding = pathsIn(({ states }) => states.includes("rebuilding"));
    assert(rebuilding === pathsOf(view.rebuilding), `being rebuilt: ${rebuilding}`);
    const spares = pathsIn(({ raidSlot }) => raidSlot === null);
    assert(spares === pathsOf(view.spares), `spares: ${spares}, not ${pathsOf(view.spares)}`);
  }

  /** Ends the array as an administrator does; nothing is lost. `keepOpen`: for a change. */
  async stop(prng: Prng, keepOpen = false): Promise<void> {
    const { array } = this;
    this.note("stop");
    const isResyncDue = array.shared.syncedMib !== SYNCED_ALL;
    const outcome = await array.stop(keepOpen);
    this.expect(outcome.ok, () => "stop is refused");
    if (this.power.isOff) return;
    this.now = array.now;
    this.note("  stopped");
    const isBroken = array.happenings.some(({ type }) => type === "array.broken");
    this.#leave();
    for (const medium of this.media) medium.cut(prng);
    if (isBroken) this.oracle.cut();
    else this.oracle.flushed(0, this.oracle.content.length);
    const view = this.checkMedia();
    if (!isBroken) checkCleanStop(view, { isResyncDue, isUneven: this.#isUneven });
  }

  /** The power goes; what was not flushed may be lost. */
  cut(prng: Prng): void {
    this.note("power cut");
    if (this.#array !== null) this.now = this.#array.now + 1000;
    this.#leave();
    for (const medium of this.media) medium.cut(prng);
    this.power.restore();
    this.oracle.cut();
    this.checkMedia();
  }

  #leave(): void {
    this.#array = null;
    this.power.life++;
    this.blamed.clear();
    for (const medium of this.media) medium.hits = 0;
  }

  /** The media hold together; returns what they say. */
  checkMedia(): MediaView {
    const view = this.viewAll();
    assert(view?.isEnough, "the media no longer make the array");
    const loose = new Set(this.oracle.looseSectors());
    const areEqual = checkCopies(view, this.oracle);
    checkEquality(view, areEqual, (sector) => loose.has(sector));
    return view;
  }

  /**
   * What nobody wrote is whatever the copies hold, the first one in md's order before others.
   * `absent`: in-sync legs that are not there now and may be again.
   */
  learn({ map, inSync }: MediaView, from: number, absent: readonly PlacedLeg[] = []): void {
    const legs = [...inSync, ...absent];
    for (const { offset, length, places } of map.extents(from, map.sizeBytes - from)) {
      const copies = places.flatMap(({ slot, position }) =>
        legs.flatMap((leg) => (leg.raidSlot === slot ? [dataOf(leg, position, length)] : [])),
      );
      const first = places.find(({ slot }) => inSync.some(({ raidSlot }) => raidSlot === slot));
      const leg = inSync.find(({ raidSlot }) => raidSlot === first?.slot);
      if (first === undefined || leg === undefined) continue;
      this.oracle.content.set(dataOf(leg, first.position, length), offset);
      for (const copy of copies) this.oracle.alsoHeld(offset, copy, "apart");
    }
  }

  // --- rest -------------------------------------------------------------------------------------

  /** AFTER each step: doubts end when the array says that nothing is left to be done. */
  afterStep(): void {
    const { array } = this;
    if (this.power.isOff) return;
    for (const { path, states, faultReason } of this.status.members) {
      if (path === null || !states.includes("faulty")) continue;
      const isRight =
        this.blamed.has(path) ||
        this.medium(path).hits > 0 ||
        faultReason?.startsWith("replaced by") === true;
      assert(isRight, `${path} is faulty for no reason: ${faultReason}`);
    }
    if (this.isBroken) return;
    if (array.shared.syncedMib === SYNCED_ALL && !array.driver.restless) this.oracle.settled();
  }

  /** Time passes until nothing is left to be done; then all is as it must be. */
  async rest(): Promise<void> {
    const { array } = this;
    if (this.isFrozen) await array.command({ type: "sync-action", action: "idle" });
    this.isFrozen = false;
    await array.command({ type: "sync-speed", min: FULL_SPEED, max: FULL_SPEED });
    let resting = 0;
    for (let ticks = 0; resting < RESTING_TICKS; ticks++) {
      assert(ticks < 2000, "the array never comes to rest");
      array.tick(300);
      await array.pass(48);
      if (array.broken !== null) throw array.broken;
      if (this.isBroken) return;
      resting = array.driver.restless ? 0 : resting + 1;
    }
    this.note("  at rest");
    this.afterStep();
    if (!this.power.isOff) this.#checkRest();
  }

  #checkRest(): void {
    const { members, degraded } = this.status;
    const hasSuspects = this.media.some((medium) => medium.wasDead || medium.suspects.size > 0);
    const hasSpare = members.some(({ states }) => isIdleSpare(states));
    const isEmpty = members.some(({ path }) => path === null);
    assert(!isEmpty || !hasSpare, "a spare does not take the empty raid slot");
    const isStuck = members.some(({ states }) => states.includes("rebuilding"));
    assert(!isStuck || hasSuspects, "a rebuild does not go on");
    assert(degraded === 0 || isEmpty || hasSuspects, "degraded without a reason");
    const isSynced = this.array.shared.syncedMib === SYNCED_ALL;
    const inSync = this.members(({ states }) => states.includes("in_sync"));
    assert(isSynced || hasSuspects || inSync.length === 1, "a resync does not go on");
    const view = viewMedia(
      inSync.map(({ path }) => this.medium(path ?? "")),
      this.shape.minor,
    );
    assert(view?.inSync.length === inSync.length, "the media agree who is in sync");
    const areEqual = checkCopies(view, this.oracle);
    if (!isSynced || areEqual) return;
    const loose = new Set(this.oracle.looseSectors());
    checkEquality(view, areEqual, (sector) => loose.has(sector));
  }
}

const isIdleSpare = (states: MemberStatus["states"]): boolean =>
  states.includes("spare") && !states.includes("rebuilding");

const SLOW = { isQuick: false, latency: 6 };

const describeShape = (shape: ArrayShape): string =>
  Object.entries(shape)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(" ");

/**
 * What administrators and bad luck do to members; every answer must be one that fits the moment.
 */

import type { Prng } from "../../src/common/prng.ts";
import type { CommandOutcome } from "../../src/raid/array-messages.ts";
import type { MemberStatus } from "../../src/raid/array-status.ts";
import { mediumBytes } from "./array-shape.ts";
import { isIdleSpare, isInSync, isWorking, JoinRules } from "./join-rules.ts";
import { superblockOf } from "./media-view.ts";
import { ModelMedium, SECTOR } from "./medium.ts";
import type { Model } from "./model.ts";

const KIB = 1024;
const PAGE = 4096;
const MEDIA_MAX = 14;

export class MemberSteps {
  readonly #model: Model;

  constructor(model: Model) {
    this.#model = model;
  }

  /** Checks an answer: `expected` is null where success is, or the code of the refusal. */
  #answered(name: string, outcome: CommandOutcome, expected: string | null): boolean {
    const model = this.#model;
    const code = outcome.ok ? null : outcome.code;
    model.count(`${name.split(" ")[0]} ${code ?? "ok"}`);
    model.note(`${name}${code === null ? "" : ` → ${code}`}`);
    if (model.isBroken) return outcome.ok;
    model.expect(code === expected, () => {
      const said = outcome.ok ? "done" : `refused: ${outcome.code} ${outcome.message}`;
      return `${name} is ${said}; expected ${expected ?? "success"}`;
    });
    return outcome.ok;
  }

  #of(path: string): MemberStatus | undefined {
    return this.#model.members().find((member) => member.path === path);
  }

  /** The array can do without this in-sync member. */
  #isSpareable(path: string): boolean {
    const slots = new Set(
      this.#model.members((m) => isInSync(m) && m.path !== path).map((m) => m.raidSlot),
    );
    return this.#model.array.shared.map.copiesLeft((slot) => slots.has(slot)) > 0;
  }

  async fail(prng: Prng): Promise<void> {
    const model = this.#model;
    const inSync = model.members(isInSync);
    const all = model.media.map(({ path }) => path);
    const path = prng.chance(7, 8) && inSync.length > 0 ? prng.pick(inSync).path : prng.pick(all);
    if (path === null) return;
    const member = this.#of(path);
    const isLast = member !== undefined && isInSync(member) && !this.#isSpareable(path);
    if (prng.chance(1, 4)) {
      model.note(`vanish ${path}`);
      model.count("vanish");
      if (!isLast) this.#lose(path);
      model.array.driver.dispatch({ type: "member-vanished", path, reason: "gone" });
      return;
    }
    const expected =
      member === undefined ? "RAID_NOT_A_MEMBER" : isLast ? "RAID_LAST_IN_SYNC_MEMBER" : null;
    if (expected === null) this.#lose(path);
    const outcome = await model.array.command({ type: "fail", path, reason: "by the model" });
    if (!this.#answered(`fail ${path}`, outcome, expected)) return;
    const isFaulty = this.#of(path)?.states.includes("faulty") !== false;
    model.expect(isFaulty, () => `${path} was failed and is not faulty`);
  }

  #lose(path: string): void {
    this.#model.blamed.add(path);
    this.#model.oracle.unpin(this.#model.status.sync !== null);
  }

  async remove(prng: Prng): Promise<void> {
    const model = this.#model;
    const faulty = model.members((member) => !isWorking(member));
    const any = model.media.map(({ path }) => path);
    const path = prng.chance(5, 6) && faulty.length > 0 ? prng.pick(faulty).path : prng.pick(any);
    if (path === null) return;
    const member = this.#of(path);
    const isFree = member?.states[0] === "faulty" || member?.states.join() === "spare";
    // A spare that is about to be activated is busy; nobody outside can tell the moment.
    const mayBeBusy = member?.states[0] === "spare" || (isFree && model.array.driver.restless);
    const outcome = await model.array.command({ type: "remove", path });
    const isBusy = !outcome.ok && outcome.code === "RAID_MEMBER_BUSY" && mayBeBusy;
    const expected =
      member === undefined
        ? "RAID_NOT_A_MEMBER"
        : isFree || this.#isRetired(path, outcome)
          ? null
          : "RAID_MEMBER_NOT_FAULTY";
    this.#answered(`remove ${path}`, outcome, isBusy ? "RAID_MEMBER_BUSY" : expected);
  }

  /** It became free while the command was on its way. */
  #isRetired(path: string, outcome: CommandOutcome): boolean {
    return outcome.ok && this.#of(path) === undefined;
  }

  // --- joining ----------------------------------------------------------------------------------

  /** A medium that is not working in the array; sometimes a new one, sometimes one that is. */
  #newcomer(type: "add" | "re-add", prng: Prng): ModelMedium {
    const model = this.#model;
    const rules = this.#rules();
    const working = new Set(model.members(isWorking).map(({ path }) => path));
    const others = model.media.filter(({ path }) => !working.has(path));
    if (type === "re-add" && !model.isBroken && prng.chance(3, 4)) {
      const fit = others.filter((medium) => rules.reAddProblem(medium) === null);
      if (fit.length > 0) return prng.pick(fit);
    }
    const wantsNew = others.length === 0 || prng.chance(1, 4);
    if (!wantsNew) return prng.pick(prng.chance(1, 12) ? model.media : others);
    if (model.media.length >= MEDIA_MAX) return prng.pick(model.media);
    const bytes = mediumBytes(model.shape, model.shape.dataBytes);
    const size = bytes + prng.pick([0, 0, 0, 12, 64, 200, -8]) * KIB;
    const block = prng.chance(1, 24) ? 4096 : 512;
    const medium = new ModelMedium(`/new${model.media.length}`, size, block, model.power);
    medium.pace = model.media[0]?.pace ?? medium.pace;
    model.media.push(medium);
    return medium;
  }

  async join(type: "add" | "re-add", prng: Prng): Promise<void> {
    const model = this.#model;
    if (prng.chance(1, 2)) await model.array.pass(200);
    const medium = this.#newcomer(type, prng);
    const { path } = medium;
    if (prng.chance(1, 2)) medium.heal();
    let expected: string | null = null;
    let problem: string | null = null;
    /** What may be said too, for reasons that nobody outside can tell. */
    const mayBe = new Set<string>();
    const outcome = await model.array.join(type, medium, () => {
      if (model.isBroken) return;
      const rules = this.#rules();
      problem = rules.reAddProblem(medium);
      expected = rules.refusal(type, medium);
      if (model.array.driver.restless) mayBe.add("RAID_MEMBER_BUSY");
      if (rules.tooSmallFor(medium).includes(true)) mayBe.add("RAID_DEVICE_TOO_SMALL");
      if (type === "re-add" && rules.hasSpare) mayBe.add("RAID_RE_ADD_REFUSED");
    });
    if (!outcome.ok && mayBe.has(outcome.code)) expected = outcome.code;
    const why = problem === null ? "" : ` (${problem})`;
    this.#answered(`${type} ${path} of ${medium.sizeBytes}${why}`, outcome, expected);
    if (outcome.ok) model.blamed.delete(path);
  }

  #rules(): JoinRules {
    const { status, media, shape } = this.#model;
    return new JoinRules(status, media, shape.minor);
  }

  // --- flags, replacing -------------------------------------------------------------------------

  async replace(prng: Prng): Promise<void> {
    const model = this.#model;
    const members = model.members();
    const path = prng.pick(members).path ?? "";
    const spares = model.members(isIdleSpare);
    const others = model.media.map((medium) => medium.path);
    const wanted =
      spares.length > 0 && prng.chance(3, 4) ? prng.pick(spares).path : prng.pick(others);
    const withPath = prng.chance(1, 2) ? wanted : null;
    const member = this.#of(path);
    const isUnder = model
      .members(({ states }) => states.includes("replacement"))
      .some(({ raidSlot }) => raidSlot === member?.raidSlot && raidSlot !== null);
    const spare = withPath === null ? null : this.#of(withPath);
    const isWithSpare =
      spare === null || (spare?.states[0] === "spare" && !spare.states.includes("rebuilding"));
    let expected: string | null = null;
    if (member?.states[0] !== "in_sync") expected = "RAID_MEMBER_NOT_IN_SYNC";
    else if (isUnder) expected = "RAID_MEMBER_BUSY";
    else if (!isWithSpare) expected = "RAID_NOT_A_SPARE";
    const outcome = await model.array.command({ type: "replace", path, withPath });
    this.#answered(`replace ${path} with ${withPath ?? "any"}`, outcome, expected);
  }

  async flags(prng: Prng): Promise<void> {
    const model = this.#model;
    const path = prng.pick(model.media).path;
    const member = this.#of(path);
    const writeMostly = prng.pick([true, false, null]);
    const failfast = prng.pick([true, false, null]);
    const outcome = await model.array.command({
      type: "member-flags",
      path,
      writeMostly,
      failfast,
    });
    const expected =
      member === undefined ? "RAID_NOT_A_MEMBER" : isWorking(member) ? null : "RAID_MEMBER_FAULTY";
    this.#answered(`flags ${path} mostly ${writeMostly} failfast ${failfast}`, outcome, expected);
    if (!outcome.ok || model.isBroken) return;
    const states = this.#of(path)?.states ?? [];
    const isSet = writeMostly === null || states.includes("writemostly") === writeMostly;
    model.expect(isSet || states.includes("faulty"), () => `${path} has not its flag`);
  }

  // --- damage -----------------------------------------------------------------------------------

  damage(prng: Prng): void {
    const model = this.#model;
    const [working] = [model.members(isWorking)];
    if (working.length === 0) return;
    const medium = model.medium(prng.pick(working).path ?? "");
    model.oracle.unpin(model.status.sync !== null);
    if (prng.chance(1, 8)) {
      medium.isDead = true;
      model.count("dead");
      return model.note(`${medium.path} is dead`);
    }
    const kind = prng.pick(["read", "read", "write"] as const);
    const dataAt = (superblockOf(medium, model.shape.minor)?.dataOffset ?? 0) * SECTOR;
    const first = prng.below(Math.floor(model.shape.dataBytes / SECTOR));
    const near = prng.chance(1, 2) ? prng.below(64) : first;
    const from = dataAt + near * SECTOR;
    const to = from + (1 + prng.below(12)) * SECTOR;
    medium.damage({ kind, from, to });
    this.#shake(medium, from - dataAt - PAGE, to - dataAt + PAGE);
    model.count(`damage ${kind}`);
    model.note(`${medium.path} fails ${kind}s in [${from - dataAt}, ${to - dataAt}) of its data`);
  }

  /** Whole pages around a spot come from another copy, and are written over it. */
  #shake(medium: ModelMedium, from: number, to: number): void {
    const { map } = this.#model.array.shared;
    const slot = this.#of(medium.path)?.raidSlot ?? null;
    if (slot === null) return;
    const position = Math.max(from, 0);
    for (const run of map.memberRuns(slot, position, to - position))
      this.#model.oracle.shake(run.offset, run.length);
  }

  heal(prng: Prng): void {
    const damaged = this.#model.media.filter((medium) => medium.isDamaged);
    if (damaged.length === 0) return;
    const medium = prng.pick(damaged);
    medium.heal();
    this.#model.note(`${medium.path} heals`);
  }
}

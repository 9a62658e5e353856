/**
 * The administrator and bad luck of a story: members that fail, heal and vanish, and the commands
 * fail, remove, add, re-add, check, repair and idle while clients go on.
 */

import { assert } from "../../src/common/assert.ts";
import type { CommandOutcome } from "../../src/raid/array-messages.ts";
import type { MemberStatus } from "../../src/raid/array-status.ts";
import { SYNCED_ALL } from "../../src/raid/shared-state.ts";
import { GEOMETRY } from "./media.ts";
import type { SimLeg } from "./sim-array.ts";
import type { World } from "./world.ts";

export class AdminMoves {
  readonly #world: World;
  /** Commands without an answer. */
  open = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get #isSynced(): boolean {
    return this.#world.array.shared.syncedMib === SYNCED_ALL;
  }

  /** Arms a fault: one call or all of them, everywhere or in a range. */
  fault(): void {
    const { prng, legs } = this.#world;
    const leg = prng.pick(legs);
    const kind = prng.pick(["write-error", "flush-error", "read-error", "stall"] as const);
    this.#world.count(`fault ${kind}`);
    if (kind !== "stall") this.#world.loseLeg(this.#isSynced);
    leg.faults.arm({
      kind,
      after: prng.below(6),
      count: prng.below(2) === 0 ? null : 1 + prng.below(2),
      range: prng.below(3) === 0 ? this.#range() : null,
      stallMs: 10,
    });
  }

  #range() {
    const { prng } = this.#world;
    const offset = 32 * 1024 + prng.below(6144) * 512;
    return { offset, length: Math.min(4096, GEOMETRY.mediumBytes - offset) };
  }

  heal(): void {
    this.#world.prng.pick(this.#world.legs).faults.disarmAll();
  }

  #command(name: string, answer: Promise<CommandOutcome>): void {
    this.open++;
    void answer.then((outcome) => {
      this.open--;
      this.#world.count(`${name} ${outcome.ok ? "ok" : outcome.code}`);
    });
  }

  #members(wanted: (member: MemberStatus) => boolean): string[] {
    const { members } = this.#world.array.driver.status;
    return members.flatMap((member) =>
      member.path !== null && wanted(member) ? [member.path] : [],
    );
  }

  fail(): void {
    const { prng, array } = this.#world;
    const path = prng.pick(this.#members(() => true));
    this.#world.loseLeg(this.#isSynced);
    const reason = "failed by the story";
    if (prng.below(4) > 0)
      this.#command("fail", array.driver.command({ type: "fail", path, reason }));
    else array.driver.dispatch({ type: "member-vanished", path, reason: "gone" });
  }

  remove(): void {
    const { prng, array } = this.#world;
    const idle = this.#members(({ raidSlot }) => raidSlot === null);
    const paths = idle.length > 0 && prng.below(8) > 0 ? idle : this.#members(() => true);
    const path = prng.pick(paths);
    this.#command("remove", array.driver.command({ type: "remove", path }));
  }

  /** A medium that is no working member comes in: blank, stale, or just failed. */
  join(type: "add" | "re-add"): void {
    const { prng, array, legs } = this.#world;
    const working = new Set(this.#members(({ states }) => !states.includes("faulty")));
    const others = legs.filter((leg) => !working.has(leg.path));
    const leg = prng.pick(others.length > 0 && prng.below(8) > 0 ? others : legs);
    if (prng.below(2) === 0) leg.faults.disarmAll();
    this.#command(type, array.join(type, leg));
  }

  /** A member is to be replaced by a spare, now or when there is one. */
  replace(): void {
    const { prng, array } = this.#world;
    const inSync = this.#members(({ states }) => states.includes("in_sync"));
    const spares = this.#members(({ states }) => states[0] === "spare");
    const path = prng.pick(inSync.length > 0 ? inSync : this.#members(() => true));
    const withPath = spares.length > 0 && prng.below(2) === 0 ? prng.pick(spares) : null;
    this.#command("replace", array.driver.command({ type: "replace", path, withPath }));
  }

  sync(action: "check" | "repair" | "idle"): void {
    const { driver } = this.#world.array;
    this.#command(action, driver.command({ type: "sync-action", action }));
  }

  /** Makes the array whole from the media there are; faults are healed BEFORE. */
  async makeWhole(settle: () => Promise<void>): Promise<void> {
    const { array, legs } = this.#world;
    for (const path of this.#members(({ states }) => states.includes("faulty")))
      this.#command("remove", array.driver.command({ type: "remove", path }));
    await settle();
    for (const leg of legs) {
      const { status } = array.driver;
      if (status.arrayState === "broken" || status.degraded === 0) return;
      if (status.members.some(({ path }) => path === leg.path)) continue;
      const outcome = array.join("add", leg);
      await settle();
      assert((await outcome).ok, `${leg.path} can be added`);
    }
  }

  /** All legs answer again. */
  static healAll(legs: readonly SimLeg[]): void {
    for (const leg of legs) leg.faults.disarmAll();
  }
}

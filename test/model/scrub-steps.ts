/** Check and repair: what they count and where, against what the media hold. */

import type { Prng } from "../../src/common/prng.ts";
import { dataOf, isBadAt, viewMedia } from "./media-view.ts";
import { SECTOR } from "./medium.ts";
import type { Model } from "./model.ts";

const PAGE = 4096;

interface Range {
  readonly offset: number;
  readonly length: number;
}

export class ScrubSteps {
  readonly #model: Model;

  constructor(model: Model) {
    this.#model = model;
  }

  /** Any of the actions at any time: nothing is waited for. */
  async action(prng: Prng): Promise<void> {
    const model = this.#model;
    const action = prng.pick(["idle", "idle", "frozen", "check", "repair"] as const);
    const isRunning = model.status.sync !== null;
    const outcome = await model.array.command({ type: "sync-action", action });
    const code = outcome.ok ? null : outcome.code;
    model.note(`action ${action}${code === null ? "" : ` → ${code}`}`);
    model.count(`${action} ${code ?? "ok"}`);
    const mayRefuse = action === "check" || action === "repair";
    const isRight = code === null || (mayRefuse && code === "RAID_SYNC_IN_PROGRESS");
    model.expect(isRight && (code === null || isRunning || this.#isPending), () => {
      return `${action} is refused: ${code}`;
    });
    if (code !== null) return;
    this.#isPending = mayRefuse;
    model.isFrozen = action === "frozen";
  }

  /** A check or repair was asked for and may not have begun. */
  #isPending = false;

  /** Bytes of one copy change behind everybody's back: check finds them, repair settles them. */
  async corrupt(prng: Prng): Promise<void> {
    const model = this.#model;
    await model.rest();
    if (model.power.isOff || model.isBroken) return;
    const view = this.#view();
    const { map } = model.array.shared;
    const offset = prng.below(Math.floor(map.sizeBytes / SECTOR)) * SECTOR;
    const [extent] = map.extents(
      offset,
      Math.min(SECTOR * (1 + prng.below(4)), map.sizeBytes - offset),
    );
    const places = extent?.places.flatMap(({ slot, position }) =>
      view.inSync.flatMap((leg) => (leg.raidSlot === slot ? [{ leg, position }] : [])),
    );
    if (extent === undefined || places === undefined || places.length === 0) return;
    const { leg, position } = prng.pick(places);
    const wrong = dataOf(leg, position, extent.length).map((byte) => byte ^ 0x5a);
    leg.medium.preset(leg.superblock.dataOffset * SECTOR + position, wrong);
    model.oracle.alsoHeld(offset, wrong, "loose");
    model.note(`corrupt ${leg.medium.path} at ${offset} of the array, ${extent.length} bytes`);
    model.count("corrupt");
    if (prng.chance(3, 4)) await this.scrub("check", prng);
    if (prng.chance(3, 4)) await this.scrub("repair", prng);
  }

  #view() {
    const { shape } = this.#model;
    const inSync = this.#model.members(({ states }) => states.includes("in_sync"));
    const media = inSync.map(({ path }) => this.#model.medium(path ?? ""));
    const view = viewMedia(media, shape.minor);
    if (view === null) throw new Error("the in-sync members make an array");
    return view;
  }

  /** Sectors whose readable in-sync copies differ just now. */
  #differing(from: number, to: number): Set<number> {
    const view = this.#view();
    const found = new Set<number>();
    for (const { offset, length, places } of view.map.extents(from, to - from)) {
      const copies = places.flatMap(({ slot, position }) =>
        view.inSync.flatMap((leg) => (leg.raidSlot === slot ? [{ leg, position }] : [])),
      );
      const [first, ...others] = copies.map(({ leg, position }) => dataOf(leg, position, length));
      if (first === undefined || others.every((copy) => Buffer.compare(copy, first) === 0))
        continue;
      for (let at = 0; at < length; at += SECTOR) {
        const readable = copies.filter(({ leg, position }) => !isBadAt(leg, position + at, SECTOR));
        const [one, ...rest] = readable.map(({ leg, position }) =>
          dataOf(leg, position + at, SECTOR),
        );
        if (one !== undefined && rest.some((copy) => Buffer.compare(copy, one) !== 0))
          found.add((offset + at) / SECTOR);
      }
    }
    return found;
  }

  /** A whole check or repair of an array at rest; `mismatches` are exactly what differs. */
  async scrub(action: "check" | "repair", prng: Prng): Promise<void> {
    const model = this.#model;
    await model.rest();
    if (model.power.isOff || model.isBroken) return;
    this.#isPending = false;
    const { sizeBytes } = model.array;
    const [from, to] = prng.chance(1, 3) ? drawRange(prng, sizeBytes) : [0, sizeBytes];
    const isAlone = model.status.inSyncCopies < 2;
    const hasDamage = model.media.some(({ isDamaged, suspects }) => isDamaged || suspects.size > 0);
    const differing = this.#differing(from, to);
    const began = model.array.happenings.length;
    const outcome = await model.array.command({ type: "sync-action", action, from, to });
    model.note(`${action} [${from}, ${to})${outcome.ok ? "" : ` → ${outcome.code}`}`);
    model.expect(outcome.ok, () => `${action} of an array at rest is refused`);
    await model.rest();
    const ended = model.array.happenings
      .slice(began)
      .find(({ type, details }) => type === "sync.finished" && details["action"] === action);
    model.count(`${action} ${ended?.details["outcome"] ?? "not run"}`);
    if (model.power.isOff || model.isBroken || isAlone || ended?.details["outcome"] !== "done") {
      const isRight = isAlone || hasDamage || model.isBroken || model.power.isOff;
      return model.expect(isRight, () => `${action} ends ${ended?.details["outcome"]}`);
    }
    // A member that could not be read or written left on the way: nobody can tell what was counted.
    if (!hasDamage) this.#compare(action, differing);
    if (action === "repair" && !hasDamage) {
      const left = this.#differing(from, to);
      model.expect(left.size === 0, () => `copies differ after a repair at ${[...left].join()}`);
    }
  }

  #compare(action: string, differing: ReadonlySet<number>): void {
    const model = this.#model;
    const { mismatchCount, mismatches } = model.status;
    const told = new Set<number>();
    for (const { offset, length } of mismatches.ranges as readonly Range[]) {
      for (let at = offset; at < offset + length; at += SECTOR) told.add(Math.floor(at / SECTOR));
    }
    const isCounted = mismatchCount > 0 === differing.size > 0;
    model.expect(isCounted, () => {
      return `${action} counts ${mismatchCount}, ${differing.size} sectors differ`;
    });
    for (const sector of differing)
      model.expect(told.has(sector), () => `${action} does not tell of sector ${sector}`);
    for (const sector of told) {
      const isNear = [...differing].some((other) => Math.abs(other - sector) * SECTOR < PAGE);
      model.expect(isNear, () => `${action} tells of sector ${sector}, whose page is equal`);
    }
  }
}

const drawRange = (prng: Prng, sizeBytes: number): [number, number] => {
  const sectors = Math.floor(sizeBytes / SECTOR);
  const from = prng.below(sectors);
  return [from * SECTOR, (from + 1 + prng.below(sectors - from)) * SECTOR];
};

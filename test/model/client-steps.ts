/**
 * What clients do: writes of any alignment, zeroes, flushes and reads, each held against the
 * oracle.
 */

import type { Prng } from "../../src/common/prng.ts";
import { LEG_IN_SYNC, SYNCED_ALL } from "../../src/raid/shared-state.ts";
import { superblockOf } from "./media-view.ts";
import { type ModelMedium, SECTOR } from "./medium.ts";
import type { Model } from "./model.ts";
import { fillPattern } from "./pattern.ts";

const PAGE = 4096;

interface Place {
  readonly offset: number;
  readonly length: number;
}

/** Anywhere in the array; most are small, some cross several chunks, few are everything. */
const drawPlace = (prng: Prng, sizeBytes: number): Place => {
  const unit = prng.pick([1, SECTOR, SECTOR, PAGE, PAGE]);
  const most = prng.pick([1, 2, 8, 8, 24, 64]) * (unit === 1 ? SECTOR : unit);
  const length = Math.min(unit * (1 + prng.below(Math.ceil(most / unit))), sizeBytes);
  // A few places again and again, so that writes meet what other steps left behind.
  const base = prng.chance(1, 2) ? prng.below(4) * 8 * PAGE : prng.below(sizeBytes);
  const near = base + prng.below(4) * (unit === 1 ? 100 : unit);
  const at = Math.floor((near % sizeBytes) / unit) * unit;
  return { offset: Math.max(0, Math.min(at, sizeBytes - length)), length };
};

const describe = ({ offset, length }: Place): string => `[${offset}, ${offset + length})`;

export class ClientSteps {
  readonly #model: Model;
  #nextWrite = 1;

  constructor(model: Model) {
    this.#model = model;
  }

  async write(prng: Prng): Promise<void> {
    const { sizeBytes } = this.#model.array;
    const place = drawPlace(prng, sizeBytes);
    const id = this.#nextWrite++;
    const data = fillPattern(id, place.offset, place.length);
    const cut = prng.chance(1, 3) ? prng.below(data.length + 1) : 0;
    const pieces = [data.subarray(0, cut), data.subarray(cut)].filter(({ length }) => length > 0);
    const fua = prng.chance(1, 6);
    await this.#change(`write ${id}`, place, data, fua, (io, complete) =>
      io.write(pieces, place.offset, fua, complete),
    );
  }

  /** Trim and write-zeroes: the members may give the space back, or not. */
  async zero(prng: Prng): Promise<void> {
    const { sizeBytes } = this.#model.array;
    const place = drawPlace(prng, sizeBytes);
    const mayUnmap = prng.chance(1, 2);
    const fua = prng.chance(1, 6);
    const { offset, length } = place;
    const name = mayUnmap ? "trim" : "zero";
    await this.#change(name, place, new Uint8Array(length), fua, (io, complete) =>
      io.zero(offset, length, { mayUnmap, fua }, complete),
    );
  }

  async #change(
    name: string,
    place: Place,
    data: Uint8Array,
    fua: boolean,
    ask: Parameters<Model["array"]["request"]>[1],
  ): Promise<void> {
    const model = this.#model;
    const { offset, length } = place;
    const before = this.#hits();
    model.oracle.write(offset, data);
    const errno = await model.array.request(name, ask);
    model.note(`${name} ${describe(place)}${fua ? " fua" : ""}${errno === 0 ? "" : ` → ${errno}`}`);
    if (model.power.isOff) return;
    if (errno === 0) {
      model.oracle.promise(offset + length);
      if (fua) model.oracle.flushed(offset, length);
      return;
    }
    model.count(`${name.split(" ")[0]} error`);
    const mayFail = model.isBroken || this.#mayFail(before, place);
    model.expect(mayFail, () => `${name} ${describe(place)} fails with ${errno} for no reason`);
    model.oracle.spoil(offset, length);
  }

  async flush(): Promise<void> {
    const model = this.#model;
    const before = this.#hits();
    const errno = await model.array.request("flush", (io, complete) => io.flush(complete));
    model.note(`flush${errno === 0 ? "" : ` → ${errno}`}`);
    if (model.power.isOff) return;
    if (errno !== 0) {
      const mayFail = model.isBroken || this.#mayFail(before, null);
      return model.expect(mayFail, () => `a flush fails with ${errno} for no reason`);
    }
    model.oracle.flushed(0, model.oracle.content.length);
    if (model.array.shared.syncedMib === SYNCED_ALL) model.oracle.settled();
  }

  async read(prng: Prng): Promise<void> {
    const { sizeBytes } = this.#model.array;
    const place = prng.chance(1, 8) ? { offset: 0, length: sizeBytes } : drawPlace(prng, sizeBytes);
    await this.#read(place, 1 + prng.below(2));
  }

  async readAll(): Promise<void> {
    await this.#read({ offset: 0, length: this.#model.array.sizeBytes }, 2);
  }

  /** `times`: two reads of one place in a row find the same. */
  async #read(place: Place, times: number): Promise<void> {
    const model = this.#model;
    const { offset, length } = place;
    for (let time = 0; time < times; time++) {
      const target = new Uint8Array(length).fill(0xa5);
      // What comes into sync while the read is under way need not have answered it.
      const before = new Set(this.#holders().map(({ medium }) => medium));
      const errno = await model.array.request("read", (io, complete) =>
        io.read(target, offset, complete),
      );
      model.note(`read ${describe(place)}${errno === 0 ? "" : ` → ${errno}`}`);
      if (model.power.isOff) return;
      if (errno !== 0) {
        model.count("read error");
        const lost = this.#unreadableSector(place, (medium) => before.has(medium));
        return model.expect(lost !== null, () => `read ${describe(place)} fails with ${errno}`);
      }
      const problem = model.oracle.readProblem(offset, target);
      model.expect(problem === null, () => `read ${describe(place)}: ${problem}`);
    }
  }

  // --- when errors are right --------------------------------------------------------------------

  #hits(): Map<ModelMedium, number> {
    return new Map(this.#model.media.map((medium) => [medium, medium.hits]));
  }

  /** Members in sync that are not about to be recorded faulty: raid slot, medium, data offset. */
  #holders() {
    const { shape } = this.#model;
    return this.#model
      .members(({ states }) => states.includes("in_sync") && !states.includes("blocked"))
      .flatMap(({ path, raidSlot }) => {
        const medium = this.#model.medium(path ?? "");
        const superblock = superblockOf(medium, shape.minor);
        if (superblock === null || raidSlot === null) return [];
        return [{ medium, raidSlot, dataAt: superblock.dataOffset * SECTOR }];
      });
  }

  /**
   * The members that refused nothing do not hold everything, or have no good copy of a sector. A
   * member without which the array would be lost is kept, and its error is the client's.
   */
  #mayFail(before: Map<ModelMedium, number>, place: Place | null): boolean {
    const { map } = this.#model.array.shared;
    const failed = this.#model.media.filter((m) => m.hits > (before.get(m) ?? 0));
    const left = this.#holders().filter(({ medium }) => !failed.includes(medium));
    const slots = new Set(left.map(({ raidSlot }) => raidSlot));
    const isTouched = failed.length > 0 || this.#model.media.some((m) => m.suspects.size > 0);
    if (!isTouched) return false;
    if (map.copiesLeft((slot) => slots.has(slot)) === 0) return true;
    return place !== null && this.#sectorWithout(place, (medium) => !failed.includes(medium));
  }

  /** Some sector of the place has no copy, on such a medium, that no failure ever touched. */
  #sectorWithout({ offset, length }: Place, isCounted: (medium: ModelMedium) => boolean): boolean {
    const { map } = this.#model.array.shared;
    const holders = this.#holders().filter(({ medium }) => isCounted(medium));
    for (const extent of map.extents(offset, length)) {
      for (let at = 0; at < extent.length; at += SECTOR) {
        const isGood = extent.places.some(({ slot, position }) =>
          holders.some(
            ({ raidSlot, medium, dataAt }) =>
              raidSlot === slot && !this.#isSuspect(medium, dataAt + position + at, extent, at),
          ),
        );
        if (!isGood) return true;
      }
    }
    return false;
  }

  #isSuspect(
    medium: ModelMedium,
    at: number,
    extent: { readonly places: readonly { readonly position: number }[] },
    from: number,
  ): boolean {
    if (medium.isDead || medium.suspects.has(Math.floor(at / SECTOR))) return true;
    // What could be read nowhere is noted as bad on those that are rebuilt from there.
    const { minor } = this.#model.shape;
    return this.#model.media.some((other) => {
      if (other.suspects.size === 0) return false;
      const dataOffset = superblockOf(other, minor)?.dataOffset ?? 0;
      return extent.places.some(({ position }) =>
        other.suspects.has(dataOffset + Math.floor((position + from) / SECTOR)),
      );
    });
  }

  /** A sector of the place that none of these in-sync members can give, or null. */
  #unreadableSector(place: Place, isAsked: (medium: ModelMedium) => boolean): number | null {
    const { map } = this.#model.array.shared;
    const { offset, length } = place;
    const holders = this.#holders().filter(({ medium }) => isAsked(medium));
    for (const extent of map.extents(offset, length)) {
      for (let at = 0; at < extent.length; at += SECTOR) {
        const isReadable = extent.places.some(({ slot, position }) =>
          holders.some(
            ({ raidSlot, medium, dataAt }) =>
              raidSlot === slot &&
              !this.#isNoted(medium, position + at) &&
              !this.#isSuspect(medium, dataAt + position + at, extent, at),
          ),
        );
        if (!isReadable) return Math.floor((extent.offset + at) / SECTOR);
      }
    }
    return null;
  }

  #isNoted(medium: ModelMedium, position: number): boolean {
    const { shared } = this.#model.array;
    return this.#model.array
      .legsOf(medium.path)
      .some((leg) => shared.leg(leg) === LEG_IN_SYNC && shared.badBlocks(leg).touches(position, 1));
  }
}

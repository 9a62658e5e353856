/** Changes of the array, made as the array thread makes them: stop, change, start again. */

import { CodedError } from "../../src/common/errors.ts";
import type { Prng } from "../../src/common/prng.ts";
import type { ArrayChange } from "../../src/raid/array-change.ts";
import { changeArray } from "../../src/raid/change-array-driver.ts";
import { RUN_BROKEN } from "../../src/raid/shared-state.ts";
import { MD_FEATURE_CLUSTERED, MD_FEATURE_REPLACEMENT } from "../../src/raid/superblock-fields.ts";
import { type MediaView, viewMedia } from "./media-view.ts";
import { ModelDevice, SECTOR } from "./medium.ts";
import type { Model } from "./model.ts";

const KIB = 1024;

export class ChangeSteps {
  readonly #model: Model;

  constructor(model: Model) {
    this.#model = model;
  }

  #draw(prng: Prng): ArrayChange {
    const { raidDevices, memberBytes } = this.#model.status;
    switch (prng.below(9)) {
      case 0:
      case 1: {
        const more = prng.pick([0, 4, 8, 16, 64, -8]) * KIB;
        return { type: "size", sizeBytes: prng.chance(1, 2) ? "max" : memberBytes + more };
      }
      case 2:
      case 3:
        return { type: "raid-devices", count: raidDevices + prng.pick([1, 1, -1, -1, 2, 0]) };
      case 4:
        return this.#drawBitmap("none", null);
      case 5:
      case 6:
        return this.#drawBitmap("internal", prng.pick([null, 4, 8, 16, 64, 3]));
      case 7:
        return this.#drawBitmap("clustered", prng.pick([null, null, 16]));
      default:
        return prng.pick<ArrayChange>([
          { type: "name", name: `model${prng.below(100)}` },
          { type: "resync" },
          { type: "bad-block-list", enabled: true },
          { type: "bad-block-list", enabled: false },
          { type: "bad-block-list", enabled: false, force: true },
        ]);
    }
  }

  #drawBitmap(bitmap: "none" | "internal" | "clustered", kib: number | null): ArrayChange {
    const chunkBytes = kib === null ? null : kib * KIB;
    const isClustered = bitmap === "clustered";
    const clusterName = isClustered ? "model" : "";
    return { type: "bitmap", bitmap, chunkBytes, nodes: isClustered ? 3 : 0, clusterName };
  }

  /** A board that is in no cluster runs no clustered array: BEFORE each start it becomes plain. */
  async plain(prng: Prng): Promise<void> {
    const view = this.#model.viewAll();
    const isClustered = ((view?.freshest.featureMap ?? 0) & MD_FEATURE_CLUSTERED) !== 0;
    if (view === null || !isClustered) return;
    const legs = [...view.inSync, ...view.rebuilding, ...view.spares];
    const media = legs.map(({ medium }) => medium);
    for (const medium of media) medium.heal();
    await this.#make(this.#drawBitmap("internal", null), media, prng);
  }

  /** `BEFORE` the first start too: with nothing running. */
  async withoutLists(prng: Prng): Promise<void> {
    await this.#make({ type: "bad-block-list", enabled: false }, this.#model.media, prng);
  }

  async change(prng: Prng): Promise<void> {
    const model = this.#model;
    if (prng.chance(1, 2)) await model.rest();
    if (model.array.shared.run === RUN_BROKEN || model.power.isOff) return;
    const change = this.#draw(prng);
    const working = model
      .members(({ states }) => !states.includes("faulty"))
      .map(({ path }) => model.medium(path ?? ""));
    // What dies just now is another matter: see the power cuts inside changes.
    for (const medium of working) medium.heal();
    await model.stop(prng, true);
    if (model.power.isOff) return;
    await this.#make(change, working, prng);
    if (!model.power.isOff) await this.plain(prng);
    if (model.power.isOff) return;
    await model.start(working, prng);
    if (model.isRunning) model.oracle.promise(model.array.sizeBytes);
  }

  async #make(change: ArrayChange, media: Model["media"], prng: Prng): Promise<void> {
    const model = this.#model;
    const before = viewMedia(media, model.shape.minor);
    if (prng.chance(1, 6)) model.power.left = 1 + prng.below(30);
    const name = `change ${JSON.stringify(change)}`;
    try {
      const open = media.map((medium) => ({ path: medium.path, device: new ModelDevice(medium) }));
      await changeArray(open, change, model.now);
      model.note(name);
      model.count(`change ${change.type} ok`);
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      const { code } = error;
      model.note(`${name} → ${code}`);
      model.count(`change ${change.type} ${code}`);
      const isRight = before !== null && mayRefuse(change, code, before);
      model.expect(isRight, () => `${name} is refused: ${code} ${error.message}`);
    }
    if (!model.power.isOff) model.power.restore();
  }
}

/** Whether a refusal fits the array as it is. */
const mayRefuse = (change: ArrayChange, code: string, view: MediaView): boolean => {
  const { freshest, inSync, rebuilding, map } = view;
  const isFar = freshest.level === 10 && ((freshest.layout >> 8) & 0xff) > 1;
  const isOffset = (freshest.layout & 0x1_0000) !== 0;
  switch (`${change.type} ${code}`) {
    case "size RAID_SHRINK_REFUSED":
      return (
        change.type === "size" && change.sizeBytes !== "max" && change.sizeBytes < map.memberBytes
      );
    case "size RAID_MEMBER_TOO_SMALL":
      return (
        change.type === "size" && change.sizeBytes !== "max" && change.sizeBytes > map.memberBytes
      );
    case "size RAID_CHANGE_UNSUPPORTED":
      return isFar && !isOffset;
    case "raid-devices RAID_CHANGE_UNSUPPORTED":
      return freshest.level === 10;
    case "raid-devices RAID_BAD_MEMBER_COUNT":
      return change.type === "raid-devices" && change.count < 1;
    case "raid-devices RAID_SLOTS_IN_USE": {
      const held = new Set([...inSync, ...rebuilding].map(({ raidSlot }) => raidSlot));
      return change.type === "raid-devices" && held.size > change.count;
    }
    case "bitmap RAID_BAD_BITMAP_CHUNK":
      return change.type === "bitmap" && change.chunkBytes === 3 * KIB;
    case "bitmap RAID_BAD_CLUSTER": {
      const isPlain = freshest.superOffset === 8 && (!isFar || freshest.level !== 10);
      const members = [...inSync, ...rebuilding, ...view.spares];
      const isWrong = members.some(
        ({ superblock: { bblogSize, featureMap } }) =>
          bblogSize !== 0 || (featureMap & MD_FEATURE_REPLACEMENT) !== 0,
      );
      return change.type === "bitmap" && change.bitmap === "clustered" && (!isPlain || isWrong);
    }
    case "bitmap RAID_NO_METADATA_ROOM":
    case "bad-block-list RAID_NO_METADATA_ROOM":
      return freshest.size * SECTOR < 128 * KIB || freshest.dataOffset < 16;
    case "bad-block-list RAID_BAD_BLOCKS_RECORDED":
      return [...inSync, ...rebuilding].some(({ bad }) => bad.length > 0);
    default:
      return false;
  }
};

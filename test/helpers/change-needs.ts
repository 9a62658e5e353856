/**
 * What a stopped array would still copy after it is assembled, in cells of 4 KiB: the yardstick for
 * changes, which may add needs and never lose one.
 */
import { assert } from "../../src/common/assert.ts";
import type { SimMedium } from "../../src/hal/sim/crash-device.ts";
import { syncSizeOf } from "../../src/raid/assembly-bitmap.ts";
import type { AssemblyStart } from "../../src/raid/assembly-types.ts";
import {
  bitmapChunks,
  bitmapSlotBytes,
  decodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import { assembleMedia, SECTOR } from "./change-bench.ts";

const CELL_SECTORS = 8;

export interface ArrayNeeds {
  readonly start: AssemblyStart;
  /** Component size in sectors. */
  readonly size: number;
  /** Cells that are resynced between members in sync. */
  readonly resync: ReadonlySet<number>;
  /** Cells that are copied to each member under recovery, by device number. */
  readonly recovery: ReadonlyMap<number, ReadonlySet<number>>;
  /** Cells that a member that left at 15 events would get when it comes back. */
  readonly reAdd: ReadonlySet<number>;
}

/** Events that the member that left has. */
export const ABSENT_EVENTS = 15;

/** Assembles, and works out what engine and kernel would do. */
export async function needsOf(media: readonly SimMedium[]): Promise<ArrayNeeds> {
  const verdict = await assembleMedia(media);
  assert(verdict.verdict === "start", "the array assembles");
  const { freshest } = verdict.shape;
  const cells = Math.ceil(syncSizeOf(freshest) / CELL_SECTORS);
  const from = (sector: number): Set<number> => {
    const first = Math.floor(sector / CELL_SECTORS);
    return new Set(Array.from({ length: Math.max(0, cells - first) }, (_, n) => first + n));
  };
  const bits = dirtyCells(verdict, media, cells);
  const isClean = freshest.resyncOffset === "none";
  const stale = verdict.bitmap.state === "stale";
  const resync = stale
    ? from(0)
    : freshest.resyncOffset === "none"
      ? new Set<number>()
      : (bits?.cells ?? from(freshest.resyncOffset));
  const recovery = new Map<number, ReadonlySet<number>>();
  for (const { placement, superblock } of verdict.members) {
    if (placement.type !== "rebuilding" || superblock === null) continue;
    const done = placement.recoveryOffset;
    const isAhead = (cell: number): boolean => cell >= Math.floor(done / CELL_SECTORS);
    const rest = [...(placement.guided && bits !== null ? bits.cells : from(0))].filter(isAhead);
    const before = isClean ? new Set<number>() : (bits?.cells ?? from(0));
    recovery.set(superblock.devNumber, new Set([...rest, ...before]));
  }
  const isGuided = bits !== null && bits.eventsCleared <= ABSENT_EVENTS;
  return {
    start: verdict,
    size: freshest.size,
    resync,
    recovery,
    reAdd: isGuided ? bits.cells : from(0),
  };
}

/** Cells under the set bits of all slots of all active members; null without a usable bitmap. */
function dirtyCells(start: AssemblyStart, media: readonly SimMedium[], cells: number) {
  if (start.bitmap.state === "none" || start.bitmap.state === "absent") return null;
  const { chunkBytes, nodes } = start.bitmap.superblock;
  const chunkCells = chunkBytes / SECTOR / CELL_SECTORS;
  const slotBytes = bitmapSlotBytes(bitmapChunks(cells * CELL_SECTORS, chunkBytes));
  const dirty = new Set<number>();
  let eventsCleared = 0;
  for (const [index, { placement, superblock: sb }] of start.members.entries()) {
    const bytes = media[index]?.durable;
    if (sb === null || bytes === undefined || placement.type === "spare") continue;
    for (let slot = 0; slot < Math.max(nodes, 1); slot++) {
      const at = (sb.superOffset + start.shape.freshest.bitmapOffset) * SECTOR + slot * slotBytes;
      const area = bytes.subarray(at, at + slotBytes);
      const decoded = decodeBitmapSuperblock(area, start.shape.freshest.setUuid);
      if (!decoded.ok || decoded.value.chunkBytes !== chunkBytes) continue;
      eventsCleared = Math.max(eventsCleared, decoded.value.eventsCleared);
      for (let cell = 0; cell < cells; cell++) {
        const chunk = Math.floor(cell / chunkCells);
        if (((area[256 + (chunk >> 3)] ?? 0) & (1 << (chunk & 7))) !== 0) dirty.add(cell);
      }
    }
  }
  return { cells: dirty, eventsCleared };
}

/** Fails when a need of `before` is gone in `after`; sizes may have grown in between. */
export function assertNothingLost(before: ArrayNeeds, after: ArrayNeeds): void {
  assertCovers(after.resync, before.resync, "to be resynced");
  for (const [devNumber, cells] of before.recovery) {
    const now = after.recovery.get(devNumber);
    assert(now !== undefined, `device ${devNumber} is still to be recovered`);
    assertCovers(now, cells, `to be copied to device ${devNumber}`);
  }
  assertCovers(after.reAdd, before.reAdd, "to be copied to a member that comes back");
  const [old, now] = [before.start.shape.freshest, after.start.shape.freshest];
  for (let sector = syncSizeOf(old); sector < syncSizeOf(now); sector += CELL_SECTORS) {
    const cell = Math.floor(sector / CELL_SECTORS);
    assert(after.resync.has(cell), `new cell ${cell} is to be resynced`);
  }
  const inSync = (needs: ArrayNeeds): string =>
    needs.start.members.map(({ placement }) => placement.type).join(" ");
  assert(inSync(before) === inSync(after), `members were ${inSync(before)}, are ${inSync(after)}`);
}

function assertCovers(now: ReadonlySet<number>, then: ReadonlySet<number>, what: string): void {
  const lost = [...then].filter((cell) => !now.has(cell));
  assert(lost.length === 0, `cells ${lost.slice(0, 5).join(", ")} are still ${what}`);
}

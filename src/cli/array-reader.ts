/**
 * Reads an array's content from its members without writing anything: the rescue path. Each piece
 * comes from the first usable copy, the lowest raid slot first, and from another copy when that one
 * fails or lies in a bad block. A member being rebuilt serves what is already rebuilt.
 * Source: drivers/md/raid1.c read_balance (first copy while a resync is pending), raid10.c.
 */

import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import type { AssemblyStart } from "../raid/assembly-types.ts";
import {
  type BadBlockRun,
  badBlockRange,
  decodeBadBlocks,
  touchesBadBlock,
} from "../raid/bad-blocks.ts";
import { readRange } from "../raid/content-driver.ts";
import { raid10Copies } from "../raid/raid10-layout.ts";
import { SECTOR_BYTES, type Superblock, WRITE_MOSTLY } from "../raid/superblock-fields.ts";
import type { MemberFile } from "./member-file.ts";

/** A member that holds a copy. Sectors count from its data offset. */
interface Copy {
  readonly path: string;
  readonly device: BlockDevice;
  readonly raidSlot: number;
  readonly dataOffset: number;
  /** Sectors `[0, validSectors)` hold good data. */
  readonly validSectors: number;
  /** Read last. */
  readonly isReluctant: boolean;
  /** Null: the list is damaged, so that any sector may be bad. */
  readonly badBlocks: readonly BadBlockRun[] | null;
}

/** A failing member is worth naming, not each of its sectors. */
export type ReadFailure = (path: string, message: string) => void;

/** Reads any range of an assembled array. */
export class ArrayReader {
  readonly sizeBytes: number;
  readonly #start: AssemblyStart;
  readonly #copies: readonly Copy[];
  readonly #onFailure: ReadFailure;

  private constructor(start: AssemblyStart, copies: readonly Copy[], onFailure: ReadFailure) {
    this.#start = start;
    this.sizeBytes = start.shape.arraySectors * SECTOR_BYTES;
    this.#copies = copies;
    this.#onFailure = onFailure;
  }

  /** `files` are the candidates' open members, in the verdict's order. */
  static async open(
    start: AssemblyStart,
    files: readonly MemberFile[],
    onFailure: ReadFailure,
  ): Promise<ArrayReader> {
    return new ArrayReader(start, await copiesOf(start, files), onFailure);
  }

  /**
   * Fills `target` from byte `offset` of the array; both are multiples of 512.
   * Errors: HAL_IO_ERROR when no copy of some part can be read.
   */
  async read(target: Uint8Array, offset: number): Promise<void> {
    for (let at = 0; at < target.length; ) {
      const sector = (offset + at) / SECTOR_BYTES;
      const length = Math.min(target.length - at, this.#runLength(sector));
      await this.#readRun(target.subarray(at, at + length), sector);
      at += length;
    }
  }

  /** Bytes from `sector` on that lie on the same copies. */
  #runLength(sector: number): number {
    const geometry = this.#start.shape.raid10;
    if (geometry === null) return Number.POSITIVE_INFINITY;
    return (geometry.chunkSectors - (sector % geometry.chunkSectors)) * SECTOR_BYTES;
  }

  async #readRun(target: Uint8Array, sector: number): Promise<void> {
    if (await this.#tryCopies(target, sector)) return;
    // No copy has all of it: piece it together sector by sector.
    for (let at = 0; at < target.length; at += SECTOR_BYTES) {
      const piece = target.subarray(at, at + SECTOR_BYTES);
      const position = sector + at / SECTOR_BYTES;
      if (await this.#tryCopies(piece, position)) continue;
      throw new CodedError("HAL_IO_ERROR", `sector ${position} of the array cannot be read`, {
        remedy: "give more members of the array, or read around it with --offset and --length",
      });
    }
  }

  async #tryCopies(target: Uint8Array, sector: number): Promise<boolean> {
    const sectors = target.length / SECTOR_BYTES;
    for (const { copy, memberSector } of this.#candidates(sector)) {
      if (memberSector + sectors > copy.validSectors) continue;
      const position = copy.dataOffset + memberSector;
      if (copy.badBlocks === null || touchesBadBlock(copy.badBlocks, position, sectors)) continue;
      try {
        await copy.device.read(target, position * SECTOR_BYTES);
        return true;
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
        this.#onFailure(copy.path, error.message);
      }
    }
    return false;
  }

  #candidates(sector: number): readonly { copy: Copy; memberSector: number }[] {
    const { raid10, freshest } = this.#start.shape;
    const found =
      raid10 === null
        ? this.#copies.map((copy) => ({ copy, memberSector: sector }))
        : raid10Copies(raid10, freshest.size, sector).flatMap(
            ({ raidSlot, sector: memberSector }) =>
              this.#copies
                .filter((copy) => copy.raidSlot === raidSlot)
                .map((copy) => ({ copy, memberSector })),
          );
    return [
      ...found.filter((c) => !c.copy.isReluctant),
      ...found.filter((c) => c.copy.isReluctant),
    ];
  }
}

async function copiesOf(
  start: AssemblyStart,
  files: readonly MemberFile[],
): Promise<readonly Copy[]> {
  const copies: Copy[] = [];
  for (const [index, { placement, superblock: sb }] of start.members.entries()) {
    const file = files[index];
    if (sb === null || file === undefined) continue;
    if (placement.type !== "in-sync" && placement.type !== "rebuilding") continue;
    const isRebuilding = placement.type === "rebuilding";
    copies.push({
      path: file.path,
      device: file.device,
      raidSlot: placement.raidSlot,
      dataOffset: sb.dataOffset,
      validSectors: isRebuilding ? placement.recoveryOffset : start.shape.freshest.size,
      isReluctant: isRebuilding || (sb.devFlags & WRITE_MOSTLY) !== 0,
      badBlocks: await readBadBlocks(file.device, sb),
    });
  }
  return copies.sort((a, b) => a.raidSlot - b.raidSlot);
}

async function readBadBlocks(
  device: BlockDevice,
  sb: Superblock,
): Promise<readonly BadBlockRun[] | null> {
  const range = badBlockRange(sb);
  if (range === null) return [];
  const bytes = await readRange(device, range.offset, range.length);
  return bytes === null ? null : decodeBadBlocks(bytes, sb.bblogShift);
}

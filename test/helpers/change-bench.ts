/** Stopped arrays on small media, made by our own `create`, and then put into any state. */
import type { Prng } from "../../src/common/prng.ts";
import { SimDevice, SimMedium } from "../../src/hal/sim/crash-device.ts";
import { assemble } from "../../src/raid/assembly.ts";
import type { AssemblyCandidate, AssemblyVerdict } from "../../src/raid/assembly-types.ts";
import {
  type BitmapSuperblock,
  decodeBitmapSuperblock,
  encodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import { readCandidate } from "../../src/raid/candidate-driver.ts";
import { readChangeMember } from "../../src/raid/change-driver.ts";
import type { ChangeMember } from "../../src/raid/change-types.ts";
import {
  type CreateMember,
  type CreateOptions,
  type CreatePlan,
  planCreate,
  setNameBytes,
} from "../../src/raid/create-plan.ts";
import { decodeSuperblock, encodeSuperblock } from "../../src/raid/superblock.ts";
import type { MinorVersion, Superblock } from "../../src/raid/superblock-fields.ts";

export const SECTOR = 512;
export const NOW = 1_800_000_000_000;
export const OLD_UUID = new Uint8Array(16).fill(0x11);
export const NEW_UUID = new Uint8Array(16).fill(0x22);

/** What `create` is asked for; the rest is a two-way mirror with metadata 1.2 and a bitmap. */
export interface BenchShape {
  readonly options?: Partial<CreateOptions>;
  /** KiB of each medium; null is the word missing. */
  readonly sizes?: readonly (number | null)[];
  /** Changes each member's superblock after the creation. */
  readonly alter?: (superblock: Superblock, index: number) => Partial<Superblock>;
  /** Changes each member's bitmap: header, and the bits of each slot. */
  readonly alterBitmap?: (index: number, slot: number) => BitmapAlteration;
}

export interface BitmapAlteration {
  readonly header?: Partial<BitmapSuperblock>;
  /** Chunks whose bits are set; the others are not. */
  readonly set?: readonly number[];
}

export const KIB_OF_MEMBER = 3072;

/** Creates the array and alters it; all of it is durable. */
export function makeMedia(shape: BenchShape = {}): readonly SimMedium[] {
  const sizes = shape.sizes ?? [KIB_OF_MEMBER, KIB_OF_MEMBER];
  const plan = createOn(shape, sizes);
  const media: SimMedium[] = [];
  for (const [index, planned] of plan.members.entries()) {
    if (planned === null) continue;
    const medium = new SimMedium((sizes[index] ?? 0) * 1024);
    for (const { offset, bytes } of planned.writes) medium.preset(offset, bytes);
    alterMember(medium, planned.superblock, shape, media.length);
    media.push(medium);
  }
  return media;
}

function createOn(shape: BenchShape, sizes: readonly (number | null)[]): CreatePlan {
  const members = sizes.map(
    (kib, index): CreateMember =>
      kib === null
        ? "missing"
        : {
            path: `/d${index}`,
            sizeBytes: kib * 1024,
            deviceUuid: new Uint8Array(16).fill(0xd0 + index),
            stale: [],
          },
  );
  const options: CreateOptions = {
    level: 1,
    raidDevices: sizes.length - (shape.options?.spareDevices ?? 0),
    spareDevices: 0,
    layout: 0,
    chunkSectors: 0,
    minor: 2 as MinorVersion,
    bitmap: "internal",
    bitmapChunkBytes: 64 * 1024,
    bitmapDelaySeconds: 5,
    nodes: 4,
    clusterName: "satsuma",
    setName: setNameBytes("md0", "lab") ?? new Uint8Array(32),
    setUuid: OLD_UUID,
    createdAt: 1_700_000_000,
    assumeClean: true,
    size: null,
    ...shape.options,
  };
  const plan = planCreate(options, members);
  if (!plan.ok) throw new Error(plan.message);
  return plan.value;
}

function alterMember(medium: SimMedium, sb: Superblock, shape: BenchShape, index: number): void {
  const altered = { ...sb, events: 20, ...shape.alter?.(sb, index) };
  medium.preset(sb.superOffset * SECTOR, encodeSuperblock(altered));
  const at = (sb.superOffset + sb.bitmapOffset) * SECTOR;
  const head = decodeBitmapSuperblock(medium.current.subarray(at, at + 256));
  if (!head.ok) return;
  const slots = Math.max(head.value.nodes, 1);
  for (let slot = 0; slot < slots; slot++) {
    const { header, set } = shape.alterBitmap?.(index, slot) ?? {};
    const value = { ...head.value, events: altered.events, eventsCleared: 10, ...header };
    const bytes = new Uint8Array(4096);
    bytes.set(encodeBitmapSuperblock(value));
    for (const chunk of set ?? []) {
      const byte = 256 + (chunk >> 3);
      bytes[byte] = (bytes[byte] ?? 0) | (1 << (chunk & 7));
    }
    medium.preset(at + slot * 4096, bytes);
  }
}

/** Bytes at the start and the end of a medium in which metadata lies. */
const METADATA_BYTES = 128 * 1024;

/** Media with the same durable metadata; the content is not looked at. */
export function copyMedia(media: readonly SimMedium[]): readonly SimMedium[] {
  return media.map(({ durable }) => {
    const copy = new SimMedium(durable.length);
    const end = durable.length - METADATA_BYTES;
    copy.preset(0, durable.subarray(0, METADATA_BYTES));
    copy.preset(end, durable.subarray(end));
    return copy;
  });
}

const AT_ONCE = (): Promise<void> => Promise.resolve();

export function openMedium(medium: SimMedium, index: number, turn = AT_ONCE) {
  return { path: `/d${index}`, device: new SimDevice(`/d${index}`, medium, turn) };
}

/** What assembly makes of the media. */
export async function assembleMedia(media: readonly SimMedium[]): Promise<AssemblyVerdict> {
  const candidates: AssemblyCandidate[] = [];
  for (const [index, medium] of media.entries()) {
    const { path, device } = openMedium(medium, index);
    candidates.push(await readCandidate(path, device));
  }
  return assemble(candidates);
}

/** Members of an array that assembles, as planning wants them. */
export async function membersOf(
  media: readonly SimMedium[],
): Promise<{ readonly members: readonly ChangeMember[]; readonly freshest: Superblock }> {
  const verdict = await assembleMedia(media);
  if (verdict.verdict !== "start") throw new Error(`${verdict.code} ${verdict.message}`);
  const { freshest } = verdict.shape;
  const members: ChangeMember[] = [];
  for (const [index, { superblock, placement }] of verdict.members.entries()) {
    const medium = media[index];
    const takesPart = ["in-sync", "rebuilding", "spare"].includes(placement.type);
    if (medium === undefined || superblock === null || !takesPart) continue;
    const device = { id: index, ...openMedium(medium, index) };
    members.push(await readChangeMember(device, superblock, freshest));
  }
  return { members, freshest };
}

/** The superblock that lies where metadata 1.2, 1.1 or 1.0 has it. */
export function superblockOn(medium: SimMedium): Superblock {
  const sectors = medium.durable.length / SECTOR;
  for (const at of [8, 0, sectors - 16 - ((sectors - 16) % 8)]) {
    const bytes = medium.durable.subarray(at * SECTOR, at * SECTOR + 4096);
    const decoded = decodeSuperblock(bytes, at, sectors);
    if (decoded.ok) return decoded.value;
  }
  throw new Error("no superblock");
}

/**
 * A turn that lets so many calls complete, in some order, then none: the moment of the power cut.
 */
export function turnsUntilCut(calls: number, prng: Prng) {
  const { promise: cut, resolve } = Promise.withResolvers<void>();
  let left = calls;
  const turn = async (): Promise<void> => {
    for (let wait = prng.below(6); wait > 0; wait--) await Promise.resolve();
    if (left === 0) {
      resolve();
      await new Promise<void>(() => undefined);
    }
    left--;
  };
  return { turn, cut };
}

/** Chunks of a bitmap, each set with this chance in eight. */
export function randomChunks(prng: Prng, chunks: number, eighths: number): readonly number[] {
  return Array.from({ length: chunks }, (_, chunk) => chunk).filter(() => prng.chance(eighths, 8));
}

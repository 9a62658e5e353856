/** Steps of the pure bitmap of a large array, each prepared to be taken over and over. */
import { bitmapSlotBytes, encodeBitmapSuperblock } from "../../src/raid/bitmap-superblock.ts";
import { createSharedArray, SharedArrayState } from "../../src/raid/shared-state.ts";
import { WriteIntentBitmap } from "../../src/raid/write-intent-bitmap.ts";

/** What mdadm and `create` take unless told otherwise. */
const CHUNK_BYTES = 64 * 2 ** 20;
const WORKERS = 2;
/** A step far from the last one's page, that meets every chunk: odd, so prime to a power of two. */
const STRIDE = 40_503;
/** Bits of one commit when many writes wait. */
const COMMIT_BITS = 32;

/** One step, and how many bits or operations it is worth. */
export interface CoreStep {
  readonly units: number;
  readonly take: () => void;
}

interface Core {
  readonly chunks: number;
  readonly shared: SharedArrayState;
  readonly bitmap: WriteIntentBitmap;
  /** The area of a leg whose bits are all clear or all set. */
  readonly area: (byte: number) => Uint8Array;
  /** Another chunk at each call. */
  readonly nextChunk: () => number;
}

function makeCore(arrayBytes: number): Core {
  const chunks = Math.ceil(arrayBytes / CHUNK_BYTES);
  const map = { raidSlots: 2, componentSectors: arrayBytes / 512, raid10: null };
  const shape = { workers: WORKERS, chunks, chunkBytes: CHUNK_BYTES, map };
  const shared = new SharedArrayState(createSharedArray(shape));
  const superblock = {
    version: 4,
    uuid: new Uint8Array(16).fill(7),
    events: 1,
    eventsCleared: 1,
    syncSize: arrayBytes / 512,
    state: 0,
    chunkBytes: CHUNK_BYTES,
    daemonSleepSeconds: 5,
    writeBehind: 0,
    sectorsReserved: 0,
    nodes: 0,
    clusterName: new Uint8Array(64),
    pad: new Uint8Array(120),
  } as const;
  const area = (byte: number) => {
    const bytes = new Uint8Array(bitmapSlotBytes(chunks)).fill(byte);
    bytes.set(encodeBitmapSuperblock(superblock));
    return bytes;
  };
  let chunk = 0;
  const nextChunk = () => {
    chunk = (chunk + STRIDE) % chunks;
    return chunk;
  };
  return { chunks, shared, bitmap: new WriteIntentBitmap(superblock, shared), area, nextChunk };
}

/** Sets bits and makes them durable, as for a write that finds its bit clear; clears them again. */
function commitStep(arrayBytes: number, bits: number): CoreStep {
  const { bitmap, shared, nextChunk } = makeCore(arrayBytes);
  const take = () => {
    const chunks: number[] = [];
    for (let index = 0; index < bits; index++) {
      const chunk = nextChunk();
      bitmap.set(chunk, chunk);
      chunks.push(chunk);
    }
    bitmap.takeDirtyPages();
    for (const chunk of chunks) {
      bitmap.markDurable(chunk, chunk);
      shared.setBit(chunk, 0);
    }
    bitmap.clear(chunks);
  };
  return { units: bits, take };
}

/** What a worker does for each write whose bit is durable. */
function touchStep(arrayBytes: number): CoreStep {
  const { bitmap, shared, area, nextChunk } = makeCore(arrayBytes);
  bitmap.load([area(0xff)]);
  const take = () => {
    const chunk = nextChunk();
    shared.beginWrite(0, chunk, chunk);
    if (shared.bit(chunk) === 0) throw new Error("a durable bit is not");
    shared.endWrite(0, chunk, chunk);
  };
  return { units: 1, take };
}

function sweepStep(arrayBytes: number, byte: number): CoreStep {
  const { chunks, bitmap, area } = makeCore(arrayBytes);
  bitmap.load([area(byte)]);
  // Twice: bits that nobody writes to are due by then, at each sweep.
  bitmap.sweep();
  return { units: chunks, take: () => void bitmap.sweep() };
}

function loadStep(arrayBytes: number, byte: number): CoreStep {
  const { chunks, bitmap, area } = makeCore(arrayBytes);
  const areas = [area(byte), area(byte)];
  return { units: chunks, take: () => bitmap.load(areas) };
}

function mergeStep(arrayBytes: number): CoreStep {
  const { chunks, bitmap, area } = makeCore(arrayBytes);
  const other = area(0xff);
  bitmap.merge(other);
  return { units: chunks, take: () => void bitmap.merge(other) };
}

/** The steps by the names of the bench's rows, for an array of so many bytes. */
export const CORE_STEPS = {
  touch: touchStep,
  commit1: (arrayBytes) => commitStep(arrayBytes, 1),
  commit32: (arrayBytes) => commitStep(arrayBytes, COMMIT_BITS),
  "sweep.clear": (arrayBytes) => sweepStep(arrayBytes, 0),
  "sweep.set": (arrayBytes) => sweepStep(arrayBytes, 0xff),
  "load.clear": (arrayBytes) => loadStep(arrayBytes, 0),
  "load.set": (arrayBytes) => loadStep(arrayBytes, 0xff),
  merge: mergeStep,
} as const satisfies Readonly<Record<string, (arrayBytes: number) => CoreStep>>;

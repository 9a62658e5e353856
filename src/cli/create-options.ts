/** From the options of `satsuma create`, as typed, to what planCreate takes. */

import { randomFillSync } from "node:crypto";
import { CodedError } from "../common/errors.ts";
import { BITMAP_NODES_MAX } from "../raid/bitmap-superblock.ts";
import { type CreateOptions, setNameBytes } from "../raid/create-plan.ts";
import { parseRaid10Layout } from "../raid/raid10-layout.ts";
import { MAX_DEV_LIMIT, type MinorVersion, SECTOR_BYTES } from "../raid/superblock-fields.ts";
import { parseUuid } from "../raid/uuid.ts";
import { parseCount, parseSize } from "./size-syntax.ts";

/** The options as commander collects them. */
export interface TypedCreateOptions {
  readonly level: string;
  readonly raidDevices: string;
  readonly spareDevices: string;
  readonly layout?: string;
  readonly chunk?: string;
  readonly bitmap: string;
  readonly bitmapChunk?: string;
  readonly nodes?: string;
  readonly metadata: string;
  readonly name: string;
  readonly homehost: string;
  readonly homeCluster?: string;
  readonly uuid?: string;
  readonly size?: string;
  readonly assumeClean?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Levels by the words mdadm takes for them. */
const LEVELS: ReadonlyMap<string, 1 | 10> = new Map([
  ["raid1", 1],
  ["1", 1],
  ["mirror", 1],
  ["raid10", 10],
  ["10", 10],
]);
const MINORS: ReadonlyMap<string, MinorVersion> = new Map([
  ["1.0", 0],
  ["1.1", 1],
  ["1.2", 2],
  ["1", 2],
  ["default", 2],
]);
const BITMAPS = ["internal", "clustered", "none"] as const;
const LAYOUT_DEFAULT = "n2";
const CHUNK_DEFAULT_BYTES = 512 * 1024;
const NODES_DEFAULT = 4;
const BITMAP_DELAY_SECONDS = 5;
const BITMAP_CHUNK_MIN_BYTES = 4096;

/** Understands the options. Errors: CLI_BAD_USAGE. `createdAt` in seconds since the epoch. */
export function toCreateOptions(typed: TypedCreateOptions, createdAt: number): CreateOptions {
  const level = LEVELS.get(typed.level);
  if (level === undefined) {
    throw badUsage(`--level ${typed.level} is not supported`, "use raid1 or raid10");
  }
  const minor = MINORS.get(typed.metadata);
  if (minor === undefined) {
    throw badUsage(`--metadata ${typed.metadata} is not supported`, "use 1.0, 1.1 or 1.2");
  }
  const bitmap = BITMAPS.find((word) => word === typed.bitmap);
  if (bitmap === undefined) {
    throw badUsage(`--bitmap ${typed.bitmap} is unknown`, `use ${BITMAPS.join(", ")}`);
  }
  refuseMismatch(typed, level, bitmap);
  return {
    level,
    raidDevices: parseCount(typed.raidDevices, "--raid-devices", 1, MAX_DEV_LIMIT),
    spareDevices: parseCount(typed.spareDevices, "--spare-devices", 0, MAX_DEV_LIMIT),
    layout: level === 1 ? 0 : parseLayout(typed.layout ?? LAYOUT_DEFAULT),
    chunkSectors: level === 1 ? 0 : parseChunk(typed.chunk),
    minor,
    bitmap,
    bitmapChunkBytes: parseBitmapChunk(typed.bitmapChunk),
    bitmapDelaySeconds: BITMAP_DELAY_SECONDS,
    nodes: parseCount(typed.nodes ?? String(NODES_DEFAULT), "--nodes", 2, BITMAP_NODES_MAX),
    clusterName: typed.homeCluster ?? "satsuma",
    setName: parseName(typed),
    setUuid: parseSetUuid(typed.uuid),
    createdAt,
    assumeClean: typed.assumeClean === true,
    size: parseComponentSize(typed.size),
  };
}

/** Options that would be silently without effect. */
function refuseMismatch(typed: TypedCreateOptions, level: 1 | 10, bitmap: string): void {
  const refuseIf = (isGiven: boolean, option: string, needs: string): void => {
    if (isGiven) throw badUsage(`${option} needs ${needs}`, `leave ${option} out`);
  };
  refuseIf(level === 1 && typed.layout !== undefined, "--layout", "--level raid10");
  refuseIf(level === 1 && typed.chunk !== undefined, "--chunk", "--level raid10");
  refuseIf(bitmap === "none" && typed.bitmapChunk !== undefined, "--bitmap-chunk", "a bitmap");
  const isClustered = bitmap === "clustered";
  refuseIf(!isClustered && typed.nodes !== undefined, "--nodes", "--bitmap clustered");
  refuseIf(!isClustered && typed.homeCluster !== undefined, "--home-cluster", "--bitmap clustered");
}

function parseLayout(text: string): number {
  const layout = parseRaid10Layout(text);
  if (layout !== null) return layout;
  throw badUsage(`--layout ${text} is not a raid10 layout`, "use n, f or o and a number of copies");
}

function parseChunk(text: string | undefined): number {
  const bytes = text === undefined ? CHUNK_DEFAULT_BYTES : parseSize(text, "--chunk", 1024);
  return bytes / SECTOR_BYTES;
}

function parseBitmapChunk(text: string | undefined): number | null {
  if (text === undefined) return null;
  const bytes = parseSize(text, "--bitmap-chunk", 1024);
  const isPower = bytes > 0 && Number.isInteger(Math.log2(bytes));
  if (isPower && bytes >= BITMAP_CHUNK_MIN_BYTES && bytes <= 2 ** 31) return bytes;
  throw badUsage(`--bitmap-chunk ${text} is not possible`, "use a power of two from 4K to 2G");
}

function parseName(typed: TypedCreateOptions): Uint8Array {
  const setName = setNameBytes(typed.name, typed.homehost);
  if (setName !== null) return setName;
  throw badUsage(`--name ${JSON.stringify(typed.name)} is not possible`, "use 1 to 31 bytes");
}

function parseSetUuid(text: string | undefined): Uint8Array {
  if (text === undefined) return randomFillSync(new Uint8Array(16));
  const uuid = parseUuid(text);
  if (uuid !== null) return uuid;
  throw badUsage(`--uuid ${text} is not a UUID`, "write 32 hexadecimal digits");
}

function parseComponentSize(text: string | undefined): number | null {
  if (text === undefined || text === "max") return null;
  const bytes = parseSize(text, "--size", 1024);
  if (bytes > 0 && bytes % 1024 === 0) return bytes / SECTOR_BYTES;
  throw badUsage(`--size ${text} is not possible`, "use a multiple of 1K");
}

function badUsage(message: string, remedy: string): CodedError {
  return new CodedError("CLI_BAD_USAGE", message, { remedy });
}

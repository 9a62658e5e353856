/**
 * From an order in mdadm's words to what planCreate takes: layout and chunk by level, defaults,
 * name. The same for an order that is only planned and one that is carried out.
 */

import type { CreateOptions, CreateRefusal } from "./create-plan.ts";
import { setNameBytes } from "./create-plan.ts";
import { parseRaid10Layout } from "./raid10-layout.ts";
import { SECTOR_BYTES } from "./superblock-fields.ts";

/** An order; sizes in bytes, null = mdadm's default. */
export interface CreateWords {
  readonly name: string;
  readonly level: "raid1" | "raid10";
  /** `n2`, `f2`, `o3` …; raid10 only. */
  readonly layout: string | null;
  /** raid10 only. */
  readonly chunkBytes: number | null;
  readonly raidDevices: number;
  readonly bitmap: "internal" | "clustered" | "none";
  readonly bitmapChunkBytes: number | null;
  /** Slots and cluster name of a clustered bitmap. */
  readonly nodes: number;
  readonly clusterName: string;
  readonly metadata: "1.0" | "1.1" | "1.2";
  readonly assumeClean: boolean;
  readonly sizeBytes: number | null;
}

/** What makes the new array one of its own. `createdAt` in seconds since the epoch. */
export interface CreateIdentity {
  readonly homehost: string;
  readonly setUuid: Uint8Array;
  readonly createdAt: number;
}

/** Source: mdadm Create.c default_layout, DEFAULT_CHUNK. */
const LAYOUT_DEFAULT = "n2";
const CHUNK_DEFAULT_BYTES = 512 * 1024;
/** Source: mdadm --delay. */
const BITMAP_DELAY_SECONDS = 5;
const MINORS = { "1.0": 0, "1.1": 1, "1.2": 2 } as const;

const refuse = (
  code: CreateRefusal["code"],
  message: string,
  remedy: string,
): { readonly ok: false; readonly refusal: CreateRefusal } => ({
  ok: false,
  refusal: { ok: false, code, message, remedy },
});

/** The options of an order for so many members, or why there can be none. */
export function createOptionsOf(
  words: CreateWords,
  memberCount: number,
  identity: CreateIdentity,
):
  | { readonly ok: true; readonly value: CreateOptions }
  | { readonly ok: false; readonly refusal: CreateRefusal } {
  const setName = setNameBytes(words.name, identity.homehost);
  if (setName === null) {
    return refuse(
      "RAID_BAD_NAME",
      `"${words.name}" cannot be an array's name`,
      "use 1 to 31 bytes",
    );
  }
  const { bitmapChunkBytes } = words;
  if (bitmapChunkBytes !== null && !isBitmapChunk(bitmapChunkBytes)) {
    const message = `a bitmap chunk of ${bitmapChunkBytes} bytes is no power of two`;
    return refuse("RAID_BAD_BITMAP_CHUNK", message, "use a power of two from 4K to 2G");
  }
  const decided = shapeOf(words);
  if (!decided.ok) return decided;
  return {
    ok: true,
    value: {
      ...decided.shape,
      raidDevices: words.raidDevices,
      spareDevices: memberCount - words.raidDevices,
      minor: MINORS[words.metadata],
      bitmap: words.bitmap,
      bitmapChunkBytes,
      bitmapDelaySeconds: BITMAP_DELAY_SECONDS,
      nodes: words.bitmap === "clustered" ? words.nodes : 0,
      clusterName: words.bitmap === "clustered" ? words.clusterName : "",
      setName,
      setUuid: identity.setUuid,
      createdAt: identity.createdAt,
      assumeClean: words.assumeClean,
      size: words.sizeBytes === null ? null : Math.floor(words.sizeBytes / SECTOR_BYTES),
    },
  };
}

/** Source: mdadm.8 --bitmap-chunk: a power of two; super1.c: 4 KiB at least. */
const isBitmapChunk = (bytes: number): boolean =>
  Number.isInteger(Math.log2(bytes)) && bytes >= 4096 && bytes <= 2 ** 31;

interface Shape {
  readonly ok: true;
  readonly shape: Pick<CreateOptions, "level" | "layout" | "chunkSectors">;
}

function shapeOf({
  level,
  layout,
  chunkBytes,
}: CreateWords): Shape | { readonly ok: false; readonly refusal: CreateRefusal } {
  if (level === "raid1") {
    if (layout !== null || chunkBytes !== null) {
      const message = "raid1 has neither a layout nor a chunk: every member holds everything";
      return refuse("RAID_BAD_LAYOUT", message, "leave them out, or make a raid10");
    }
    return { ok: true, shape: { level: 1, layout: 0, chunkSectors: 0 } };
  }
  const word = parseRaid10Layout(layout ?? LAYOUT_DEFAULT);
  if (word === null) {
    const remedy = "use n, f or o and a number of copies, like n2";
    return refuse("RAID_BAD_LAYOUT", `${layout} is not a layout that raid10 has`, remedy);
  }
  const bytes = chunkBytes ?? CHUNK_DEFAULT_BYTES;
  if (bytes % SECTOR_BYTES !== 0) {
    const message = `a chunk of ${bytes} bytes is no power of two of 4 KiB or more`;
    return refuse("RAID_BAD_LAYOUT", message, "use a chunk like 64K or 512K");
  }
  return { ok: true, shape: { level: 10, layout: word, chunkSectors: bytes / SECTOR_BYTES } };
}

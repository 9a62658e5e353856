/** What must hold on the members of a stopped or killed raid1 array, read from their files. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { assert } from "../../src/common/assert.ts";
import {
  BITMAP_SUPERBLOCK_BYTES,
  bitmapChunks,
  decodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import { decodeSuperblock } from "../../src/raid/superblock.ts";
import { runCommand } from "./command.ts";

const SECTOR = 512;

export interface MembersView {
  /** Chunks whose bit is set on a leg, and bytes per chunk. */
  readonly dirty: ReadonlySet<number>;
  readonly chunkBytes: number;
  readonly clean: boolean;
  readonly sizeBytes: number;
}

/** Decodes every member, compares the legs outside dirty chunks, and asks mdadm about them. */
export async function examineMembers(paths: readonly string[]): Promise<MembersView> {
  const dirty = new Set<number>();
  const contents: Buffer[] = [];
  let chunkBytes = 0;
  let clean = true;
  let sizeBytes = 0;
  for (const path of paths) {
    const bytes = readFileSync(path);
    const decoded = decodeSuperblock(bytes.subarray(4096, 8192), 8, bytes.length / SECTOR);
    assert(decoded.ok, `${path} has a superblock that md would load`);
    const sb = decoded.value;
    const at = (sb.superOffset + sb.bitmapOffset) * SECTOR;
    const bitmap = decodeBitmapSuperblock(bytes.subarray(at, at + 4096), sb.setUuid);
    assert(bitmap.ok, `${path} has a bitmap that md would load`);
    chunkBytes = bitmap.value.chunkBytes;
    for (let chunk = 0; chunk < bitmapChunks(sb.size, chunkBytes); chunk++) {
      const byte = bytes[at + BITMAP_SUPERBLOCK_BYTES + (chunk >> 3)] ?? 0;
      if ((byte & (1 << (chunk & 7))) !== 0) dirty.add(chunk);
    }
    clean &&= sb.resyncOffset === "none";
    sizeBytes = sb.size * SECTOR;
    contents.push(bytes.subarray(sb.dataOffset * SECTOR, sb.dataOffset * SECTOR + sizeBytes));
    await askMdadm(path, bytes.subarray(at, at + 64 * 1024));
  }
  compareLegs(contents, chunkBytes, clean ? new Set() : dirty);
  return { dirty, chunkBytes, clean, sizeBytes };
}

function compareLegs(
  contents: readonly Buffer[],
  chunkBytes: number,
  dirty: ReadonlySet<number>,
): void {
  const [first, ...others] = contents;
  assert(first !== undefined, "a leg");
  for (let chunk = 0; chunk * chunkBytes < first.length; chunk++) {
    if (dirty.has(chunk)) continue;
    const range = [chunk * chunkBytes, (chunk + 1) * chunkBytes] as const;
    for (const other of others) {
      const same = Buffer.compare(first.subarray(...range), other.subarray(...range)) === 0;
      assert(same, `legs differ in chunk ${chunk}, whose bit is not set`);
    }
  }
}

/** `--examine-bitmap` reads a bitmap at the start of a plain file. */
async function askMdadm(path: string, bitmapArea: Uint8Array): Promise<void> {
  const { stdout } = await runCommand("mdadm", ["--examine", path]);
  assert(/Checksum : \w+ - correct/.test(stdout), `mdadm accepts ${path}:\n${stdout}`);
  const copy = `${path}.bitmap`;
  writeFileSync(copy, bitmapArea);
  const bitmap = await runCommand("mdadm", ["--examine-bitmap", copy]);
  rmSync(copy);
  assert(/Bitmap : \d+ bits/.test(bitmap.stdout), `mdadm reads the bitmap of ${path}`);
}

/**
 * What mdadm's own test scripts do with `mdadm`, `testdev` and `check`, over the real engine: real
 * threads, files and NBD connections. The volume's content is known byte by byte all the time.
 */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Callback } from "uvu";
import * as assert from "uvu/assert";
import { CodedError } from "../../src/common/errors.ts";
import type { CreateArrayRequest, RunningArray } from "../../src/control/engine.ts";
import {
  BITMAP_SUPERBLOCK_BYTES,
  bitmapChunks,
  decodeBitmapSuperblock,
} from "../../src/raid/bitmap-superblock.ts";
import { bitmapPosition, probeMember } from "../../src/raid/probe.ts";
import type { Superblock } from "../../src/raid/superblock-fields.ts";
import { runCommand } from "./command.ts";
import { EngineBench, EXPORT } from "./engine-bench.ts";
import { NbdClient } from "./nbd-client.ts";
import { inFolder } from "./temporary-folder.ts";
import { eventually, withTimeout } from "./timeout.ts";

export const KIB = 1024;
export const MIB = 1024 * 1024;
const SECTOR = 512;
const PIECE = MIB;
const WAIT_MS = 60_000;
const LIMIT_MS = 150_000;
export const FULL_SPEED = { min: 2 ** 40, max: 2 ** 40 };
/** So slow that what runs at it does not end by itself. */
export const CRAWL = { min: 64 * KIB, max: 64 * KIB };

/** A scenario gets an engine in a folder of its own; both are gone afterwards. */
export function onScenario<T>(body: (md: MdScenario) => Promise<void>): Callback<T> {
  return withTimeout(
    LIMIT_MS,
    inFolder(async (folder) => {
      const bench = await EngineBench.start(folder, { syncSpeed: CRAWL });
      const scenario = new MdScenario(bench);
      try {
        await body(scenario);
      } catch (error) {
        // uvu takes `details` of an error for its own and gives up the suite.
        if (!(error instanceof CodedError)) throw error;
        throw new Error(`${error.code}: ${error.message}`, { cause: error });
      } finally {
        scenario.detach();
        await bench.close();
      }
    }),
  );
}

/** One array at a time, exported, with what was written to it. */
export class MdScenario {
  readonly bench: EngineBench;
  #client: NbdClient | null = null;
  #content: Buffer = Buffer.alloc(0);

  constructor(bench: EngineBench) {
    this.bench = bench;
  }

  /** New files of random content. */
  disks(count: number, sizeMib = 12, prefix = "dev"): string[] {
    return this.bench.files(count, sizeMib, prefix);
  }

  /** `mdadm -C`, exported at once; syncs at this speed from its first byte on. */
  async create(
    members: readonly string[],
    over: Partial<CreateArrayRequest> = {},
    speed = FULL_SPEED,
  ): Promise<RunningArray> {
    const array = await this.bench.create(members, { bitmapChunkBytes: null, ...over });
    await array.setSyncSpeed(speed);
    this.#content = Buffer.alloc(0);
    return array;
  }

  /** Forgets what was written: another array, or the same one after somebody else wrote to it. */
  forget(): void {
    this.detach();
    this.#content = Buffer.alloc(0);
  }

  /** `mdadm -A --run`, exported at once; what was written before is still expected of it. */
  async assemble(members: readonly string[], readOnly = false): Promise<RunningArray> {
    const array = await this.bench.engine.assemble(members, { readOnly });
    await array.setSyncSpeed(FULL_SPEED);
    await this.bench.export(array);
    return array;
  }

  /** `mdadm -S`. */
  async stop(array: RunningArray): Promise<void> {
    this.detach();
    await this.bench.stop(array);
  }

  /** Bits are cleared seconds after the last write, or by a stop: this is the quick way. */
  async withoutBits(array: RunningArray, members: readonly string[]): Promise<RunningArray> {
    await this.stop(array);
    const again = await this.assemble(members);
    assert.equal([again.status.bitmap.dirtyChunks, again.status.sync], [0, null]);
    return again;
  }

  async client(): Promise<NbdClient> {
    this.#client ??= await NbdClient.attach(this.bench.peer, EXPORT);
    return this.#client;
  }

  /** Ends the connection; the next call makes another one. */
  detach(): void {
    this.#client?.close();
    this.#client = null;
  }

  /** Writes random bytes everywhere, or to a range, and flushes. */
  async write(offset = 0, length?: number): Promise<void> {
    const client = await this.client();
    await this.#know(client, offset === 0 && length === undefined);
    const data = randomBytes(length ?? client.sizeBytes - offset);
    for (let at = 0; at < data.length; at += PIECE) {
      await client.write(offset + at, data.subarray(at, at + PIECE));
    }
    data.copy(this.#content, offset);
    await client.flush();
  }

  /** Writes what is there already: a write like any, but no content changes. */
  async rewrite(offset: number, length: number): Promise<void> {
    const client = await this.client();
    await client.write(offset, this.#content.subarray(offset, offset + length));
  }

  /** What was written reads back, and what was there before the first write. */
  async verify(): Promise<void> {
    const client = await this.client();
    assert.ok(this.#content.length > 0, "something was written before");
    assert.ok(client.sizeBytes >= this.#content.length, "the volume holds what was written");
    for (let at = 0; at < this.#content.length; at += PIECE) {
      const expected = this.#content.subarray(at, at + PIECE);
      const found = await client.read(at, expected.length);
      assert.is(Buffer.compare(expected, found), 0, `the content at ${at} is what was written`);
    }
  }

  /** Reads all of the volume, expects that of it from now on, and tells its SHA-256. */
  async learn(): Promise<string> {
    await this.#know(await this.client(), false);
    await this.verify();
    return this.sha256;
  }

  /** SHA-256 of what the volume must hold; everything must have been written or learned. */
  get sha256(): string {
    return createHash("sha256").update(this.#content).digest("hex");
  }

  /** mdadm's `testdev`: writes all of the volume and reads it back. */
  async testdev(): Promise<void> {
    await this.write();
    await this.verify();
  }

  /** mdadm's `check wait`: nothing runs, and nothing is about to. */
  async settled(array: RunningArray, slots?: string): Promise<void> {
    await eventually(`nothing runs, ${slots ?? "any"} slots`, WAIT_MS, () => {
      const { sync, members, health } = array.status;
      const waits =
        ["building", "resyncing"].includes(health) ||
        members.some(({ states }) => states.includes("rebuilding"));
      return sync === null && !waits && (slots === undefined || slotsOf(array) === slots);
    });
  }

  /** mdadm's `check resync`, `check recovery`: this action runs just now. */
  async running(array: RunningArray, action: "resync" | "recover"): Promise<void> {
    await eventually(`a ${action} runs`, WAIT_MS, () => array.status.sync?.action === action);
  }

  /** How many sync actions of a kind have ended so far. */
  ended(action: string): number {
    return this.#ends(action).length;
  }

  /** Bytes that the last action of a kind copied, and its scope. */
  lastCopy(action: string): { readonly bytes: number; readonly scope: string } {
    const details = this.#ends(action).at(-1)?.details;
    return { bytes: Number(details?.["copied_bytes"]), scope: String(details?.["scope"]) };
  }

  /** `echo check >sync_action`; sectors that it found different. */
  async check(array: RunningArray): Promise<number> {
    const before = this.ended("check");
    await array.setSyncAction("check");
    await eventually("the check is done", WAIT_MS, () => this.ended("check") > before);
    await this.settled(array);
    const details = this.#ends("check").at(-1)?.details;
    assert.is(details?.["outcome"], "done");
    return Number(details?.["mismatch_count"]);
  }

  #ends(action: string) {
    return this.bench.happenings.filter(
      ({ type, details }) => type === "sync.finished" && details["action"] === action,
    );
  }

  /** What is there before the first write is read, so that it is known too. */
  async #know(client: NbdClient, isOverwritten: boolean): Promise<void> {
    const known = this.#content;
    if (known.length >= client.sizeBytes) return;
    this.#content = Buffer.alloc(client.sizeBytes);
    if (isOverwritten) return;
    known.copy(this.#content);
    for (let at = known.length; at < client.sizeBytes; at += PIECE) {
      const length = Math.min(PIECE, client.sizeBytes - at);
      this.#content.set(await client.read(at, length), at);
    }
  }
}

/** mdstat's picture of the raid slots: `UU_`. */
export function slotsOf(array: RunningArray): string {
  const { members, raidDevices } = array.status;
  const inSync = (slot: number): boolean =>
    members.some(({ raidSlot, states }) => raidSlot === slot && states.includes("in_sync"));
  return Array.from({ length: raidDevices }, (_, slot) => (inSync(slot) ? "U" : "_")).join("");
}

/** The states of a member, or `absent`. */
export function statesOf(array: RunningArray, path: string): string {
  const member = array.status.members.find((other) => other.path === path);
  return member === undefined ? "absent" : member.states.join();
}

/** The code a call is refused with, or `no error`. */
export async function codeOf(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
  return "no error";
}

/** A member as it lies on its file. */
export interface MemberOnDisk {
  readonly superblock: Superblock;
  /** Its part of the array's data. */
  readonly data: Buffer;
  /** Chunks whose bit is set; undefined without a bitmap. */
  readonly dirty: readonly number[] | undefined;
  readonly chunks: number;
  readonly bitmapUuid: Uint8Array | undefined;
}

/** Reads a member, whatever its metadata version. */
export function memberOnDisk(path: string): MemberOnDisk {
  const bytes = readFileSync(path);
  const read = (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const superblock = probeMember(read, bytes.length).superblock?.parsed?.value;
  if (superblock === undefined) throw new Error(`${path} has no superblock`);
  const from = superblock.dataOffset * SECTOR;
  const data = bytes.subarray(from, from + superblock.size * SECTOR);
  const position = bitmapPosition(superblock);
  if (position === null) {
    return { superblock, data, dirty: undefined, chunks: 0, bitmapUuid: undefined };
  }
  const bitmap = decodeBitmapSuperblock(read(position, BITMAP_SUPERBLOCK_BYTES));
  if (!bitmap.ok) throw new Error(`the bitmap of ${path} is ${bitmap.reason}`);
  const chunks = bitmapChunks(bitmap.value.syncSize, bitmap.value.chunkBytes);
  const bits = bytes.subarray(position + BITMAP_SUPERBLOCK_BYTES);
  const dirty = Array.from({ length: chunks }, (_, chunk) => chunk).filter(
    (chunk) => ((bits[chunk >> 3] ?? 0) & (1 << (chunk & 7))) !== 0,
  );
  return { superblock, data, dirty, chunks, bitmapUuid: bitmap.value.uuid };
}

/** md's `cmp` of the legs of a stopped raid1, data only. */
export function assertLegsEqual(paths: readonly string[]): void {
  const [first, ...others] = paths.map((path) => memberOnDisk(path).data);
  for (const other of others) assert.is(Buffer.compare(first ?? other, other), 0, "legs are equal");
}

/** Lines `Name : value` of `mdadm --examine`, by name: an outside opinion. */
export async function mdadmExamines(path: string): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await runCommand("mdadm", ["--examine", path]);
  const lines = stdout.split("\n").map((line) => line.split(" : ", 2).map((word) => word.trim()));
  return new Map(
    lines.flatMap(([name = "", value]) => (value === undefined ? [] : [[name, value]])),
  );
}

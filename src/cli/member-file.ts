/**
 * Members as the offline verbs open them: files and block devices named on the command line, looked
 * at before they are opened.
 */

import { type Stats, statSync } from "node:fs";
import { CodedError } from "../common/errors.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import { FileBlockDevice } from "../hal/linux/file-block-device.ts";
import { findWriter } from "./file-users.ts";
import { listLoopDevices } from "./loop-device.ts";

/** An open member. */
export interface MemberFile {
  readonly path: string;
  /** Equal for two paths that lead to the same file or device. */
  readonly identity: string;
  readonly device: BlockDevice;
}

/**
 * What a path leads to, by device and inode numbers.
 * Errors: HAL_OPEN_FAILED, HAL_NOT_A_BLOCK_DEVICE.
 */
export function identifyMember(path: string): { readonly identity: string; readonly stat: Stats } {
  let stat: Stats;
  try {
    stat = statSync(path);
  } catch (error) {
    const word = error instanceof Error && "code" in error ? String(error.code) : "EIO";
    throw new CodedError("HAL_OPEN_FAILED", `${path}: cannot be opened (${word})`, {
      remedy: "check that it exists and its permissions",
      cause: error,
    });
  }
  if (stat.isBlockDevice() || stat.isFile()) return { identity: identityOf(stat), stat };
  const kind = stat.isDirectory() ? "a directory" : "neither a file nor a block device";
  throw new CodedError("HAL_NOT_A_BLOCK_DEVICE", `${path}: is ${kind}`, {
    remedy: "name a regular file or a block device",
  });
}

/** Equal for two paths to the same file or device. */
export function identityOf(stat: Stats): string {
  return stat.isBlockDevice() ? `block ${stat.rdev}` : `file ${stat.dev} ${stat.ino}`;
}

/**
 * Opens a member to read it, or to write it; a block device opened for writing is claimed.
 * Errors: as identifyMember, also for one that is in use; HAL_READ_ONLY for a file without any
 * write permission.
 */
export async function openMember(path: string, mode: "read" | "write"): Promise<MemberFile> {
  const { identity, stat } = identifyMember(path);
  // The superuser may write to a file that is marked read-only; the mark is respected.
  if (mode === "write" && (stat.mode & 0o222) === 0) {
    throw new CodedError("HAL_READ_ONLY", `${path}: is read-only`, {
      remedy: "make it writable (chmod u+w) or choose another member",
    });
  }
  if (mode === "write") {
    refuseLooped(path, identity);
    refuseServed(path, stat);
  }
  const device = await FileBlockDevice.open(path, {
    mode,
    ...(mode === "write" ? { claim: "alone" } : {}),
  });
  return { path, identity, device };
}

/** A file under a loop device may be mounted, or be another member under its other name. */
function refuseLooped(path: string, identity: string): void {
  const loop = listLoopDevices().find(
    ({ backing }) => identity === `file ${backing.dev} ${backing.ino}`,
  );
  if (loop === undefined) return;
  throw new CodedError("HAL_OPEN_FAILED", `${path}: is in use under ${loop.path}`, {
    remedy: `detach it (losetup -d ${loop.path}) or use the loop device itself`,
  });
}

/** A daemon that runs the array has its members open to write them. */
function refuseServed(path: string, stat: Stats): void {
  const writer = stat.isFile() ? findWriter(stat) : null;
  if (writer === null) return;
  const { command, pid } = writer;
  throw new CodedError("HAL_OPEN_FAILED", `${path}: is in use by ${command} (process ${pid})`, {
    remedy: "stop the array or the program that uses it first",
  });
}

/** Opens all or none. Errors: the first one's. */
export async function openMembers(
  paths: readonly string[],
  mode: "read" | "write",
): Promise<readonly MemberFile[]> {
  const open: MemberFile[] = [];
  try {
    for (const path of paths) open.push(await openMember(path, mode));
    return open;
  } catch (error) {
    await closeMembers(open);
    throw error;
  }
}

/** Closes all. */
export async function closeMembers(members: readonly MemberFile[]): Promise<void> {
  for (const member of members) await member.device.close();
}

/**
 * `satsuma read`: an array's content to a file or to standard output. Members are opened read-only
 * and the output is never one of them.
 */

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { isZero } from "../common/bytes.ts";
import { CodedError } from "../common/errors.ts";
import { assemble } from "../raid/assembly.ts";
import type { AssemblyCandidate, AssemblyStart, AssemblyVerdict } from "../raid/assembly-types.ts";
import { readCandidate } from "../raid/candidate-driver.ts";
import { SECTOR_BYTES } from "../raid/superblock-fields.ts";
import { ArrayReader } from "./array-reader.ts";
import { closeMembers, identityOf, type MemberFile, openMembers } from "./member-file.ts";
import { ProgressBar, printWarning, writeOutput } from "./output.ts";

/** Bytes per step of the copy, and the smallest hole left in an output file. */
const STEP_BYTES = 1024 * 1024;
const HOLE_BYTES = 64 * 1024;

export interface ReadRequest {
  readonly members: readonly string[];
  /** A path, or null for standard output. */
  readonly output: string | null;
  readonly offset: number;
  /** Null: to the end. */
  readonly length: number | null;
}

export interface ReadOutcome {
  readonly start: AssemblyStart;
  readonly bytes: number;
}

/** Where content goes. `write` gets consecutive pieces. */
interface Sink {
  write(bytes: Uint8Array): Promise<void>;
  finish(): void;
  close(): void;
}

/**
 * Copies the array's content.
 * Errors: refusals of assemble with each member's reason, CLI_OUT_OF_RANGE, CLI_OUTPUT_IS_MEMBER,
 * HAL_IO_ERROR, HAL_NO_SPACE.
 */
export async function readArray(request: ReadRequest): Promise<ReadOutcome> {
  const files = await openMembers(request.members, "read");
  try {
    const candidates: AssemblyCandidate[] = [];
    for (const { path, device } of files) candidates.push(await readCandidate(path, device));
    const start = requireStart(assemble(candidates));
    warnAbout(start);
    const reported = new Set<string>();
    const reader = await ArrayReader.open(start, files, (path, message) => {
      if (!reported.has(path)) printWarning(`${message}; other copies are used`);
      reported.add(path);
    });
    const bytes = rangeLength(request, reader.sizeBytes);
    const sink = openSink(request.output, files, bytes);
    try {
      await copy(reader, sink, request.offset, bytes, request.output !== null);
    } finally {
      sink.close();
    }
    return { start, bytes };
  } finally {
    await closeMembers(files);
  }
}

function requireStart(verdict: AssemblyVerdict): AssemblyStart {
  if (verdict.verdict === "start") return verdict;
  const { code, message, remedy, members } = verdict;
  const isEachTold = code === "RAID_NOT_ENOUGH_MEMBERS" || code === "RAID_UNSUPPORTED_METADATA";
  const reasons = isEachTold ? members.map(({ path, text }) => `${path} ${text}`) : [];
  throw new CodedError(verdict.code, [message, ...reasons].join("; "), { remedy });
}

function warnAbout(start: AssemblyStart): void {
  for (const { path, placement, text } of start.members) {
    if (["kicked", "unusable", "faulty"].includes(placement.type)) printWarning(`${path} ${text}`);
  }
}

function rangeLength(request: ReadRequest, sizeBytes: number): number {
  const { offset } = request;
  const length = request.length ?? Math.max(0, sizeBytes - offset);
  if (offset + length <= sizeBytes && offset <= sizeBytes) return length;
  throw new CodedError(
    "CLI_OUT_OF_RANGE",
    `${length} bytes at ${offset} lie outside the array of ${sizeBytes} bytes`,
    { remedy: "choose a smaller --offset or --length" },
  );
}

async function copy(
  reader: ArrayReader,
  sink: Sink,
  offset: number,
  length: number,
  showProgress: boolean,
): Promise<void> {
  const progress = showProgress ? new ProgressBar("read", length) : null;
  const end = offset + length;
  const buffer = new Uint8Array(STEP_BYTES);
  for (let at = offset; at < end; ) {
    const lo = at - (at % SECTOR_BYTES);
    const hi = Math.min(lo + STEP_BYTES, Math.ceil(end / SECTOR_BYTES) * SECTOR_BYTES);
    const whole = buffer.subarray(0, hi - lo);
    await reader.read(whole, lo);
    await sink.write(whole.subarray(at - lo, Math.min(hi, end) - lo));
    at = Math.min(hi, end);
    progress?.update(at - offset);
  }
  progress?.finish();
  sink.finish();
}

function openSink(output: string | null, files: readonly MemberFile[], length: number): Sink {
  if (output !== null) return fileSink(output, files, length);
  return { write: writeOutput, finish: () => undefined, close: () => undefined };
}

/** Standard output, a file with holes where the array is zero, or a device or pipe in full. */
function fileSink(path: string, files: readonly MemberFile[], length: number): Sink {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined) refuseMember(path, found, files);
  const claim = found?.isBlockDevice() === true ? constants.O_EXCL : constants.O_CREAT;
  const fd = guard(path, () => openSync(path, constants.O_WRONLY | claim, 0o666));
  const stat = fstatSync(fd);
  const isFile = stat.isFile();
  const isSeekable = isFile || stat.isBlockDevice();
  if (isFile) guard(path, () => ftruncateSync(fd, 0));
  let at = 0;
  const write = async (bytes: Uint8Array): Promise<void> => {
    for (let done = 0; done < bytes.length; done += HOLE_BYTES) {
      const piece = bytes.subarray(done, done + HOLE_BYTES);
      if (isFile && isZero(piece)) continue;
      guard(path, () => writeFully(fd, piece, isSeekable ? at + done : null));
    }
    at += bytes.length;
  };
  const finish = (): void => {
    if (isFile) guard(path, () => ftruncateSync(fd, length));
    if (isSeekable) guard(path, () => fsyncSync(fd));
  };
  return { write, finish, close: () => closeSync(fd) };
}

function refuseMember(path: string, stat: Stats, files: readonly MemberFile[]): void {
  if (!files.some((file) => file.identity === identityOf(stat))) return;
  throw new CodedError("CLI_OUTPUT_IS_MEMBER", `${path} is one of the members`, {
    remedy: "write to another file",
  });
}

function writeFully(fd: number, bytes: Uint8Array, offset: number | null): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset === null ? null : offset + done);
  }
}

/** Gives the failures of the output file their codes. */
function guard<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const word = error instanceof Error && "code" in error ? String(error.code) : "EIO";
    if (word === "ENOSPC" || word === "EFBIG" || word === "EDQUOT") {
      throw new CodedError("HAL_NO_SPACE", `${path}: no space left (${word})`, {
        remedy: "write to a larger file system",
        cause: error,
      });
    }
    throw new CodedError("HAL_NOT_WRITABLE", `${path}: cannot be written (${word})`, {
      remedy: "choose another output",
      cause: error,
    });
  }
}

/** The places that the command line names: they are looked at before anything is measured. */
import { accessSync, constants, statfsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { CodedError } from "../src/common/errors.ts";

export interface Places {
  readonly dir: string | undefined;
  readonly json: string | undefined;
  readonly markdown: string | undefined;
  readonly document: string | undefined;
}

const isFolder = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

const isWritable = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
};

/** A file that is written when all is measured. */
const checkFile = (option: string, file: string): void => {
  const folder = dirname(resolve(file));
  if (!isFolder(folder)) {
    throw new CodedError(
      "BENCH_FOLDER_MISSING",
      `--${option} ${file}: there is no folder ${folder}`,
      {
        remedy: "make the folder first, or name a file in another one",
      },
    );
  }
  const isThere = statSync(file, { throwIfNoEntry: false }) !== undefined;
  if (isFolder(file) || !isWritable(isThere ? file : folder)) {
    throw new CodedError("BENCH_FILE_DENIED", `--${option} ${file}: cannot be written`, {
      remedy: "name a file that may be written",
    });
  }
};

/** Errors: BENCH_FOLDER_MISSING, BENCH_FILE_DENIED, BENCH_FILE_MISSING. */
export function checkPlaces({ dir, json, markdown, document }: Places): void {
  if (dir !== undefined && !isFolder(dir)) {
    throw new CodedError("BENCH_FOLDER_MISSING", `--dir ${dir}: there is no such folder`, {
      remedy: "name a folder on the disk that is to be measured, or make it first",
    });
  }
  for (const [option, file] of Object.entries({ json, markdown, document }))
    if (file !== undefined) checkFile(option, file);
  if (document !== undefined && statSync(document, { throwIfNoEntry: false }) === undefined) {
    throw new CodedError("BENCH_FILE_MISSING", `--document ${document}: there is no such file`, {
      remedy: "name a document that has places for tables, such as docs/performance.md",
    });
  }
}

const MIB = 2 ** 20;
/** Databases, logs, and what a file system takes for itself. Choice. */
const SLACK_BYTES = 128 * MIB;

const freeBytes = (folder: string): number => {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
};

/** `bytes`: what is written there at most at a time. Errors: BENCH_NO_SPACE. */
export function requireSpace(
  dir: string,
  bytes: number,
  freeIn: (folder: string) => number = freeBytes,
): void {
  const needed = bytes + SLACK_BYTES;
  const free = freeIn(dir);
  if (free >= needed) return;
  const text = `${dir} has ${Math.floor(free / MIB)} MiB free, the files take ${Math.ceil(needed / MIB)} MiB`;
  throw new CodedError("BENCH_NO_SPACE", text, {
    remedy: "name another folder with --dir, or a smaller --size",
    details: { free, needed },
  });
}

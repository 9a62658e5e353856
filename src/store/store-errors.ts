/**
 * Failures of the settings database as coded errors: each names the file and the remedy.
 *
 * Source: result codes of SQLite, "Result and Error Codes".
 */

import { CodedError } from "../common/errors.ts";

const sqliteCode = (error: unknown): string => {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" ? code : "";
};

/** The file's pages contradict each other, or it is no SQLite file. */
export const storeCorrupt = (path: string, cause: unknown): CodedError =>
  new CodedError("STORE_CORRUPT", `${path} is damaged`, {
    remedy:
      "move it away and start again: arrays are found by their superblocks, exports have to be made anew",
    details: { path },
    cause,
  });

const NOT_WRITABLE = ["EACCES", "EPERM", "EROFS", "ENOTDIR", "ENOENT", "EEXIST", "EISDIR"];

/**
 * `error` of SQLite or of the filesystem as a coded error about the database at `path`. A coded
 * error, and an error that comes from neither (a defect of ours), is returned as it is.
 */
export const storeError = (error: unknown, path: string): unknown => {
  const code = sqliteCode(error);
  if (error instanceof CodedError || code === "" || code.startsWith("ERR_")) {
    return error;
  }
  const details = { path, reason: code };
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return new CodedError("STORE_IN_USE", `${path} is held by another process`, {
      remedy: "stop what serves this data directory, or choose another with --data",
      details,
      cause: error,
    });
  }
  if (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB") {
    return storeCorrupt(path, error);
  }
  if (code.startsWith("SQLITE_FULL") || code === "ENOSPC") {
    return new CodedError("STORE_FULL", `there is no space left for ${path}`, {
      remedy: "free space on its filesystem",
      details,
      cause: error,
    });
  }
  if (
    code.startsWith("SQLITE_READONLY") ||
    code.startsWith("SQLITE_CANTOPEN") ||
    NOT_WRITABLE.includes(code)
  ) {
    return new CodedError("STORE_NOT_WRITABLE", `${path} cannot be opened for writing`, {
      remedy: "give the daemon a writable directory with --data",
      details,
      cause: error,
    });
  }
  if (code.startsWith("SQLITE_IOERR")) {
    return new CodedError("STORE_IO_ERROR", `${path} cannot be read or written`, {
      remedy: "look at the filesystem it is on and at the kernel log",
      details,
      cause: error,
    });
  }
  return error;
};

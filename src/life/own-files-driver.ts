/** Files of the cluster's folder: whole or not at all, and their owner's alone. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import path from "node:path";
import { CodedError } from "../common/errors.ts";

/** Replaces the file; it is on stable storage when this returns. Errors: LIFE_FILES_UNUSABLE. */
export const writeWhole = (file: string, content: string | Buffer): void => {
  try {
    const fresh = `${file}.new`;
    const handle = openSync(fresh, "w", 0o600);
    try {
      const bytes = Buffer.from(content);
      for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(fresh, file);
    syncFolder(path.dirname(file));
  } catch (cause) {
    throw unusable(file, cause);
  }
};

/** The file's text, or null. Errors: LIFE_FILES_UNUSABLE. */
export const readWhole = (file: string): string | null => {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw unusable(file, cause);
  }
};

/** What was renamed or deleted in a folder stays so. */
export const syncFolder = (folder: string): void => {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
};

/** A file of the cluster's folder that cannot be used. */
export const unusable = (file: string, cause?: unknown): CodedError =>
  new CodedError("LIFE_FILES_UNUSABLE", `${file} cannot be read or written as it should be`, {
    remedy: "look at the file system, its space and the file's owner; then start the daemon again",
    details: { file },
    cause,
  });

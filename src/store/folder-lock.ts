/**
 * A folder that one process has at a time: the lock of an empty database in it, which the kernel
 * gives back however the process ends.
 */

import path from "node:path";
import Sqlite from "better-sqlite3";
import { storeError } from "./store-errors.ts";

/** The lock; `release` ends it. Errors: STORE_IN_USE, STORE_NOT_WRITABLE, others of STORE_*. */
export function lockFolder(directory: string, name: string): { release(): void } {
  const file = path.join(directory, name);
  let handle: Sqlite.Database | undefined;
  try {
    handle = new Sqlite(file, { timeout: 0 });
    // It is never written to: nothing but the transaction's lock counts, as long as it is open.
    handle.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    handle?.close();
    throw storeError(error, file);
  }
  const held = handle;
  return { release: () => void held.close() };
}

/** `credentials.json` of a demo: how to reach its boards. Readable by its owner only. */

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";

/** One board. `nbd` is HOST:PORT; paths are absolute. */
export interface BoardCredentials {
  readonly name: string;
  readonly url: string;
  readonly token: string;
  readonly nbd: string;
  readonly nbd_socket: string;
  readonly data_dir: string;
  readonly pid: number;
  readonly disks: readonly string[];
}

const fileIn = (directory: string): string => path.join(directory, "credentials.json");

/** The board of an earlier run in the folder, or null. */
export function readCredentials(directory: string): BoardCredentials | null {
  try {
    const { boards } = JSON.parse(readFileSync(fileIn(directory), "utf8")) as {
      boards?: BoardCredentials[];
    };
    return boards?.[0] ?? null;
  } catch {
    // No earlier run, or a file that is not ours: the board starts as if for the first time.
    return null;
  }
}

/** Replaces the file at once: a reader sees the old one or the new one. */
export function writeCredentials(directory: string, board: BoardCredentials): void {
  const file = fileIn(directory);
  const text = `${JSON.stringify({ boards: [board], etcd: null }, null, 2)}\n`;
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

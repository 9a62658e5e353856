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

/** The etcd of a demo of several boards. */
export interface EtcdCredentials {
  readonly endpoints: readonly string[];
  readonly pid: number;
  readonly data_dir: string;
}

/** What an earlier run in the folder left; nothing when there was none. */
export interface DemoCredentials {
  readonly boards: readonly BoardCredentials[];
  readonly etcd: EtcdCredentials | null;
}

const fileIn = (directory: string): string => path.join(directory, "credentials.json");

/** The boards of an earlier run in the folder, and its etcd. */
export function readCredentials(directory: string): DemoCredentials {
  try {
    const { boards, etcd } = JSON.parse(
      readFileSync(fileIn(directory), "utf8"),
    ) as Partial<DemoCredentials>;
    return { boards: boards ?? [], etcd: etcd ?? null };
  } catch {
    // No earlier run, or a file that is not ours: the boards start as if for the first time.
    return { boards: [], etcd: null };
  }
}

/** Replaces the file at once: a reader sees the old one or the new one. */
export function writeCredentials(directory: string, credentials: DemoCredentials): void {
  const file = fileIn(directory);
  const text = `${JSON.stringify(credentials, null, 2)}\n`;
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

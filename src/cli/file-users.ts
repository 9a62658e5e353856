/**
 * Who else has a file open to write it: a daemon that serves it as a member, a virtual machine that
 * boots from it. Linux knows no claim on a file that all of them would make.
 * Source: proc(5), `/proc/PID/fd` and `/proc/PID/fdinfo`.
 */

import { readdirSync, readFileSync, readlinkSync, type Stats, statSync } from "node:fs";

/** Access bits of `flags`, which fdinfo prints in octal. Source: open(2) O_ACCMODE. */
const ACCESS_MODES = 0o3;

/** A process by its number and command name. */
export interface FileUser {
  readonly pid: number;
  readonly command: string;
}

/** The first other process that may write the file, or null. Those of other users are not seen. */
export function findWriter(stat: Stats): FileUser | null {
  for (const name of namesIn("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    if (namesIn(`/proc/${name}/fd`).some((fd) => isWriter(name, fd, stat))) {
      return { pid, command: read(`/proc/${name}/comm`).trim() };
    }
  }
  return null;
}

function isWriter(pid: string, fd: string, { dev, ino }: Stats): boolean {
  try {
    // Sockets, pipes and the like are not worth a stat.
    if (!readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("/")) return false;
    const found = statSync(`/proc/${pid}/fd/${fd}`);
    if (found.dev !== dev || found.ino !== ino) return false;
  } catch (error) {
    if (isOutOfSight(error)) return false;
    throw error;
  }
  const flags = /^flags:\s*([0-7]+)/m.exec(read(`/proc/${pid}/fdinfo/${fd}`))?.[1] ?? "0";
  return (Number.parseInt(flags, 8) & ACCESS_MODES) !== 0;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isOutOfSight(error)) return [];
    throw error;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isOutOfSight(error)) return "";
    throw error;
  }
}

/** The process ended meanwhile, or belongs to somebody else. */
function isOutOfSight(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return ["ENOENT", "ESRCH", "EACCES", "EPERM", "ENOTDIR", "ELOOP"].includes(code);
}

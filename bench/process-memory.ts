/** Memory of a process. */
import { readFileSync } from "node:fs";

/** Resident memory of a process with all its threads, MiB. */
export function readRssMib(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kib === undefined) throw new Error(`process ${pid} tells no resident memory`);
  return Number(kib) / 1024;
}

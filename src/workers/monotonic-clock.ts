/** The monotonic clock on which all threads of the process agree, unlike `performance.now()`. */

// Imported: Node looks the global up anew, through a getter, at every use.
import { performance } from "node:perf_hooks";

const ORIGIN = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** Milliseconds of CLOCK_MONOTONIC. */
export const monotonicMs = (): number => ORIGIN + performance.now();

/** Acts once after so many milliseconds; returns how to take it back. */
export const afterMs = (ms: number, act: () => void): (() => void) => {
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
};

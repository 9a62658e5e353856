/** Comparing the copies of one run of array bytes: what differs, where, and what stands. */

import { assert } from "../common/assert.ts";
import type { ArrayRange } from "./array-messages.ts";

/** Differences are counted in whole units of this size. Source: md counts 64 KiB sync requests. */
const COUNT_BYTES = 64 * 1024;
/** Differing ranges are told in units of this size, and votes are taken by it. Choice: a page. */
const RANGE_BYTES = 4096;

const equalAt = (a: Uint8Array, b: Uint8Array, from: number, end: number): boolean =>
  Buffer.compare(a.subarray(from, end), b.subarray(from, end)) === 0;

/** Bytes of the 64 KiB units that differ between two copies. */
export const differingBytes = (a: Uint8Array, b: Uint8Array): number => {
  if (equalAt(a, b, 0, a.length)) return 0;
  let differing = 0;
  for (let at = 0; at < a.length; at += COUNT_BYTES) {
    const end = Math.min(at + COUNT_BYTES, a.length);
    if (!equalAt(a, b, at, end)) differing += end - at;
  }
  return differing;
};

/** Where any copy differs from the first, in pages, neighbours joined; from the run's start. */
export const differingRanges = (contents: readonly Uint8Array[]): ArrayRange[] => {
  const [first, ...others] = contents;
  if (first === undefined) return [];
  if (others.every((other) => equalAt(first, other, 0, first.length))) return [];
  const ranges: { offset: number; length: number }[] = [];
  for (let at = 0; at < first.length; at += RANGE_BYTES) {
    const end = Math.min(at + RANGE_BYTES, first.length);
    if (others.every((other) => equalAt(first, other, at, end))) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last.offset + last.length === at) last.length += end - at;
    else ranges.push({ offset: at, length: end - at });
  }
  return ranges;
};

/**
 * Page by page what most copies hold; of equals the earliest copy, which is md's choice. The first
 * copy itself when all agree.
 */
export const majority = (contents: readonly Uint8Array[]): Uint8Array => {
  const [first] = contents;
  assert(first !== undefined, "a vote needs a copy");
  const ranges = contents.length < 3 ? [] : differingRanges(contents);
  if (ranges.length === 0) return first;
  const winner = first.slice();
  for (const range of ranges) {
    for (let at = range.offset; at < range.offset + range.length; at += RANGE_BYTES) {
      const end = Math.min(at + RANGE_BYTES, range.offset + range.length);
      winner.set(favourite(contents, at, end).subarray(at, end), at);
    }
  }
  return winner;
};

const favourite = (contents: readonly Uint8Array[], from: number, end: number): Uint8Array => {
  let best: Uint8Array | undefined;
  let bestVotes = 0;
  for (const candidate of contents) {
    const votes = contents.filter((other) => equalAt(candidate, other, from, end)).length;
    if (votes <= bestVotes) continue;
    best = candidate;
    bestVotes = votes;
  }
  assert(best !== undefined, "a vote needs a copy");
  return best;
};

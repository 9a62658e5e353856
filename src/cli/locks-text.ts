/** What `satsuma locks` prints of the clustered arrays that a board runs. */

import type { ArrayAbsenceResource, ArrayDlmResource, LockResource } from "../api/schemas/dlm.ts";

type Holder = LockResource["granted"][number];

const SECTOR = 512;
const MIB = 1024 * 1024;

const holderText = ({ node, granted, requested }: Holder): string => {
  const mode = requested === null ? granted : `${granted ?? "-"}>${requested}`;
  return `${node}:${mode}`;
};

const rangeText = ({ lo, hi }: { readonly lo: number; readonly hi: number }): string => {
  const mib = (sectors: number): string => ((sectors * SECTOR) / MIB).toFixed(1);
  return `${mib(lo)}-${mib(hi)} MiB`;
};

/** NL is no claim: only who asks for another mode has one. */
const lockLine = (lock: LockResource): string => {
  const claims = lock.granted.filter(({ granted }) => granted !== "NL");
  const granted = claims.map(holderText).join(" ");
  const waiting = [...lock.converting, ...lock.waiting].map(holderText).join(" ");
  const cells = [
    `    ${lock.resource.padEnd(12)}`,
    granted === "" ? "-" : granted,
    ...(waiting === "" ? [] : [`waiting: ${waiting}`]),
    ...(lock.range === null ? [] : [`resyncs ${rangeText(lock.range)}`]),
    ...(lock.lvb_invalid ? ["value block invalid"] : []),
  ];
  return cells.join("  ");
};

const messageLine = ({ message, members }: ArrayDlmResource): string => {
  if (message === null) {
    return "  last message: none yet";
  }
  const name = (slot: number): string =>
    members.find((member) => member.slot === slot)?.node ?? `slot ${slot}`;
  const awaited = message.awaited.map(({ slot, what }) => `${name(slot)} (${what})`).join(", ");
  const state = message.done ? "done" : `waits for ${awaited === "" ? "nobody" : awaited}`;
  return `  last message: ${message.name} (number ${message.seq}) of ${name(message.origin)}, ${state}`;
};

const heldLine = ({ held_writes: held }: ArrayDlmResource): string => {
  const ms = (seconds: number): string => `${(seconds * 1000).toFixed(1)} ms`;
  const times = `p50 ${ms(held.p50)}, p99 ${ms(held.p99)}, max ${ms(held.max)}`;
  if (held.by_range + held.by_gate + held.held === 0) {
    return "  held writes: none so far";
  }
  const counts = `${held.by_range} by a resync, ${held.by_gate} by the gate, ${held.held} now`;
  return `  held writes: ${counts}; ${times}`;
};

/** The lines of one array; `traced`: how many of its last events. */
export function locksLines(array: ArrayDlmResource, traced: number): string[] {
  const nodes = array.members.map(
    ({ node, slot, me }) => `${node} (node ${slot + 1}, slot ${slot}${me ? ", this board" : ""})`,
  );
  const odd = array.slots.filter(({ condition }) => !["free", "live"].includes(condition));
  return [
    `${array.name}: cluster ${array.cluster}, ${array.phase}, slot ${array.slot} of ${array.nodes}, epoch ${array.epoch}`,
    `  nodes: ${nodes.join(", ")}`,
    ...odd.map(({ slot, condition, recovered_by }) => {
      const by = recovered_by === null ? "" : ` by slot ${recovered_by}`;
      return `  slot ${slot}: ${condition}${by}`;
    }),
    `  ${array.awaited ?? "nothing is waited for"}`,
    ...array.ranges.map((range) => `  slot ${range.slot} resyncs ${rangeText(range)}`),
    ...(array.balancing_suspended
      ? ["  reads go to the first copy: a node is being recovered, or has just joined"]
      : []),
    messageLine(array),
    heldLine(array),
    "  locks:",
    ...array.locks.map(lockLine),
    ...array.damaged.map(({ key, code, message }) => `    ${key}  damaged: ${code}: ${message}`),
    ...(traced === 0 ? [] : ["  trace:"]),
    ...array.trace
      .slice(traced === 0 ? array.trace.length : -traced)
      .map(({ at, what, text }) => `    ${at.slice(11, 23)} ${what.padEnd(7)} ${text}`),
  ];
}

/** The lines of an array that has no locks now: why, and what ends that. */
export function absentLines(array: ArrayAbsenceResource): string[] {
  const { name, cluster, code, message, remedy, tries_again } = array;
  const next = tries_again ? "the board tries again by itself" : remedy;
  const isTold = tries_again && code !== null && remedy !== "";
  return [
    `${name}: cluster ${cluster}, does not run here, so it has no locks`,
    `  ${code === null ? "" : `${code}: `}${message}`,
    ...(isTold ? [`  ${remedy}`] : []),
    ...(next === "" ? [] : [`  ${next}`]),
  ];
}

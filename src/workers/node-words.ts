/** How nodes of an array's cluster are called to people. Pure. */

import type { CommandOutcome } from "../raid/array-messages.ts";

type NamedNodes = readonly { readonly slot: number; readonly node: string }[];

/** "node 2 (board-b)": numbers count from 1, slots of bitmaps from 0. */
export const nodeWord = (slot: number, nodes: NamedNodes): string => {
  const name = nodes.find((one) => one.slot === slot)?.node;
  return `node ${slot + 1}${name === undefined ? "" : ` (${name})`}`;
};

/** A refusal with the names of the nodes that it waits for. */
export const withNames = (outcome: CommandOutcome, nodes: NamedNodes): CommandOutcome => {
  if (outcome.ok || outcome.nodes === undefined) return outcome;
  const { code, message } = outcome;
  const names = outcome.nodes.map((slot) => nodeWord(slot, nodes)).join(", ");
  return { ok: false, code, message: `${message}: ${names}` };
};

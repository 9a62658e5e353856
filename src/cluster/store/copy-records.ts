/**
 * The values of the keys `ev`, `base` and `forced` of an array: which copies of it may be started
 * alone (docs/clustered-arrays.md). They are read from keys that anybody may have written.
 */

/**
 * A start from old copies that an administrator forced: it went on from `from` events, and its own
 * updates have `to` events or more. What has a number in between was written elsewhere.
 */
export interface ForcedStart {
  readonly from: number;
  readonly to: number;
}

const COUNT = "(0|[1-9]\\d{0,15})";
const NEWEST = new RegExp(`^${COUNT}$`);
const FORCED = new RegExp(`^${COUNT} ${COUNT}$`);

/** Events of the newest superblocks that the cluster was told of. */
export const encodeNewest = (events: number): string => String(events);

/** Null: something else, which tells nothing. */
export const readNewest = (text: string): number | null => {
  const match = NEWEST.exec(text);
  return match === null ? null : Number(match[1]);
};

export const encodeForced = ({ from, to }: ForcedStart): string => `${from} ${to}`;

/** Null: something else, which tells nothing. */
export const readForced = (text: string): ForcedStart | null => {
  const [, from, to] = FORCED.exec(text) ?? [];
  return from === undefined || to === undefined ? null : { from: Number(from), to: Number(to) };
};

/** One that covers both: rather too much is left to the administrator than too little. */
export const joinForced = (known: ForcedStart | null, next: ForcedStart): ForcedStart =>
  known === null
    ? next
    : { from: Math.min(known.from, next.from), to: Math.max(known.to, next.to) };

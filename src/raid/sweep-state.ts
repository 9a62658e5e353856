/** Where an array stands with clearing bits (bitmap-sweep.ts). */

export interface SweepState {
  /** When the last sweep was, milliseconds. */
  lastAt: number;
  /** Sweeps in a row that had bits to clear and left them, because the array was busy. */
  putOff: number;
  /** The legs are flushed ahead: who has not answered, by token, and the chunks it is for. */
  ahead: { readonly waiting: Map<number, number>; readonly chunks: readonly number[] } | null;
}

export const newSweep = (now: number): SweepState => ({ lastAt: now, putOff: 0, ahead: null });

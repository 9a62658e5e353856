/**
 * Whose turn it is to write a block: a write of part of a block writes all of it, with what it has
 * read, so nobody else may write that block meanwhile.
 */

interface Turn {
  readonly from: number;
  readonly to: number;
  /** Called when it may begin; null once it was. */
  begin: (() => void) | null;
}

export class BlockTurns {
  /** In order of arrival, under way and waiting. Bounded by the writes that one handle has. */
  readonly #turns: Turn[] = [];

  /**
   * Runs `work` once no earlier one touches `[from, to)`, whole blocks; at once if none does.
   * Its result is what `work` gives.
   */
  async run<T>(from: number, to: number, work: () => Promise<T>): Promise<T> {
    const turn: Turn = { from, to, begin: null };
    const isFirst = this.#isFirst(turn, this.#turns.length);
    this.#turns.push(turn);
    if (!isFirst) {
      await new Promise<void>((resolve) => {
        turn.begin = resolve;
      });
    }
    try {
      return await work();
    } finally {
      this.#turns.splice(this.#turns.indexOf(turn), 1);
      this.#beginWaiting();
    }
  }

  #isFirst({ from, to }: Turn, place: number): boolean {
    for (let index = 0; index < place; index++) {
      const other = this.#turns[index];
      if (other !== undefined && other.from < to && from < other.to) return false;
    }
    return true;
  }

  #beginWaiting(): void {
    for (const [index, turn] of this.#turns.entries()) {
      if (turn.begin === null || !this.#isFirst(turn, index)) continue;
      turn.begin();
      turn.begin = null;
    }
  }
}

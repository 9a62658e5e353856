/**
 * Whose turn it is to write a block: a write of part of a block writes all of it, with what it has
 * read, so nobody else may write that block meanwhile.
 */

/** One write's blocks, `[from, to)` in bytes. */
export interface BlockTurn {
  readonly from: number;
  readonly to: number;
  /** Resolves once no earlier write touches the blocks; null: none does. */
  readonly comes: Promise<void> | null;
}

interface Entry extends BlockTurn {
  comes: Promise<void> | null;
  begin: (() => void) | null;
}

const touch = (a: BlockTurn, b: BlockTurn): boolean => a.from < b.to && b.from < a.to;

export class BlockTurns {
  /** In order of arrival, under way and waiting. Bounded by the writes that one handle has. */
  readonly #entries: Entry[] = [];

  /** `leave` gives it back. AFTER `comes` the blocks may be read and written. */
  enter(from: number, to: number): BlockTurn {
    const entry: Entry = { from, to, comes: null, begin: null };
    if (!this.#isFirst(entry, this.#entries.length)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      entry.comes = promise;
      entry.begin = resolve;
    }
    this.#entries.push(entry);
    return entry;
  }

  leave(turn: BlockTurn): void {
    this.#entries.splice(this.#entries.indexOf(turn as Entry), 1);
    for (const [index, entry] of this.#entries.entries()) {
      if (entry.begin === null || !touch(entry, turn) || !this.#isFirst(entry, index)) continue;
      entry.begin();
      entry.begin = null;
    }
  }

  #isFirst(entry: Entry, place: number): boolean {
    for (let index = 0; index < place; index++) {
      const other = this.#entries[index];
      if (other !== undefined && touch(other, entry)) return false;
    }
    return true;
  }
}

/** The tokens that this board made, in its cluster's folder. */
import path from "node:path";
import { TOKEN_LIFE_MS, TOKENS_MAX, type TokenRecord } from "./join-token.ts";
import { readWhole, writeWhole } from "./own-files-driver.ts";

const FILE = "tokens.json";

export class TokenBook {
  readonly #file: string;
  readonly #now: () => number;

  constructor(folder: string, now: () => number) {
    this.#file = path.join(folder, FILE);
    this.#now = now;
  }

  /** The newest last; those that ended more than an hour ago are forgotten. */
  list(): readonly TokenRecord[] {
    try {
      const kept = JSON.parse(readWhole(this.#file) ?? "[]") as readonly TokenRecord[];
      const forgotten = this.#now() - TOKEN_LIFE_MS;
      return kept.filter(({ expiresAt }) => expiresAt > forgotten);
    } catch {
      // A book that cannot be read lets nobody join.
      return [];
    }
  }

  /** On stable storage when it returns. Errors: LIFE_FILES_UNUSABLE. */
  add(record: TokenRecord): void {
    this.#keep([...this.list(), record].slice(-TOKENS_MAX));
  }

  /** From now on it is used up. Errors: LIFE_FILES_UNUSABLE. */
  use(id: string): void {
    const usedAt = this.#now();
    this.#keep(this.list().map((one) => (one.id === id ? { ...one, usedAt } : one)));
  }

  /** False: there was none. Errors: LIFE_FILES_UNUSABLE. */
  remove(id: string): boolean {
    const before = this.list();
    const after = before.filter((one) => one.id !== id);
    if (after.length < before.length) this.#keep(after);
    return after.length < before.length;
  }

  #keep(records: readonly TokenRecord[]): void {
    writeWhole(this.#file, JSON.stringify(records));
  }
}

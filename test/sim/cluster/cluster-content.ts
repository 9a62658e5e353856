/**
 * What may be read from each sector of an array that several nodes write, each its own sectors.
 *
 * A write is open from its begin to its answer. One of a node that died, or that got an error,
 * stays open until the node is gone and the cluster at rest: until then copies of it may come late,
 * or differ.
 *   - `read`: a read never returns what had been replaced by an acknowledged write when it began,
 *     whichever node asks.
 *   - `flushed`: what was acknowledged before the flush began survives everything.
 *   - `goBack`: somebody has the array go on from older copies.
 *   - `cut`: the power of everything went; what is not durable is there or not.
 *   - while nothing of a sector is open, two reads of it return the same.
 */

interface Version {
  readonly id: number;
  readonly began: number;
  /** Answered with success then; null also after a power cut that it may not have survived. */
  acked: number | null;
  /** Since then it changes nothing any more. */
  ended: number | null;
  /** It was under way when no copy kept what no flush had stored: its answer promises nothing. */
  mayBeLost?: boolean;
}

export interface OpenWrite {
  readonly id: number;
  readonly first: number;
  readonly count: number;
  /** Of the node's life that sent it. */
  readonly owner: object;
}

export interface OpenRead {
  readonly began: number;
  readonly first: number;
  readonly held: readonly Versions[];
}

/** More than are replaced while a read waits. */
const REPLACED_MAX = 256;
const BLANK: Version = { id: 0, began: 0, acked: 0, ended: 0 };

/** Never changed in place: whoever has one keeps it as it was. */
type Versions = readonly Version[];

const NONE: Versions = [];

export class ClusterContent {
  readonly #written = new Map<number, Versions>();
  /** Sectors that may hold one of several versions. */
  readonly #open = new Set<number>();
  /** What durable writes have replaced: a read that began before may still return it. */
  readonly #replaced = new Map<number, Versions>();
  /** What a sector was read as while nothing of it was open. */
  readonly #seen = new Map<number, { readonly id: number; readonly at: number }>();
  /** Answered with an error, or never: open until the cluster rests. */
  #doubtful: OpenWrite[] = [];
  #clock = 1;
  #nextId = 1;

  /** Sectors that were ever written. */
  get sectors(): readonly number[] {
    return [...this.#written.keys()].sort((a, b) => a - b);
  }

  beginWrite(owner: object, first: number, count: number): OpenWrite {
    const id = this.#nextId++;
    const began = this.#clock++;
    for (let sector = first; sector < first + count; sector++) {
      this.#written.set(sector, [...this.#at(sector), { id, began, acked: null, ended: null }]);
      this.#open.add(sector);
      this.#seen.delete(sector);
    }
    return { id, first, count, owner };
  }

  ack(write: OpenWrite): void {
    const now = this.#clock++;
    this.#each(write, (version) => {
      if (version.mayBeLost !== true) version.acked = now;
      version.ended = now;
    });
  }

  /** Nobody knows whether it was done. */
  doubt(write: OpenWrite): void {
    this.#doubtful.push(write);
  }

  /**
   * All nodes that are gone are recovered, and every resync pass is over: what these had under way
   * is there or not. `isOver`: the life that sent a write is one of them.
   */
  rest(isOver: (write: OpenWrite) => boolean): void {
    const now = this.#clock++;
    for (const write of this.#doubtful.filter(isOver))
      this.#each(write, (version) => {
        version.ended ??= now;
      });
    this.#doubtful = this.#doubtful.filter((write) => !isOver(write));
  }

  get isDoubtful(): boolean {
    return this.#doubtful.length > 0;
  }

  /** What is acknowledged in these sectors is durable: with FUA. */
  durable({ first, count, id }: OpenWrite): void {
    for (let sector = first; sector < first + count; sector++) {
      const version = this.#at(sector).find((one) => one.id === id);
      if (version !== undefined) this.#dropBefore(sector, version.began);
    }
  }

  beginFlush(): number {
    return this.#clock++;
  }

  /** `began`: when the flush did; it covers what was acknowledged before. */
  flushed(began: number): void {
    for (const sector of this.#open) {
      let newest = -1;
      for (const { acked, began: since } of this.#at(sector))
        if (acked !== null && acked < began && since > newest) newest = since;
      if (newest >= 0) this.#dropBefore(sector, newest);
    }
  }

  cut(): void {
    const now = this.#clock++;
    this.#doubtful = [];
    this.#seen.clear();
    this.#replaced.clear();
    for (const versions of this.#written.values()) {
      for (const version of versions) version.ended ??= now;
      if (versions.length === 1) continue;
      for (const version of versions) version.acked = null;
    }
  }

  /** No copy is left that has kept what no flush had stored. */
  lose(): void {
    this.#seen.clear();
    for (const versions of this.#written.values()) {
      for (const version of versions) if (version.ended === null) version.mayBeLost = true;
      if (versions.length > 1) for (const version of versions) version.acked = null;
    }
  }

  /**
   * The array goes on from older copies: `held` tells what these hold of a sector, however long ago
   * it was replaced. Nothing that was acknowledged before counts any more.
   */
  goBack(held: (sector: number) => readonly number[]): void {
    const now = this.#clock++;
    this.#seen.clear();
    for (const [sector, versions] of this.#written) {
      const replaced = this.#replaced.get(sector) ?? NONE;
      const back = new Set(held(sector));
      for (const { id } of versions) back.delete(id);
      const old = [...back].map((id): Version => {
        const known = replaced.find((version) => version.id === id);
        return known ?? { id, began: 0, acked: null, ended: now };
      });
      const all = [...old, ...versions];
      if (all.length > 1) for (const version of all) version.acked = null;
      if (all.length > 1) this.#open.add(sector);
      this.#written.set(sector, all);
    }
    this.#replaced.clear();
  }

  beginRead(first: number, count: number): OpenRead {
    const held = Array.from({ length: count }, (_, at) => this.#at(first + at));
    return { began: this.#clock++, first, held };
  }

  /** What is wrong with a read that ends now, or null. `isStable`: no copies can differ. */
  problem({ began, first, held }: OpenRead, sector: number, id: number, isStable: boolean) {
    const now = this.#at(sector);
    const then = held[sector - first] ?? NONE;
    // Mostly nothing was written meanwhile.
    const lists = [now, ...(then === now ? [] : [then]), this.#replaced.get(sector) ?? NONE];
    const read = findIn(lists, (version) => version.id === id);
    if (read === undefined)
      return `sector ${sector} holds ${id}, not one of ${lists.flat().map((one) => one.id)}`;
    const since = read.ended ?? Number.POSITIVE_INFINITY;
    const newer = findIn(
      lists,
      (other) => other.acked !== null && other.acked < began && other.began > since,
    );
    if (newer !== undefined) return `sector ${sector} reads ${id}, replaced by ${newer.id}`;
    const seen = this.#seen.get(sector);
    if (seen !== undefined && seen.at < began && seen.id !== id)
      return `sector ${sector} reads ${id} after it read ${seen.id}`;
    const isOpen = ({ ended }: Version): boolean => ended === null || ended >= began;
    if (isStable && findIn(lists, isOpen) === undefined)
      this.#seen.set(sector, { id, at: this.#clock++ });
    return null;
  }

  /** Whether a copy may hold this, now that the write is acknowledged. */
  isCurrent(sector: number, id: number, write: OpenWrite): boolean {
    const versions = this.#at(sector);
    const mine = versions.find((version) => version.id === write.id);
    const found = versions.find((version) => version.id === id);
    if (mine === undefined || found === undefined) return mine === undefined;
    if (mine.mayBeLost === true) return true;
    return found.ended === null || found.ended >= mine.began;
  }

  #dropBefore(sector: number, began: number): void {
    const isKept = ({ ended }: Version): boolean => ended === null || ended >= began;
    const versions = this.#at(sector);
    const kept = versions.filter(isKept);
    if (kept.length < versions.length) {
      const dropped = versions.filter((version) => !isKept(version));
      const replaced = [...(this.#replaced.get(sector) ?? NONE), ...dropped];
      this.#replaced.set(sector, replaced.slice(-REPLACED_MAX));
      this.#written.set(sector, kept);
    }
    if (kept.length === 1) this.#open.delete(sector);
  }

  #each({ first, count, id }: OpenWrite, act: (version: Version) => void): void {
    for (let sector = first; sector < first + count; sector++)
      for (const version of this.#at(sector)) if (version.id === id) act(version);
  }

  #at(sector: number): Versions {
    const known = this.#written.get(sector);
    if (known !== undefined) return known;
    const versions = [{ ...BLANK }];
    this.#written.set(sector, versions);
    return versions;
  }
}

const findIn = (
  lists: readonly Versions[],
  isWanted: (version: Version) => boolean,
): Version | undefined => {
  for (const list of lists) for (const version of list) if (isWanted(version)) return version;
  return undefined;
};

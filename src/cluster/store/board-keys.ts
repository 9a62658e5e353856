/**
 * Where a cluster's keys are, and those of its boards:
 *
 * | key           | value                                             | lease   |
 * |---------------|---------------------------------------------------|---------|
 * | boards/b/NAME | who it is, its exports, disks (board-record.ts)   | its own |
 * | boards/hb/NAME | number of confirmations                          | its own |
 * | arrays/UUID/… | an array's cluster (store-keys.ts)                | various |
 *
 * all under `/satsuma/CLUSTER/`. The create revision of boards/b/NAME is the BOARD EPOCH: one life
 * of the board's member exports. Every transaction of a board is guarded by it.
 */
import type { Compare } from "./cluster-store.ts";

/** One life of a board. `epoch`: create revision of its key, never given twice. */
export interface BoardLife {
  readonly name: string;
  readonly epoch: number;
}

/** Prefix of all keys of a cluster; ends in `/`. */
export const clusterPrefix = (cluster: string): string =>
  `/satsuma/${encodeURIComponent(cluster)}/`;

/** Prefix of the keys of one array; `uuid` as its bitmap superblock tells. Ends in `/`. */
export const arrayPrefix = (cluster: string, uuid: string): string =>
  `${clusterPrefix(cluster)}arrays/${uuid}/`;

/** Board names are host names: nothing in them needs another form in a key. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$/;

/** Keys of the boards of one cluster. */
export class BoardKeys {
  /** Ends in `/`. */
  readonly prefix: string;

  constructor(cluster: string) {
    this.prefix = `${clusterPrefix(cluster)}boards/`;
  }

  /** Prefix of the keys that say which boards live. */
  get boards(): string {
    return `${this.prefix}b/`;
  }

  board(name: string): string {
    return `${this.boards}${name}`;
  }

  heartbeat(name: string): string {
    return `${this.prefix}hb/${name}`;
  }

  /** The board whose key `b/NAME` this is, or null. */
  boardIn(key: string): string | null {
    return this.#nameAfter(this.boards, key);
  }

  /** The board whose key `hb/NAME` this is, or null. */
  heartbeatIn(key: string): string | null {
    return this.#nameAfter(`${this.prefix}hb/`, key);
  }

  /** Holds while the board lives this life. */
  guard({ name, epoch }: BoardLife): Compare {
    return { type: "create-revision", key: this.board(name), relation: "=", number: epoch };
  }

  #nameAfter(start: string, key: string): string | null {
    const name = key.startsWith(start) ? key.slice(start.length) : "";
    return NAME.test(name) ? name : null;
  }
}

/**
 * The keys of one array's cluster, all under its prefix:
 *
 * | key              | value                                   | lease      |
 * |------------------|-----------------------------------------|------------|
 * | m/SLOT           | who it is (member-records.ts)           | its own    |
 * | hb/SLOT          | number of confirmations                 | its own    |
 * | slot/SLOT        | free, live, dead, recovering            | none       |
 * | lk/RESOURCE      | a lock resource (dlm/resource-codec.ts) | none       |
 * | in/SLOT          | epoch of the session that takes part    | its own    |
 * | pass/SLOT        | its node owes a resync pass             | none       |
 * | ch               | the message channel                     | none       |
 * | ack/SLOT         | what the slot has acknowledged          | none       |
 * | fd/BOARD/SLOT    | highest epoch refused and drained there | the board's |
 * | ev               | newest events of the superblocks        | none       |
 * | given            | most events an update was given         | none       |
 * | base             | ev as it was first                      | none       |
 * | forced           | a start from older copies than ev's     | none       |
 * | aside/DEVICE     | an administrator put the member aside   | none       |
 * | cfg              | timings, versions                       | none       |
 *
 * The create revision of m/SLOT is the member's SESSION EPOCH, and every transaction of the member
 * is guarded by it: whatever arrives after the key is gone changes nothing.
 */
import type { Compare } from "./cluster-store.ts";

/** Whose a session is. `epoch`: create revision of m/SLOT, never given twice. */
export interface Session {
  /** DLM slot, from 1. */
  readonly slot: number;
  readonly epoch: number;
}

export class StoreKeys {
  /** Ends in `/`. */
  readonly prefix: string;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  get members(): string {
    return `${this.prefix}m/`;
  }

  get heartbeats(): string {
    return `${this.prefix}hb/`;
  }

  get slots(): string {
    return `${this.prefix}slot/`;
  }

  get locks(): string {
    return `${this.prefix}lk/`;
  }

  /** While there is one, copies may differ anywhere and nobody balances reads. */
  get passes(): string {
    return `${this.prefix}pass/`;
  }

  get acks(): string {
    return `${this.prefix}ack/`;
  }

  get channel(): string {
    return `${this.prefix}ch`;
  }

  get config(): string {
    return `${this.prefix}cfg`;
  }

  member(slot: number): string {
    return `${this.members}${slot}`;
  }

  heartbeat(slot: number): string {
    return `${this.heartbeats}${slot}`;
  }

  slot(slot: number): string {
    return `${this.slots}${slot}`;
  }

  pass(slot: number): string {
    return `${this.passes}${slot}`;
  }

  /** Its session takes part in an array whose members boards serve to each other. */
  entered(slot: number): string {
    return `${this.prefix}in/${slot}`;
  }

  ack(slot: number): string {
    return `${this.acks}${slot}`;
  }

  /** Acknowledgements of fences; a board's name needs no other form in a key. */
  get fences(): string {
    return `${this.prefix}fd/`;
  }

  fence(board: string, slot: number): string {
    return `${this.fences}${board}/${slot}`;
  }

  /** Newest events that the cluster was told of (docs/clustered-arrays.md). */
  get newest(): string {
    return `${this.prefix}ev`;
  }

  /** The most events that an update was given to end at: its superblocks may be there, untold. */
  get given(): string {
    return `${this.prefix}given`;
  }

  /** What that was when it was made: of superblocks up to there the cluster knows nothing. */
  get base(): string {
    return `${this.prefix}base`;
  }

  /** A start from copies older than that, which an administrator asked for. */
  get forced(): string {
    return `${this.prefix}forced`;
  }

  get asides(): string {
    return `${this.prefix}aside/`;
  }

  /** `device`: its uuid, 32 hexadecimal digits. */
  aside(device: string): string {
    return `${this.asides}${device}`;
  }

  /** The device in a key `aside/DEVICE`, or null. */
  asideIn(key: string): string | null {
    const device = key.startsWith(this.asides) ? key.slice(this.asides.length) : "";
    return /^[0-9a-f]{32}$/.test(device) ? device : null;
  }

  /** A resource's name may have any characters; the key has their percent form. */
  lock(resource: string): string {
    return `${this.locks}${encodeURIComponent(resource)}`;
  }

  /** The slot in a key `m/SLOT`, `slot/SLOT` …, or null for a key that nobody of us wrote. */
  slotIn(key: string): number | null {
    const match = /^(?:m|hb|slot|pass|ack)\/([1-9]\d{0,2})$/.exec(key.slice(this.prefix.length));
    return match === null ? null : Number(match[1]);
  }

  /** The resource in a key `lk/RESOURCE`, or null. */
  resourceIn(key: string): string | null {
    if (!key.startsWith(this.locks)) return null;
    try {
      const resource = decodeURIComponent(key.slice(this.locks.length));
      return this.lock(resource) === key ? resource : null;
    } catch {
      return null;
    }
  }

  /** Holds while the session lives. */
  guard({ slot, epoch }: Session): Compare {
    const key = this.member(slot);
    return { type: "create-revision", key, relation: "=", number: epoch };
  }
}

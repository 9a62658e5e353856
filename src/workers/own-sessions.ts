/**
 * In which sessions this board uses its own disks. Other boards recover a session only after every
 * exporter has acknowledged its fence, and this board's exporter acknowledges its own sessions only
 * AFTER no thread of the board can write in them any more.
 */

/** One session of an array's node. `slot`: DLM slot, from 1. */
export interface OwnSession {
  readonly uuid: string;
  readonly slot: number;
  readonly epoch: number;
}

const place = ({ uuid, slot }: OwnSession): string => `${uuid}/${slot}`;

export class OwnSessions {
  readonly #drained: (session: OwnSession) => void;
  readonly #used = new Set<OwnSession>();
  /** Newest fence of each slot; as many as the arrays here have slots. */
  readonly #fenced = new Map<string, OwnSession>();

  /** `drained`: nothing of the session, or of an older one of its slot, is under way here. */
  constructor(drained: (session: OwnSession) => void) {
    this.#drained = drained;
  }

  /** A thread has joined, and touches nothing before this; false: others are past the session. */
  begin(session: OwnSession): boolean {
    const fenced = this.#fenced.get(place(session));
    if (fenced !== undefined && session.epoch <= fenced.epoch) return false;
    this.#used.add(session);
    return true;
  }

  /** AFTER the session's last write, in any thread, has reached its disk or never will. */
  end(session: OwnSession): void {
    this.#used.delete(session);
    const fenced = this.#fenced.get(place(session));
    if (fenced !== undefined && !this.#isUsed(fenced)) this.#drained(fenced);
  }

  /** Sessions of the slot up to this epoch are over. */
  fence(session: OwnSession): void {
    const known = this.#fenced.get(place(session));
    if (known === undefined || known.epoch < session.epoch)
      this.#fenced.set(place(session), session);
    if (!this.#isUsed(session)) this.#drained(session);
  }

  #isUsed(fence: OwnSession): boolean {
    return [...this.#used].some(
      (session) => place(session) === place(fence) && session.epoch <= fence.epoch,
    );
  }
}

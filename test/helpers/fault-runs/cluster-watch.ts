/**
 * What the keys of a cluster show, looked at all the time and past what is cut: which sessions
 * there are, which are over and proven so. Each listing is of one revision of etcd: what it shows
 * was true at once. Pure but for the listing that it is given.
 */
import type { EtcdKey } from "./fault-etcd.ts";

/** A connection of a session is opened so long before its key is seen to be gone, at least. */
const CERTAIN_MS = 1000;

interface Session {
  readonly board: string;
  readonly epoch: number;
  readonly slot: number;
  confirmations: number;
  /** Newest revision of any key when its own was seen last. */
  seenAt: number;
  /** When its key was first missed, on the run's clock. */
  goneAt: number | null;
}

export interface WatchReport {
  /** A session is over, and all that must have said so. */
  onFenced(board: string, openedBefore: number, now: number): void;
  onProblem(text: string): void;
}

export class ClusterWatch {
  readonly #prefix: string;
  readonly #report: WatchReport;
  readonly #sessions = new Map<string, Session>();
  /** Highest create revision seen of each board's own key. */
  readonly #lives = new Map<string, number>();
  #newest = 0;
  fences = 0;
  expulsions = 0;

  /** `prefix`: of the whole cluster. */
  constructor(prefix: string, report: WatchReport) {
    this.#prefix = prefix;
    this.#report = report;
  }

  /** One listing of all keys; `now`: when it was asked for. */
  seen(keys: readonly EtcdKey[], now: number): void {
    this.#newest = Math.max(this.#newest, ...keys.map(({ modRevision }) => modRevision));
    const byKey = new Map(keys.map((key) => [key.key, key]));
    const present = new Set<string>();
    for (const key of keys) {
      const [, array, slot] = /arrays\/([^/]+)\/m\/(\d+)$/.exec(key.key) ?? [];
      if (array !== undefined && slot !== undefined)
        present.add(this.#seenMember(byKey, key, array, Number(slot)));
    }
    this.#seenLives(keys);
    for (const [name, session] of this.#sessions)
      if (!present.has(name)) this.#seenGone(byKey, name, session, now);
  }

  #seenMember(
    keys: ReadonlyMap<string, EtcdKey>,
    member: EtcdKey,
    array: string,
    slot: number,
  ): string {
    const name = `${array}/${slot}/${member.createRevision}`;
    const board = boardOf(member.value);
    const beat = keys.get(`${this.#prefix}arrays/${array}/hb/${slot}`);
    const confirmations = beat?.modRevision ?? 0;
    const known = this.#sessions.get(name);
    if (known === undefined) {
      const epoch = member.createRevision;
      const seenAt = this.#newest;
      this.#sessions.set(name, { board, epoch, slot, confirmations, seenAt, goneAt: null });
      return name;
    }
    const isConfirmed = confirmations > known.confirmations;
    known.confirmations = confirmations;
    known.seenAt = this.#newest;
    // An older session of the board confirms while a newer one is there: two epochs of one board.
    if (isConfirmed)
      for (const other of this.#sessions.values())
        if (other.board === board && other.epoch > known.epoch && other.goneAt === null)
          this.#report.onProblem(
            `${board}: session ${known.epoch} confirms beside session ${other.epoch}`,
          );
    return name;
  }

  /** Create revisions of a board's own key only rise. */
  #seenLives(keys: readonly EtcdKey[]): void {
    for (const { key, createRevision } of keys) {
      const [, board] = /boards\/b\/([^/]+)$/.exec(key) ?? [];
      if (board === undefined) continue;
      const last = this.#lives.get(board) ?? 0;
      if (createRevision < last)
        this.#report.onProblem(`${board}: life ${createRevision} returned`);
      this.#lives.set(board, Math.max(last, createRevision));
    }
  }

  #seenGone(keys: ReadonlyMap<string, EtcdKey>, name: string, session: Session, now: number): void {
    const [array = ""] = name.split("/");
    if (session.goneAt === null) {
      session.goneAt = now;
      this.expulsions += 1;
    }
    const prefix = `${this.#prefix}arrays/${array}/`;
    const state = keys.get(`${prefix}slot/${session.slot}`)?.value ?? "";
    const isOver = /^(?:dead|recovering|free)\b/.test(state);
    if (!isOver && !state.startsWith("live")) return;
    // The slot may be another session's by now: then this one was recovered before.
    const later = keys.get(`${prefix}m/${session.slot}`);
    if (!isOver && (later === undefined || later.createRevision <= session.epoch)) return;
    if (state.startsWith("dead")) this.#checkFences(keys, prefix, session);
    this.#sessions.delete(name);
    this.fences += 1;
    this.#report.onFenced(session.board, session.goneAt - CERTAIN_MS, now);
  }

  /** A slot is declared dead when every board that exports members has acknowledged. */
  #checkFences(keys: ReadonlyMap<string, EtcdKey>, prefix: string, session: Session): void {
    for (const { key, value, createRevision } of keys.values()) {
      const [, exporter] = /boards\/b\/([^/]+)$/.exec(key) ?? [];
      if (exporter === undefined || value === "") continue;
      // A board whose life began after the session was over serves nobody of before.
      if (createRevision > session.seenAt) continue;
      const fence = keys.get(`${prefix}fd/${exporter}/${session.slot}`);
      if (Number(fence?.value ?? 0) >= session.epoch) continue;
      const what = `slot ${session.slot} (${session.board}, epoch ${session.epoch}) is dead`;
      const told = fence?.value ?? "nothing";
      this.#report.onProblem(`${what}, and ${exporter} has not acknowledged its fence (${told})`);
    }
  }
}

/** The board's name in a member record. */
const boardOf = (value: string): string => {
  try {
    const { node } = JSON.parse(value) as { readonly node?: string };
    return node ?? "";
  } catch {
    return "";
  }
};

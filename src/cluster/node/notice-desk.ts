/**
 * What the array has to carry out, one notice after the other. A new device is answered by the call
 * `new-disk-ack`, within a limit; everything else by `processed`, without one.
 */
import { assert } from "../../common/assert.ts";
import type { ClusterNotice } from "../../raid/cluster-port.ts";
import type { NodeEffect } from "./node-events.ts";

/** Source: md-cluster.c NEW_DEV_TIMEOUT. */
export const NEW_DISK_MS = 5000;
/** Most notices that wait: a message, and what follows from the end of each other node. */
const WAITING_MAX = 4 * 64;

interface Entry {
  readonly notice: ClusterNotice;
  /** `isDone`: false when the array refuses it: a new device that it does not see, a change. */
  readonly then: (isDone: boolean) => void;
}

export interface PendingNotice {
  readonly type: ClusterNotice["type"];
  readonly since: number;
}

export class NoticeDesk {
  readonly #emit: (effect: NodeEffect) => void;
  readonly #now: () => number;
  readonly #waiting: Entry[] = [];
  #current: (Entry & { readonly id: number; readonly since: number }) | null = null;
  #id = 0;
  /** The array does not run, or stops: it has no I/O that a notice could be about. */
  #isMuted = false;

  constructor(emit: (effect: NodeEffect) => void, now: () => number) {
    this.#emit = emit;
    this.#now = now;
  }

  get pending(): PendingNotice | null {
    if (this.#current === null) return null;
    const { notice, since } = this.#current;
    return { type: notice.type, since };
  }

  /** When the answer about a new device is due; null: nothing is. */
  get dueAt(): number | null {
    const current = this.#current;
    return current?.notice.type === "new-disk" ? current.since + NEW_DISK_MS : null;
  }

  tell(notice: ClusterNotice, then: (isDone: boolean) => void): void {
    assert(this.#waiting.length < WAITING_MAX, "too many notices wait");
    this.#waiting.push({ notice, then });
    this.#next();
  }

  /** Whether the notice was still waited for. */
  processed(id: number, isRefused = false): boolean {
    const current = this.#current;
    if (current === null || current.id !== id || current.notice.type === "new-disk") return false;
    this.#end(!isRefused);
    return true;
  }

  /** Whether a new device was still asked for. */
  acknowledged(isFound: boolean): boolean {
    if (this.#current?.notice.type !== "new-disk") return false;
    this.#end(isFound);
    return true;
  }

  /** Who has not found a device in time does not see it. */
  onTick(): void {
    const due = this.dueAt;
    if (due !== null && this.#now() >= due) this.#end(false);
  }

  /** From now on everything counts as carried out, what waits as well: the array is at rest. */
  mute(): void {
    this.#isMuted = true;
    if (this.#current !== null) this.#end(this.#current.notice.type !== "new-disk");
    this.#next();
  }

  #next(): void {
    while (this.#current === null) {
      const entry = this.#waiting.shift();
      if (entry === undefined) return;
      this.#id += 1;
      if (this.#isMuted) entry.then(entry.notice.type !== "new-disk");
      else {
        this.#current = { ...entry, id: this.#id, since: this.#now() };
        this.#emit({ type: "notice", id: this.#id, notice: entry.notice });
      }
    }
  }

  #end(isDone: boolean): void {
    const current = this.#current;
    this.#current = null;
    current?.then(isDone);
    this.#next();
  }
}

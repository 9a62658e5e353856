/**
 * What is to be done about sessions that are over: proof that they can write no more, the word that
 * says so, and the end of what they have in the lock manager.
 */
import type { LockOwner } from "../dlm/lock-resource.ts";
import type { HeldLock, MemberSession } from "../store/member-session-driver.ts";
import type { ViewDriver } from "../store/view-driver.ts";
import type { Exporters } from "./exporters-driver.ts";
import { isUnfenced, type Membership, seenAt } from "./membership.ts";

/** How long a node that joins waits for the proof of what nobody else sees to. */
const PATIENCE_MS = 60_000;

export interface GoneOptions {
  readonly session: MemberSession;
  readonly view: ViewDriver;
  /** Null: boards open the same disks. */
  readonly exporters: Exporters | null;
  /** As fenceTime gives it. */
  readonly waitMs: number;
  readonly membership: () => Membership;
  readonly purge: (resource: string, owner: LockOwner) => Promise<unknown>;
  readonly now: () => number;
  readonly pause: (ms: number) => Promise<void>;
  /** Until it is done; null: the session is over. */
  readonly insist: <T>(attempt: () => Promise<T | null>) => Promise<T | null>;
}

export class GoneSessions {
  readonly #options: GoneOptions;

  constructor(options: GoneOptions) {
    this.#options = options;
  }

  /** Milliseconds of our clock, as far as boards are concerned; Infinity: when they say so. */
  dueAt(membership: Membership, slot: number): number {
    const { exporters, view } = this.#options;
    const seen = seenAt(membership, slot);
    if (exporters === null || seen === undefined || !isUnfenced(seen)) return 0;
    return exporters.dueAt(seen, view.view.keys);
  }

  /** The slot is dead, and nothing in the lock manager is its session's any more. */
  async declare(gone: LockOwner): Promise<void> {
    const { session, insist, membership } = this.#options;
    await this.#prove(gone, () => {
      const seen = seenAt(membership(), gone.slot);
      return seen !== undefined && isUnfenced(seen) && seen.epoch === gone.epoch;
    });
    await this.#purge(await insist(() => session.declareDead(gone)));
  }

  /**
   * What earlier sessions of this slot have, and, once they can do no I/O any more, what sessions
   * have whose slots are free: nobody recovers those, and whoever joins takes their bits over.
   * Errors: CLUSTER_NOT_FENCED.
   */
  async purgeLeftovers(): Promise<void> {
    const { session, insist, pause, waitMs, now, exporters, view } = this.#options;
    const leftovers = await insist(() => session.leftovers());
    if (leftovers === null) return;
    await this.#purge(leftovers.own);
    if (leftovers.orphans.length === 0) return;
    await pause(waitMs);
    const until = now() + PATIENCE_MS;
    for (const { owner } of leftovers.orphans) {
      const isProven = await this.#prove(owner, () => now() < until);
      if (!isProven && !session.isOver) throw exporters?.refusal(owner, view.view.keys);
    }
    await this.#purge(leftovers.orphans);
  }

  /** True once other boards serve the session no more; false when that is not needed any more. */
  async #prove(gone: LockOwner, isNeeded: () => boolean): Promise<boolean> {
    const { exporters, view, insist } = this.#options;
    if (exporters === null) return true;
    const since = view.view.revision;
    const proof = await insist(async () => {
      if (!isNeeded()) return "late";
      return (await exporters.proves(gone, since)) ? "proven" : null;
    });
    return proof === "proven";
  }

  async #purge(locks: readonly HeldLock[] | null): Promise<void> {
    for (const { resource, owner } of locks ?? []) {
      if (this.#options.session.isOver) return;
      await this.#options.purge(resource, owner);
    }
  }
}

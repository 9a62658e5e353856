/**
 * What is to be done about sessions that are over: proof that they can write no more, the word that
 * says so, and the end of what they have in the lock manager.
 */
import type { LockOwner } from "../dlm/lock-resource.ts";
import type { HeldLock, MemberSession } from "../store/member-session-driver.ts";
import type { ViewDriver } from "../store/view-driver.ts";
import type { Exporters } from "./exporters-driver.ts";
import { isUnfenced, type Membership, seenAt } from "./membership.ts";

/** Longest pause between looks for a proof: all have said so by then, and writers wait. */
const PROOF_MS_MAX = 128;

export interface GoneOptions {
  readonly session: MemberSession;
  readonly view: ViewDriver;
  /** Null: boards open the same disks. */
  readonly exporters: Exporters | null;
  /** As fenceTime gives it. */
  readonly waitMs: number;
  readonly membership: () => Membership;
  readonly purge: (resource: string, owner: LockOwner) => Promise<unknown>;
  readonly pause: (ms: number) => Promise<void>;
  /** Until it is done, with pauses of `most` milliseconds at most; null: the session is over. */
  readonly insist: <T>(attempt: () => Promise<T | null>, most?: number) => Promise<T | null>;
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
   */
  async purgeLeftovers(): Promise<void> {
    const { session, insist, pause, waitMs, exporters } = this.#options;
    const leftovers = await insist(() => session.leftovers());
    if (leftovers === null) return;
    const { own, orphans, slots } = leftovers;
    await this.#purge(own);
    if (orphans.length === 0) return;
    if (exporters === null) {
      await pause(waitMs);
      await this.#purge(orphans);
      return;
    }
    // Other boards serve them until they are told to wait for: they end as every session does.
    for (const { owner } of orphans) await insist(() => session.reopen(owner, slots(owner.slot)));
  }

  /** Resolves when other boards serve the session no more, or when that is not needed any more. */
  async #prove(gone: LockOwner, isNeeded: () => boolean): Promise<void> {
    const { exporters, view, insist } = this.#options;
    if (exporters === null) return;
    const since = exporters.goneAt(gone, view.view.keys) ?? view.view.revision;
    const prove = async (): Promise<true | null> =>
      isNeeded() ? await exporters.proves(gone, since) : true;
    await insist(prove, PROOF_MS_MAX);
  }

  async #purge(locks: readonly HeldLock[] | null): Promise<void> {
    for (const { resource, owner } of locks ?? []) {
      if (this.#options.session.isOver) return;
      await this.#options.purge(resource, owner);
    }
  }
}

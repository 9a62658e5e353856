/**
 * Members that take turns under an EX lock, over an etcd that does everything it may do wrong. Each
 * adds one to the value block per turn; what they may rely on is checked as they go.
 */
import * as assert from "uvu/assert";
import { DLM_LKF_CONVERT, DLM_LKF_VALBLK } from "../../src/cluster/dlm/lock-flags.ts";
import { CR, EX, NL } from "../../src/cluster/dlm/lock-mode.ts";
import type { HeldLock } from "../../src/cluster/store/member-session-driver.ts";
import type { StoreClock } from "../../src/cluster/store/store-clock.ts";
import type { Prng } from "../../src/common/prng.ts";
import { Scheduler } from "../sim/scheduler.ts";
import { type EtcdFaults, FakeEtcd, NO_FAULTS } from "./fake-etcd.ts";
import { block, LockMember, numberIn } from "./lock-member.ts";

const FLAGS = DLM_LKF_CONVERT | DLM_LKF_VALBLK;
const TURNS_MAX = 60_000;

/** Timers that go off at a turn of the scheduler's choice. */
const turnClock = (scheduler: Scheduler): StoreClock => ({
  now: () => scheduler.turns,
  after: (_ms, act) => {
    let isDue = true;
    void scheduler.turn().then(() => {
      if (isDue) act();
    });
    return () => {
      isDue = false;
    };
  },
});

export interface StoryOptions {
  readonly members: number;
  readonly rounds: number;
  readonly faults: EtcdFaults;
}

export class LockStory {
  readonly etcd: FakeEtcd;
  readonly #scheduler: Scheduler;
  readonly #prng: Prng;
  readonly #clock: StoreClock;
  readonly #rounds: number;
  readonly #nodes: readonly string[];
  /** Who is in, between its grant and the call that gives up. */
  readonly #inside = new Set<LockMember>();
  readonly #alive = new Set<LockMember>();
  /** What the value block may hold: several while nobody knows whether a turn was completed. */
  #possible = new Set([0]);
  #isKept = false;
  completed = 0;
  lives = 0;

  constructor(prng: Prng, { members, rounds, faults }: StoryOptions) {
    this.#prng = prng;
    this.#scheduler = new Scheduler(prng.fork());
    this.#clock = turnClock(this.#scheduler);
    this.#rounds = rounds;
    this.etcd = new FakeEtcd(prng.fork(), this.#scheduler.turn, faults);
    this.#nodes = Array.from({ length: members }, (_, at) => `n${at}`);
  }

  /** Runs to the end; returns the number in the value block. */
  async run(): Promise<number> {
    let ended: { readonly error: unknown } | null = null;
    const story = this.#join("keeper")
      .then((keeper) => keeper.lock("r", NL))
      .then(
        () => {
          this.#isKept = true;
        },
        () => {
          // Its lease ended before it had the lock.
        },
      )
      .then(() => Promise.all(this.#nodes.map((node) => this.#live(node))))
      .then(() => this.#read())
      .finally(() => {
        for (const member of this.#alive) member.die();
      });
    const watched = story.then(
      () => {
        ended = { error: null };
      },
      (error: unknown) => {
        ended = { error };
      },
    );
    while (ended === null && this.#scheduler.turns < TURNS_MAX) await this.#scheduler.step();
    if (ended === null) throw new Error(`no end after ${TURNS_MAX} turns`);
    await watched;
    return await story;
  }

  async #join(node: string): Promise<LockMember> {
    this.lives += 1;
    for (;;) {
      try {
        const member = await LockMember.join({
          store: this.etcd.client(),
          prefix: "p/",
          node: `${node}.${this.lives}`,
          clock: this.#clock,
          random: () => this.#prng.below(1000) / 1000,
          slots: 64,
        });
        this.#alive.add(member);
        return member;
      } catch {
        // Its lease ended while it joined: again, with another one.
        await this.#scheduler.turn();
      }
    }
  }

  /** A node's lives until its rounds are done. */
  async #live(node: string): Promise<void> {
    let member = await this.#join(node);
    let id = 0;
    for (let round = 0; round < this.#rounds; ) {
      try {
        id += 1;
        await member.lock("r", NL, { id });
        for (let isKept = true; isKept && round < this.#rounds; round += 1) {
          await this.#takeTurn(member, id);
          isKept = this.#prng.chance(1, 2);
        }
        await member.unlock("r", { id });
      } catch (error) {
        if (!member.isExpelled) throw error;
        this.#inside.delete(member);
        this.#alive.delete(member);
        const gone = member.session.session;
        member.die();
        member = await this.#join(node);
        await this.#recover(member, gone);
      }
    }
  }

  async #takeTurn(member: LockMember, id: number): Promise<void> {
    const { lvb } = await member.lock("r", EX, { id, flags: FLAGS, lvb: block(0) });
    this.#inside.add(member);
    assert.is(this.#inside.size, 1, "two are in");
    const number = numberIn(lvb);
    // A resource that nobody has a lock on is forgotten; the keeper's lock is never purged.
    const isForgotten = number === 0 && !this.#isKept;
    assert.ok(isForgotten || this.#possible.has(number), `${number} was not written last`);
    await this.#scheduler.turn();
    assert.is(this.#inside.size, 1, "two are in");
    this.#inside.delete(member);
    const possible = new Set([number, number + 1]);
    this.#possible = possible;
    const { mode } = await member.lock("r", NL, { id, flags: FLAGS, lvb: block(number + 1) });
    assert.is(mode, NL);
    possible.delete(number);
    this.completed += 1;
  }

  /** Fencing is proven: the session that is over does nothing more. */
  async #recover(
    member: LockMember,
    gone: { readonly slot: number; readonly epoch: number },
  ): Promise<void> {
    for (let held: readonly HeldLock[] | null = null; held === null; ) {
      if (member.isExpelled) return this.#recoverLater(gone);
      held = await member.session.declareDead(gone).catch(() => null);
      for (const { resource, owner } of held ?? []) await member.locks.purge(resource, [owner]);
    }
    if (member.isExpelled) await this.#recoverLater(gone);
  }

  /** The recoverer died over it: its next life does both. */
  async #recoverLater(gone: { readonly slot: number; readonly epoch: number }): Promise<void> {
    const helper = await this.#join("helper");
    await this.#recover(helper, gone);
    helper.die();
    this.#alive.delete(helper);
  }

  async #read(): Promise<number> {
    this.etcd.faults = NO_FAULTS;
    const reader = await this.#join("reader");
    const { lvb } = await reader.lock("r", CR, { flags: DLM_LKF_VALBLK, lvb: block(0) });
    reader.die();
    return numberIn(lvb);
  }
}

/** A member of a lockspace kept in a cluster store, with calls that wait for their completion. */
import { once } from "node:events";
import type { LockMode } from "../../src/cluster/dlm/lock-mode.ts";
import type { AstNotification, CallResult } from "../../src/cluster/dlm/lock-operation.ts";
import { decodeLvb, encodeLvb, LVB_BYTES } from "../../src/cluster/dlm/lvb-text.ts";
import type { ClusterStore } from "../../src/cluster/store/cluster-store.ts";
import { joinCluster } from "../../src/cluster/store/join-driver.ts";
import { LockClient } from "../../src/cluster/store/lock-client-driver.ts";
import type { OwnCall } from "../../src/cluster/store/lock-events.ts";
import type { MemberSession } from "../../src/cluster/store/member-session-driver.ts";
import type { StoreClock } from "../../src/cluster/store/store-clock.ts";
import { StoreKeys } from "../../src/cluster/store/store-keys.ts";
import { ViewDriver } from "../../src/cluster/store/view-driver.ts";

export interface MemberOptions {
  readonly store: ClusterStore;
  readonly prefix: string;
  readonly node: string;
  readonly clock: StoreClock;
  readonly random?: () => number;
  readonly slots?: number;
  readonly leaseMs?: number;
  readonly confirmMs?: number;
}

export class LockMember {
  readonly session: MemberSession;
  readonly view: ViewDriver;
  readonly locks: LockClient;
  /** `resource: AST status` and `resource: BAST mode`, in order. */
  readonly log: string[] = [];
  readonly damaged: string[] = [];
  isExpelled = false;
  readonly asts: AstNotification[] = [];
  readonly #news = new EventTarget();

  private constructor(session: MemberSession, view: ViewDriver, options: MemberOptions) {
    this.session = session;
    this.view = view;
    const { store, prefix, clock, random = () => 0.5 } = options;
    const keys = new StoreKeys(prefix);
    this.locks = new LockClient({
      store,
      view,
      keys,
      session: session.session,
      clock,
      random,
      listener: {
        notify: (resource, notification) => {
          const what = notification.type === "ast" ? notification.status : notification.mode;
          this.log.push(`${resource}: ${notification.type.toUpperCase()} ${what}`);
          if (notification.type === "ast") this.asts.push(notification);
          this.#changed();
        },
        expelled: () => {
          this.isExpelled = true;
          this.#changed();
        },
        damaged: (resource) => {
          this.damaged.push(resource);
          this.#changed();
        },
      },
    });
  }

  static async join(options: MemberOptions): Promise<LockMember> {
    const { store, prefix, node, clock, random = () => 0.5 } = options;
    let expel = (): void => {};
    const view = new ViewDriver({ store, prefix, clock, random });
    const session = await joinCluster({
      store,
      view,
      keys: new StoreKeys(prefix),
      clock,
      random,
      member: { node, boot: "b", life: `${node}-${prefix}`, address: "", protocol: 1 },
      slots: options.slots ?? 8,
      leaseMs: options.leaseMs ?? 60_000,
      confirmMs: options.confirmMs ?? 60_000,
      listener: { confirmed: () => {}, expelled: () => expel(), restored: () => {} },
    });
    const member = new LockMember(session, view, options);
    expel = () => member.locks.expel();
    await view.start();
    return member;
  }

  get slot(): number {
    return this.session.session.slot;
  }

  /** What the call returned. */
  returned(resource: string, call: OwnCall): Promise<CallResult> {
    return new Promise((resolve) => this.locks.call(resource, call, resolve));
  }

  /** The completion of a call that must be accepted. */
  async done(resource: string, call: OwnCall): Promise<AstNotification> {
    const { promise, resolve } = Promise.withResolvers<number>();
    // The completion follows what the call returned: it is the next one of its lock from here on.
    this.locks.call(resource, call, (result) => {
      if (result.type === "accepted") resolve(this.asts.length);
      else resolve(-1);
    });
    const from = await promise;
    if (from < 0) throw new Error(`${resource}: the call was refused`);
    const find = () => this.asts.slice(from).find(({ lock }) => lock.id === call.id);
    await this.until(() => find() !== undefined || this.isExpelled);
    const ast = find();
    if (ast === undefined) throw new Error("expelled");
    return ast;
  }

  lock(resource: string, mode: LockMode, more: Partial<OwnCall> = {}): Promise<AstNotification> {
    return this.done(resource, lockCall(mode, more));
  }

  unlock(resource: string, more: Partial<OwnCall> = {}): Promise<AstNotification> {
    return this.done(resource, { type: "unlock", id: 1, flags: 0, lvb: null, ...more } as OwnCall);
  }

  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await once(this.#news, "news");
  }

  /** Ends as a board that dies does: unlocks and leaves nothing. */
  die(): void {
    this.session.stop();
    this.locks.close();
    this.view.close();
  }

  #changed(): void {
    this.#news.dispatchEvent(new Event("news"));
  }
}

/** A value block with a number in it. */
export const block = (number: number): string => {
  const bytes = new Uint8Array(LVB_BYTES);
  new DataView(bytes.buffer).setUint32(0, number);
  return encodeLvb(bytes);
};

/** The number in it; 0 in a block that was never written. */
export const numberIn = (lvb: string | null): number =>
  lvb === null ? 0 : new DataView(decodeLvb(lvb).buffer).getUint32(0);

/** A lock call of lock 1 with BASTs. */
export const lockCall = (mode: LockMode, more: Partial<OwnCall> = {}): OwnCall =>
  ({ type: "lock", id: 1, mode, flags: 0, lvb: null, hasBast: true, ...more }) as OwnCall;

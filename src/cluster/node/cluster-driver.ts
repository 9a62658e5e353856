/**
 * Joins an array's cluster over any cluster store, and carries out what the node's machine
 * (cluster-node.ts) decides. Everything that waits or talks is here; clock and randomness are
 * given.
 */
import { assertNever } from "../../common/assert.ts";
import type { CodedError } from "../../common/errors.ts";
import type { ClusterCall } from "../../raid/cluster-port.ts";
import { DLM_LKF_CANCEL } from "../dlm/lock-flags.ts";
import { MODE_NAMES } from "../dlm/lock-mode.ts";
import type { LockNotification } from "../dlm/lock-operation.ts";
import type { LockOwner } from "../dlm/lock-resource.ts";
import { toBitmapSlot } from "../dlm/slot-table.ts";
import { doOthersTakePart } from "../md/channel-view.ts";
import type { ExchangeEffect } from "../md/message-exchange.ts";
import type { KeyChange } from "../store/cluster-store.ts";
import { joinCluster } from "../store/join-driver.ts";
import { LockClient } from "../store/lock-client-driver.ts";
import type { MemberSession } from "../store/member-session-driver.ts";
import { fenceTime, PERMIT_MS } from "../store/permission.ts";
import { RACE_MS_MAX, retryDelay } from "../store/retry-delay.ts";
import { keyOf } from "../store/revisioned-map.ts";
import { StoreKeys } from "../store/store-keys.ts";
import { type NewsSource, ViewDriver } from "../store/view-driver.ts";
import { ChannelDriver } from "./channel-driver.ts";
import type { ClusterOptions, JoinedCluster } from "./cluster-member.ts";
import { ClusterNode } from "./cluster-node.ts";
import { snapshot } from "./cluster-snapshot.ts";
import type { ClusterView } from "./cluster-view.ts";
import { Copies } from "./copies-driver.ts";
import { refuseDamaged, withKey } from "./damaged-keys.ts";
import { expelled } from "./expelled.ts";
import { Exporters } from "./exporters-driver.ts";
import { FenceWatch } from "./fence-watch.ts";
import { GoneSessions } from "./gone-driver.ts";
import { isExchangeLock, LiteralDriver } from "./literal-driver.ts";
import { isUnfenced, type Membership, readMembership } from "./membership.ts";
import type { NodeEffect, NodeEvent } from "./node-events.ts";
import { Trace } from "./trace.ts";

/** How long a start waits for a slot that is being recovered. Choice: fencing takes 7 to 17 s. */
const PATIENCE_MS = 60_000;
/** Longest pause while the store does not answer. */
const AWAY_MS_MAX = 1000;

/**
 * Errors: CLUSTER_NO_SLOT when the array has no bitmap for one more node, CLUSTER_EXPELLED when the
 * others have gone on without this node before it took part, CLUSTER_NOT_FENCED when a session that
 * nobody else sees to may still reach disks of other boards, CLUSTER_BAD_CHANNEL or
 * DLM_BAD_RESOURCE when what it has to read first is damaged, and those of the store.
 */
export const joinArray = async (options: ClusterOptions): Promise<JoinedCluster> => {
  const { store, prefix, clock, random, member, nodes } = options;
  const permitMs = options.permitMs ?? PERMIT_MS;
  const keys = new StoreKeys(prefix);
  const view = new ViewDriver({ store, prefix, clock, random });
  const waitMs = fenceTime(permitMs);
  const fences = new FenceWatch(keys, waitMs, clock.now());
  const watched = view.subscribe((changes, source) => fences.see(changes, source, clock.now()));
  let driver: ClusterDriver | null = null;
  const onNews = (): void => driver?.boardsChanged();
  const { boards } = options;
  const exporters =
    boards === undefined ? null : new Exporters({ ...options, keys, boards, waitMs, onNews });
  let isExpelled = false;
  let gateUntil = 0;
  try {
    await Promise.all([view.start(), exporters?.start()]);
    refuseDamaged(keys, view.view.keys);
    const session = await joinCluster({
      ...options,
      view,
      keys,
      slots: nodes,
      member,
      permitMs,
      patienceMs: options.patienceMs ?? PATIENCE_MS,
      whyNotFenced: async (gone, since) => {
        if (exporters === null) return null;
        const isProven = await exporters.proves(gone, since).catch(() => null);
        return isProven === true ? null : exporters.refusal(gone, view.view.keys);
      },
      listener: {
        confirmed: (sentAt) => {
          // A late answer takes nothing back.
          if (sentAt + permitMs <= gateUntil) return;
          gateUntil = sentAt + permitMs;
          options.listener.gate(gateUntil);
        },
        expelled: () => {
          isExpelled = true;
          driver?.lose("the others have removed this node");
        },
        restored: (key, message) => options.listener.happened({ type: "damaged", key, message }),
      },
    });
    driver = new ClusterDriver(options, { keys, view, fences, exporters, session });
    if (isExpelled) driver.lose("the others have removed this node");
    await driver.join();
    return driver;
  } catch (error) {
    driver?.stop();
    watched();
    view.close();
    exporters?.close();
    throw error;
  }
};

interface Parts {
  readonly keys: StoreKeys;
  readonly view: ViewDriver;
  readonly fences: FenceWatch;
  /** Null: boards open the same disks. */
  readonly exporters: Exporters | null;
  readonly session: MemberSession;
}

class ClusterDriver implements JoinedCluster {
  readonly slot: number;
  readonly epoch: number;
  readonly copies: Copies;
  readonly #options: ClusterOptions;
  readonly #parts: Parts;
  readonly #node: ClusterNode;
  readonly #trace = new Trace();
  readonly #locks: LockClient;
  readonly #gone: GoneSessions;
  readonly #exchange: ChannelDriver | LiteralDriver;
  readonly #unsubscribe: () => void;
  readonly #joined = Promise.withResolvers<void>();
  readonly #entered = Promise.withResolvers<void>();
  readonly #events: NodeEvent[] = [];
  readonly #timers = new Set<() => void>();
  #isStepping = false;
  #isOver = false;
  #cancelTick: (() => void) | null = null;
  /** In step with the view: whoever is gone there is gone here. */
  #membership: Membership;
  /** Of the message in flight: its number and when it was first seen. */
  #inFlight = { seq: 0, since: 0 };

  constructor(options: ClusterOptions, parts: Parts) {
    const { store, clock, random, nodes, protocol = "channel" } = options;
    const { keys, view, session } = parts;
    this.#options = options;
    this.#parts = parts;
    const me = session.session;
    this.slot = toBitmapSlot(me.slot);
    this.epoch = me.epoch;
    this.#membership = readMembership(keys, view.view, nodes);
    const isLiteral = protocol === "literal";
    this.#node = new ClusterNode({ me, nodes, isLiteral, trace: this.#trace });
    this.#locks = new LockClient({
      store,
      view,
      keys,
      session: me,
      clock,
      random,
      listener: {
        notify: (resource, notification) => this.#notify(resource, notification),
        expelled: () => this.lose("the others have removed this node"),
        damaged: (resource, error) => this.#damaged(`lk/${resource}`, error),
      },
    });
    this.#gone = new GoneSessions({
      ...parts,
      waitMs: fenceTime(options.permitMs ?? PERMIT_MS),
      membership: () => this.#membership,
      purge: (resource, owner) => this.#locks.purge(resource, [owner]),
      pause: (ms) => this.#pause(ms),
      insist: (attempt, most) => this.#insist(attempt, most),
    });
    this.copies = new Copies({ store, ...parts, insist: (attempt) => this.#insist(attempt) });
    const tell = (effect: ExchangeEffect): void => this.#feed({ type: "exchange", effect });
    this.#exchange = isLiteral
      ? new LiteralDriver({
          locks: this.#locks,
          session: me,
          tell,
          note: (text) => this.#note("lock", text),
          broken: (why) => this.lose(why),
        })
      : new ChannelDriver({
          store,
          view,
          keys,
          session: me,
          unfenced: () => this.#unfenced(),
          pause: (attempts) => this.#pause(retryDelay(attempts, RACE_MS_MAX, random())),
          committed: () => this.#insist(() => session.confirm()),
          tell,
          damaged: (error) => this.#damaged("ch", error),
        });
    this.#unsubscribe = view.subscribe((changes, source) => this.#see(changes, source));
    // Refused before anybody waits for it: `join` tells.
    this.#joined.promise.catch(() => {});
  }

  /** Errors: CLUSTER_EXPELLED. */
  async join(): Promise<void> {
    await this.#gone.purgeLeftovers();
    this.#lookAtMembers();
    this.#lookAtMessages();
    if (this.#exchange instanceof LiteralDriver) this.#exchange.begin();
    await this.#joined.promise;
  }

  get isRunElsewhere(): boolean {
    const { me } = this.#node.ctx;
    if (!(this.#exchange instanceof ChannelDriver))
      return this.#membership.slots.some(({ type, slot }) => type === "live" && slot !== me.slot);
    const { view } = this.#exchange;
    return view !== null && doOthersTakePart(view, me);
  }

  start(): Promise<void> {
    this.#feed({ type: "start" });
    return this.#entered.promise;
  }

  call(id: number, call: ClusterCall): void {
    this.#feed({ type: "call", id, call });
  }

  processed(id: number, isRefused = false): void {
    this.#feed({ type: "processed", id, isRefused });
  }

  view(): ClusterView {
    const { keys, view, fences, exporters } = this.#parts;
    const channel = this.#exchange instanceof ChannelDriver ? this.#exchange.view : null;
    return snapshot({
      node: this.#node,
      keys,
      found: view.view.keys,
      channel,
      messageSince: this.#inFlight.since,
      fencedAt: (slot) => fences.dueAt(slot),
      exportersOf: (gone) => exporters?.awaited(gone, view.view.keys) ?? [],
      heardAt: (slot) => fences.heardAt(slot),
      now: this.#options.clock.now(),
      trace: this.#trace,
    });
  }

  /** The node is out, as somebody noticed. */
  lose(reason: string): void {
    this.#feed({ type: "lost", reason });
  }

  stop(): void {
    this.#isOver = true;
    this.#cancelTick?.();
    for (const cancel of this.#timers) cancel();
    this.#unsubscribe();
    this.#parts.session.stop();
    this.#exchange.close();
    this.#locks.close();
    this.#parts.view.close();
    this.#parts.exporters?.close();
    this.#joined.reject(expelled());
    this.#entered.resolve();
  }

  /** One event at a time, to its end: what an effect causes comes after the others. */
  #feed(event: NodeEvent): void {
    if (this.#isOver && event.type !== "call") return;
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    const { clock } = this.#options;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift())
      for (const effect of this.#node.step(next, clock.now())) this.#carryOut(effect);
    this.#isStepping = false;
    if (!this.#isOver) this.#armTick();
  }

  #carryOut(effect: NodeEffect): void {
    const { listener } = this.#options;
    switch (effect.type) {
      case "exchange":
        return this.#exchange.call(effect.call);
      case "lock":
      case "unlock":
        return this.#lock(effect);
      case "joined":
        return this.#joined.resolve();
      case "entered":
        return void this.#enter();
      case "answer":
        return listener.answer(effect.id, effect.answer);
      case "notice":
        return listener.notice(effect.id, effect.notice);
      case "state":
        listener.state(effect.state);
        return effect.state.type === "expelled" ? this.stop() : undefined;
      case "happened":
        return listener.happened(effect.happening);
      default:
        return void this.#work(effect);
    }
  }

  /** Boards that serve its members are told first: see peers/fence-trust.ts. */
  async #enter(): Promise<void> {
    const { session } = this.#parts;
    if (this.#options.boards !== undefined) await this.#insist(() => session.enter());
    this.#entered.resolve();
  }

  /** What takes transactions of its own; it ends when the session does. */
  async #work(
    effect: Extract<
      NodeEffect,
      {
        type:
          | "declare-dead"
          | "begin-recovery"
          | "free-slot"
          | "end-pass"
          | "leave-session"
          | "put-newest"
          | "give-events";
      }
    >,
  ): Promise<void> {
    const { session } = this.#parts;
    switch (effect.type) {
      case "declare-dead":
        await this.#gone.declare(effect);
        return this.#feed({ type: "declared", slot: effect.slot, epoch: effect.epoch });
      case "begin-recovery": {
        const { slot } = effect;
        const isMine = await this.#insist(() => session.beginRecovery(slot));
        // Whoever declared it dead may have died before it had purged its locks.
        if (isMine === true) await this.#gone.declare(effect);
        return this.#feed({ type: "recovery-begun", slot, isMine: isMine === true });
      }
      case "free-slot": {
        const { slot, epoch } = effect;
        await this.#insist(() => session.freeSlot(slot, epoch));
        return this.#feed({ type: "slot-freed", slot });
      }
      case "put-newest":
        // When the session is over nobody is told of anything.
        await this.copies.raise(effect.events).catch(() => {});
        return this.#feed({ type: "newest-put" });
      case "give-events": {
        const { id } = effect;
        // When the session is over nothing is written any more.
        const events = await this.copies.give(effect.events).catch(() => effect.events);
        return this.#feed({ type: "events-given", id, events });
      }
      case "end-pass":
        await this.#insist(() => session.endPass(effect.revision));
        return this.#feed({ type: "pass-ended" });
      case "leave-session":
        // Unknown or not done: the lease ends, and the others take this node for dead.
        // What a board still has at its disks for this node, only that board knows.
        await session.leave(effect.isClean, this.#options.boards === undefined).catch(() => {});
        this.#feed({ type: "session-left" });
        return this.stop();
      default:
        return assertNever(effect, "effect");
    }
  }

  /** Until it is done: the store may be away for a while. Null: the session is over. */
  async #insist<T>(attempt: () => Promise<T | null>, most = AWAY_MS_MAX): Promise<T | null> {
    for (let count = 1; !this.#isOver; count += 1) {
      try {
        const result = await attempt();
        if (result !== null) return result;
      } catch {
        // Unknown, or not done: each of these transactions is right to repeat.
      }
      await this.#pause(retryDelay(count, most, this.#options.random()));
    }
    return null;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, () => {
        this.#timers.delete(end);
        resolve();
      });
      const end = (): void => {
        cancel();
        resolve();
      };
      this.#timers.add(end);
      if (this.#isOver) end();
    });
  }

  #lock(effect: Extract<NodeEffect, { type: "lock" | "unlock" }>): void {
    const { resource, flags } = effect;
    if (effect.type === "lock") {
      const { mode, lvb } = effect;
      this.#note("lock", `${resource} ${MODE_NAMES[mode]}`);
      const call = { type: "lock", id: 1, mode, flags, lvb, hasBast: false } as const;
      this.#locks.call(resource, call, (result) => {
        if (result.type === "refused") this.lose(`the lock ${resource} was refused: ${result.why}`);
      });
      return;
    }
    this.#locks.call(resource, { type: "unlock", id: 1, flags, lvb: null }, (result) => {
      const isGone = result.type === "refused" && (flags & DLM_LKF_CANCEL) === 0;
      if (isGone) this.#feed({ type: "ast", resource, status: "EUNLOCK", lvb: null });
    });
  }

  #notify(resource: string, notification: LockNotification): void {
    const { type } = notification;
    if (this.#exchange instanceof LiteralDriver && isExchangeLock(resource)) {
      const what = type === "ast" ? notification.status : MODE_NAMES[notification.mode];
      this.#note(type, `${resource} ${what}`);
      this.#exchange.notify(resource, notification);
    } else if (type === "ast") {
      const { status, lvb } = notification;
      this.#feed({ type: "ast", resource, status, lvb });
    }
  }

  #see(changes: readonly KeyChange[], source: NewsSource): void {
    const { keys } = this.#parts;
    const isAbout = (change: KeyChange): boolean => {
      const key = keyOf(change);
      const prefixes = [keys.members, keys.slots, keys.passes, keys.fences];
      return prefixes.some((prefix) => key.startsWith(prefix));
    };
    const isListing = source === "listing";
    const isMembers = isListing || changes.some(isAbout);
    if (isMembers) this.#lookAtMembers();
    const isLiteral = this.#exchange instanceof LiteralDriver;
    if (!isLiteral && (isMembers || this.#exchange.concerns(changes))) this.#lookAtMessages();
  }

  /** Other boards came, went or confirmed. */
  boardsChanged(): void {
    if (!this.#isOver && this.#unfenced().length > 0) this.#lookAtMembers();
  }

  #lookAtMembers(): void {
    const { keys, view, fences } = this.#parts;
    const membership = readMembership(keys, view.view, this.#options.nodes);
    this.#membership = membership;
    const fencedAt = (slot: number): number =>
      Math.max(fences.dueAt(slot), this.#gone.dueAt(membership, slot));
    this.#feed({ type: "membership", membership, fencedAt });
  }

  #lookAtMessages(): void {
    if (!(this.#exchange instanceof ChannelDriver)) return;
    this.#exchange.look();
    const seq = this.#exchange.view?.record.seq ?? 0;
    if (seq !== this.#inFlight.seq) this.#inFlight = { seq, since: this.#options.clock.now() };
  }

  /** Until it is declared dead, a node that is gone may still write. */
  #unfenced(): readonly LockOwner[] {
    return this.#membership.slots.filter(isUnfenced);
  }

  #armTick(): void {
    this.#cancelTick?.();
    this.#cancelTick = null;
    const { clock } = this.#options;
    const { wakeAt } = this.#node;
    if (wakeAt === null) return;
    this.#cancelTick = clock.after(Math.max(1, wakeAt - clock.now()), () => {
      this.#cancelTick = null;
      this.#feed({ type: "tick" });
    });
  }

  /** Who takes no part yet would wait without a word: it is refused, or out, and begins anew. */
  #damaged(key: string, error: CodedError): void {
    const { message } = error;
    this.#options.listener.happened({ type: "damaged", key, message });
    const { phase } = this.#node.ctx;
    if (phase === "joining") this.#joined.reject(withKey(key, error));
    else if (phase === "joined" || phase === "probing") this.lose(withKey(key, error).message);
  }

  #note(what: "lock" | "ast" | "bast", text: string): void {
    this.#trace.add(this.#options.clock.now(), what, text);
  }
}

/**
 * One node of an array's cluster: answers the array's calls and tells it what the others do, over
 * locks, messages and the membership. Pure: events in, effects out, to be carried out in their
 * order; each event belongs to a moment of the node's clock.
 */
import { assert, assertNever } from "../../common/assert.ts";
import type { ClusterCall } from "../../raid/cluster-port.ts";
import { CR, PW } from "../dlm/lock-mode.ts";
import { toBitmapSlot } from "../dlm/slot-table.ts";
import { NO_NEW_DEV } from "../md/lock-names.ts";
import type { ExchangeCall, ExchangeEffect } from "../md/message-exchange.ts";
import type { Session } from "../store/store-keys.ts";
import { BitmapCalls } from "./bitmap-calls.ts";
import { Departure } from "./departure.ts";
import { HoldCalls } from "./hold-calls.ts";
import { process } from "./incoming.ts";
import { LockDesk } from "./lock-desk.ts";
import { type Membership, nodeName, nodeNames, seenAt } from "./membership.ts";
import { MessageDesk, messageName } from "./message-desk.ts";
import {
  answer,
  bitmapLock,
  CALLS_MAX,
  EMPTY_BLOCK,
  mustConvert,
  type NodeContext,
  note,
  OK,
  rangeBlock,
  refuse,
  tell,
} from "./node-context.ts";
import type { NodeEffect, NodeEvent } from "./node-events.ts";
import { NoticeDesk } from "./notice-desk.ts";
import { readRanges, takeAbsent } from "./probe.ts";
import { Recoveries } from "./recovery.ts";
import { SyncCalls } from "./sync-calls.ts";
import type { Trace } from "./trace.ts";

export interface NodeOptions {
  readonly me: Session;
  /** Bitmaps that the array has. */
  readonly nodes: number;
  readonly isLiteral: boolean;
  readonly trace: Trace;
}

const NOBODY: Membership = { known: [], slots: [], passes: [] };

export class ClusterNode {
  readonly ctx: NodeContext;
  readonly recoveries: Recoveries;
  readonly #sync: SyncCalls;
  readonly #holds: HoldCalls;
  readonly #bitmaps: BitmapCalls;
  readonly #departure: Departure;
  #effects: NodeEffect[] = [];

  constructor({ me, nodes, isLiteral, trace }: NodeOptions) {
    const emit = (effect: NodeEffect): void => void this.#effects.push(effect);
    const now = (): number => this.ctx.now;
    this.ctx = {
      me,
      nodes,
      isLiteral,
      phase: "joining",
      now: 0,
      membership: NOBODY,
      fencedAt: () => 0,
      locks: new LockDesk(emit, now),
      messages: new MessageDesk((call) => this.#send(call), now),
      notices: new NoticeDesk(emit, now),
      trace,
      calls: new Map(),
      ranges: new Map(),
      restsFor: null,
      takesAbsent: false,
      emit,
      doubt: (session) => this.recoveries.doubt(session),
      lose: (reason) => this.#lose(reason),
    };
    this.#sync = new SyncCalls(this.ctx);
    this.#holds = new HoldCalls(this.ctx);
    this.#bitmaps = new BitmapCalls(this.ctx);
    this.recoveries = new Recoveries(this.ctx, this.#sync, () => this.#bitmaps.areHeld);
    this.#departure = new Departure(this.ctx, this.#sync);
  }

  /** Milliseconds of the clock at which `tick` is due at the latest; null: never. */
  get wakeAt(): number | null {
    const dues = [this.ctx.notices.dueAt, this.recoveries.wakeAt];
    return dues.reduce((a, b) => (a === null || (b !== null && b < a) ? b : a), null);
  }

  /** A node that is out stays as it is, whatever comes. */
  step(event: NodeEvent, now: number): readonly NodeEffect[] {
    this.#effects = [];
    const { ctx } = this;
    ctx.now = now;
    if (ctx.phase === "lost" || ctx.phase === "left") this.#afterwards(event);
    else {
      this.#take(event);
      if (!isOut(ctx)) this.recoveries.pump();
    }
    return this.#effects;
  }

  #send(call: ExchangeCall): void {
    if (call.type === "send")
      note(this.ctx, "message", `${messageName(call.message.type)} is sent`);
    this.#effects.push({ type: "exchange", call });
  }

  #take(event: NodeEvent): void {
    const { ctx } = this;
    switch (event.type) {
      case "start":
        this.#start();
        break;
      case "call":
        this.#call(event.id, event.call);
        break;
      case "processed":
        ctx.notices.processed(event.id, event.isRefused === true);
        break;
      case "exchange":
        this.#exchange(event.effect);
        break;
      case "ast":
        note(ctx, "ast", `${event.resource} ${event.status}`);
        ctx.locks.onAst(event.resource, event);
        break;
      case "membership":
        this.#see(event);
        break;
      case "declared":
        this.recoveries.onDeclared(event.slot);
        break;
      case "recovery-begun":
        this.recoveries.onBegun(event.slot, event.isMine);
        break;
      case "slot-freed":
        this.recoveries.onFreed(event.slot);
        break;
      case "newest-put":
        this.#holds.onNewestPut();
        break;
      case "events-given":
        answer(this.ctx, event.id, { ok: true, events: event.events });
        break;
      case "pass-ended":
        this.recoveries.onPassEnded();
        break;
      case "session-left":
        this.#departure.onSessionLeft();
        break;
      case "lost":
        this.#lose(event.reason);
        break;
      case "tick":
        ctx.notices.onTick();
        break;
      default:
        assertNever(event, "event");
    }
  }

  /** Who is out may leave, and is asked for nothing else. */
  #afterwards(event: NodeEvent): void {
    if (event.type === "call" && event.call.type === "leave")
      this.#effects.push({ type: "answer", id: event.id, answer: OK });
  }

  #call(id: number, call: ClusterCall): void {
    const { ctx } = this;
    if (ctx.phase === "leaving") return;
    assert(ctx.calls.size < CALLS_MAX, `${ctx.calls.size} calls of the array wait already`);
    assert(!ctx.calls.has(id), `a call with the number ${id} waits already`);
    ctx.calls.set(id, { call, since: ctx.now });
    note(ctx, "call", call.type);
    this.#dispatch(id, call);
  }

  #dispatch(id: number, call: ClusterCall): void {
    const { ctx } = this;
    const ok = (): void => answer(ctx, id, OK);
    switch (call.type) {
      case "metadata-update-start":
        return this.#holds.updateStart(id);
      case "outrun":
        return ctx.emit({ type: "give-events", id, events: call.events });
      case "metadata-update-finish":
        return this.#holds.updateFinish(id, call);
      case "metadata-update-cancel":
        return this.#holds.updateCancel(id);
      case "add-new-disk-start":
        return this.#holds.addNewDisk(id, call);
      case "add-new-disk-finish":
        // The metadata update that follows tells the others what came of it.
        return ok();
      case "new-disk-ack":
        ctx.notices.acknowledged(call.isFound);
        return ok();
      case "resync-start":
      case "resync-info-update":
      case "resync-finish":
        return this.#sync.call(id, call);
      case "remove-disk":
        return ctx.messages.send({ type: "remove", deviceNumber: call.deviceNumber }, ok);
      case "gather-bitmaps":
        return ctx.messages.send({ type: "re-add", deviceNumber: call.deviceNumber }, ok);
      case "bitmap-resize":
        // Who rests is not asked to rest: an update ends that change first, whoever makes it.
        if (ctx.messages.areOthersAtRest)
          return refuse(ctx, id, "CLUSTER_NODE_BUSY", "an interrupted change is not ended yet");
        return ctx.messages.send(call, (ack) => {
          ctx.messages.othersRest();
          if (!ack.isRefused) return ok();
          const who = nodeNames(ctx.membership, ack.refusedBy);
          refuse(ctx, id, "CLUSTER_NODE_BUSY", `${who} cannot come to rest just now`);
        });
      case "change-capacity":
        return ctx.messages.send({ type: "change-capacity" }, ok);
      case "lock-all-bitmaps":
        return this.#bitmaps.lockAll(id, call.isNew === true);
      case "unlock-all-bitmaps":
        return this.#bitmaps.unlockAll(id);
      case "leave":
        return this.#departure.begin(id, call.needsSync);
      default:
        return assertNever(call, "call");
    }
  }

  #exchange(effect: ExchangeEffect): void {
    const { ctx } = this;
    switch (effect.type) {
      case "joined":
        this.#joined();
        break;
      case "granted":
        ctx.messages.onGranted(effect.id);
        break;
      case "process":
        process(ctx, effect.envelope);
        break;
      case "acknowledged":
        note(ctx, "message", `${effect.seq} is acknowledged by all`);
        ctx.messages.onAcknowledged(effect);
        break;
      case "ignored": {
        const { origin, message } = effect.envelope;
        const code = message.type === "unknown" ? message.code : 0;
        tell(ctx, { type: "ignored", slot: toBitmapSlot(origin.slot), code });
        break;
      }
      case "taking-over": {
        const { origin, message } = effect.envelope;
        const name = messageName(message.type);
        tell(ctx, { type: "taking-over", slot: toBitmapSlot(origin.slot), message: name });
        break;
      }
      case "left":
        this.#departure.onLeft();
        break;
      case "lost":
        this.#lose(`${effect.reason}: ${effect.why}`);
        break;
      default:
        assertNever(effect, "effect");
    }
  }

  /**
   * It counts as a receiver. The order of the locks is md-cluster's: no-new-dev, the own bitmap for
   * life, with no range in it, resync.
   */
  #joined(): void {
    const { ctx } = this;
    const own = bitmapLock(ctx.me.slot);
    const lockBitmap = (): void =>
      mustConvert(ctx, own, PW, { lvb: EMPTY_BLOCK }, () =>
        mustConvert(ctx, own, PW, { lvb: rangeBlock(null) }, () => {
          ctx.phase = "joined";
          ctx.emit({ type: "joined" });
          tell(ctx, { type: "joined", slot: toBitmapSlot(ctx.me.slot) });
        }),
      );
    if (ctx.isLiteral) lockBitmap();
    else mustConvert(ctx, NO_NEW_DEV, CR, {}, lockBitmap);
  }

  #start(): void {
    const { ctx } = this;
    assert(ctx.phase === "joined", `start while ${ctx.phase}`);
    ctx.phase = "probing";
    readRanges(ctx, () => {
      if (ctx.phase !== "probing") return;
      ctx.phase = "entered";
      ctx.takesAbsent = true;
      ctx.emit({ type: "exchange", call: { type: "enter" } });
      takeAbsent(
        ctx,
        () => this.#sync.oweAnother(),
        () => {
          ctx.takesAbsent = false;
          ctx.emit({ type: "entered" });
          tell(ctx, { type: "entered" });
        },
      );
    });
  }

  #see({ membership, fencedAt }: Extract<NodeEvent, { type: "membership" }>): void {
    const { ctx } = this;
    const before = ctx.membership;
    ctx.membership = membership;
    ctx.fencedAt = fencedAt;
    for (const now of membership.slots) {
      const was = seenAt(before, now.slot);
      if (was?.type === now.type) continue;
      note(ctx, "member", `slot ${toBitmapSlot(now.slot)} is ${now.type}`);
      const slot = toBitmapSlot(now.slot);
      if (was?.type === "live" && now.type === "gone")
        tell(ctx, { type: "node-lost", slot, node: was.member.node });
      if (now.type === "live" && was !== undefined)
        tell(ctx, { type: "node-joined", slot, node: now.member.node });
      // Of its own slot its session tells when it has put it right.
      if (now.type === "damaged" && now.slot !== ctx.me.slot)
        tell(ctx, { type: "damaged", key: now.key, message: `${nodeName(membership, now.slot)}` });
    }
  }

  #lose(reason: string): void {
    const { ctx } = this;
    if (isOut(ctx)) return;
    const isLeaving = ctx.phase === "leaving";
    ctx.phase = "lost";
    // What waits is not answered: nobody may take it for done.
    ctx.emit({ type: "state", state: { type: "expelled", reason } });
    if (isLeaving) this.#departure.onLost();
    tell(ctx, { type: "expelled", reason });
  }
}

const isOut = ({ phase }: NodeContext): boolean => phase === "lost" || phase === "left";

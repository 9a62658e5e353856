/** What the parts of a node's machine share. */
import type { ClusterAnswer, ClusterCall } from "../../raid/cluster-port.ts";
import { encodeLvb, LVB_BYTES } from "../dlm/lvb-text.ts";
import { toBitmapSlot } from "../dlm/slot-table.ts";
import { bitmapLockName } from "../md/lock-names.ts";
import { encodeResyncRange, type ResyncRange } from "../md/resync-range.ts";
import type { Session } from "../store/store-keys.ts";
import type { ClusterHappening, TraceEntry } from "./cluster-view.ts";
import type { LockDesk } from "./lock-desk.ts";
import type { Membership } from "./membership.ts";
import type { MessageDesk } from "./message-desk.ts";
import type { NodeEffect } from "./node-events.ts";
import type { NoticeDesk } from "./notice-desk.ts";
import type { Trace } from "./trace.ts";

/** Most calls of the array that wait for their answers. Choice: one of each kind, and then some. */
export const CALLS_MAX = 64;

export type NodePhase =
  /** Not counted yet. */
  | "joining"
  /** Counted, with its locks; the array machine does not run yet. */
  | "joined"
  /** Looks at the slots of others. */
  | "probing"
  | "entered"
  | "leaving"
  | "left"
  | "lost";

export interface WaitingCall {
  readonly call: ClusterCall;
  readonly since: number;
}

export interface NodeContext {
  readonly me: Session;
  readonly nodes: number;
  /** Whether the messages' protocol has `no-new-dev` in its own hands. */
  readonly isLiteral: boolean;
  phase: NodePhase;
  /** Milliseconds of the node's clock, of the event under way. */
  now: number;
  membership: Membership;
  fencedAt: (slot: number) => number;
  readonly locks: LockDesk;
  readonly messages: MessageDesk;
  readonly notices: NoticeDesk;
  readonly trace: Trace;
  readonly calls: Map<number, WaitingCall>;
  /** What other nodes resync, by DLM slot, as the array was told, and which session does. */
  readonly ranges: Map<number, ResyncRange & { readonly epoch: number }>;
  /**
   * For whose change of the array as a whole this node rests: until the update that ends it, or the
   * end of that node, its array can do nothing else. Null: it does not rest.
   */
  restsFor: Session | null;
  /** It takes over the bitmaps that nobody has, and cannot rest before that is done. */
  takesAbsent: boolean;
  emit(effect: NodeEffect): void;
  /** The node leaves with bits to recover: reads are not balanced from now on. */
  doubt(session: Session): void;
  /** Out: the others go on without this node, or must. */
  lose(reason: string): void;
}

export const OK: ClusterAnswer = { ok: true };

/** Answers a call that waits; one that does not is passed over. */
export const answer = (ctx: NodeContext, id: number, what: ClusterAnswer): void => {
  const waiting = ctx.calls.get(id);
  if (waiting === undefined) return;
  ctx.calls.delete(id);
  const text = what.ok ? "ok" : what.code;
  note(ctx, "answer", `${waiting.call.type}: ${text}`);
  ctx.emit({ type: "answer", id, answer: what });
};

export const refuse = (ctx: NodeContext, id: number, code: string, message: string): void =>
  answer(ctx, id, { ok: false, code, message });

export const note = (ctx: NodeContext, what: TraceEntry["what"], text: string): void =>
  ctx.trace.add(ctx.now, what, text);

export const tell = (ctx: NodeContext, happening: ClusterHappening): void =>
  ctx.emit({ type: "happened", happening });

/** A buffer to read a value block into. */
export const EMPTY_BLOCK = encodeLvb(new Uint8Array(LVB_BYTES));

export const rangeBlock = (range: ResyncRange | null): string =>
  encodeLvb(encodeResyncRange(range));

/** The bitmap lock of a DLM slot. */
export const bitmapLock = (slot: number): string => bitmapLockName(toBitmapSlot(slot));

/** A conversion that only breaks when the lock manager or this program is broken. */
export const mustConvert = (
  ctx: NodeContext,
  ...[resource, mode, conversion, then]: Parameters<LockDesk["convert"]>
): void =>
  ctx.locks.convert(resource, mode, conversion, (result) => {
    if (result.status === "granted") then(result);
    else ctx.lose(`the lock ${resource} ended with ${result.status}`);
  });

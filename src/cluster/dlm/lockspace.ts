/**
 * A lockspace: its members with their slots, and its lock resources by name. Synchronous and
 * deterministic; what it changes it changes in place. The membership comes from outside.
 *
 *   stopped ──start──► running ──stop──► stopped          a new lockspace is stopped
 *
 * While it is stopped, calls are kept and made at the start, in order. `stop` is told to members as
 * recover_prep; `start` as recover_slot for every member that failed, then recover_done.
 * Source: fs/dlm/lockspace.c, member.c dlm_lsop_recover_prep, dlm_lsop_recover_slot.
 */
import { CodedError } from "../../common/errors.ts";
import type {
  CallResult,
  LockCall,
  LockNotification,
  Refusal,
  UnlockCall,
} from "./lock-operation.ts";
import { countLocks, EMPTY_RESOURCE, type LockOwner, type LockResource } from "./lock-resource.ts";
import { operate } from "./lock-transition.ts";
import { LVB_BYTES, LVB_BYTES_MAX } from "./lvb-text.ts";
import {
  EMPTY_SLOTS,
  type Member,
  releaseSlot,
  type SeatedMember,
  type SlotTable,
  seatMembers,
} from "./slot-table.ts";

/** Most bytes of a name, of a lockspace or of a resource. Source: dlmconstants.h. */
export const NAME_BYTES_MAX = 64;
/** Most resources. Choice: an array needs 6 and one per slot. */
export const RESOURCES_MAX = 1024;
/** Most calls kept while stopped. Choice: some for every slot. */
export const KEPT_CALLS_MAX = 1024;

export interface LockspaceOptions {
  readonly name: string;
  /** Bytes of value blocks, a multiple of 8; the same for all members. */
  readonly lvbBytes?: number;
}

/** `kept`: the lockspace is stopped; the call's result comes as `returned` at the start. */
export type LockspaceResult = CallResult | { readonly type: "kept" };

export type LockspaceEffect =
  | { readonly type: "notify"; readonly resource: string; readonly notification: LockNotification }
  | {
      readonly type: "returned";
      readonly resource: string;
      readonly call: LockCall | UnlockCall;
      readonly result: CallResult;
    }
  | { readonly type: "recover-prep" }
  | { readonly type: "recover-slot"; readonly member: SeatedMember }
  | {
      readonly type: "recover-done";
      readonly members: readonly SeatedMember[];
      readonly generation: number;
    }
  /** No slot is free: the newcomer is no member. */
  | { readonly type: "no-slot"; readonly member: Member };

export interface LockspaceStep {
  readonly result: LockspaceResult;
  readonly effects: readonly LockspaceEffect[];
}

interface KeptCall {
  readonly resource: string;
  readonly call: LockCall | UnlockCall;
}

const refused = (errno: Refusal["errno"], why: string): LockspaceStep => ({
  result: { type: "refused", errno, why },
  effects: [],
});

/** Whether a resource or lockspace may be named so: 1 to 64 bytes of UTF-8. */
export const isLockName = (name: string): boolean =>
  name !== "" &&
  name.length <= NAME_BYTES_MAX &&
  name.isWellFormed() &&
  new TextEncoder().encode(name).length <= NAME_BYTES_MAX;

export class Lockspace {
  readonly name: string;
  readonly lvbBytes: number;
  readonly #resources = new Map<string, LockResource>();
  #slots: SlotTable = EMPTY_SLOTS;
  #isStopped = true;
  #kept: KeptCall[] = [];

  /** Errors: DLM_BAD_LOCKSPACE for a name or length that there cannot be. */
  constructor({ name, lvbBytes = LVB_BYTES }: LockspaceOptions) {
    const isLength = Number.isInteger(lvbBytes) && lvbBytes > 0 && lvbBytes % 8 === 0;
    if (!isLockName(name) || !isLength || lvbBytes > LVB_BYTES_MAX) {
      throw new CodedError(
        "DLM_BAD_LOCKSPACE",
        `no lockspace can be named ${name}, or no value block has ${lvbBytes} bytes`,
        {
          remedy: `take a name of 1 to ${NAME_BYTES_MAX} bytes and 8 to ${LVB_BYTES_MAX} bytes, a multiple of 8`,
          details: { name, lvb_bytes: lvbBytes },
        },
      );
    }
    this.name = name;
    this.lvbBytes = lvbBytes;
  }

  get slots(): SlotTable {
    return this.#slots;
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** All resources on which there are locks. */
  get resources(): ReadonlyMap<string, LockResource> {
    return this.#resources;
  }

  /** The resource; the empty one when nobody has a lock on it. */
  resource(name: string): LockResource {
    return this.#resources.get(name) ?? EMPTY_RESOURCE;
  }

  /** A member's call. The caller owns nothing but its own locks. */
  call(resource: string, call: LockCall | UnlockCall): LockspaceStep {
    if (!isLockName(resource)) return refused("EINVAL", "a name of 0 or more than 64 bytes");
    if (!this.#isStopped) return this.#carryOut(resource, call);
    if (this.#kept.length >= KEPT_CALLS_MAX) return refused("ENOMEM", "too many calls are kept");
    this.#kept.push({ resource, call });
    return { result: { type: "kept" }, effects: [] };
  }

  /** Membership is about to change. Told once, however often. */
  stop(): readonly LockspaceEffect[] {
    if (this.#isStopped) return [];
    this.#isStopped = true;
    return [{ type: "recover-prep" }];
  }

  /**
   * Goes on with exactly these members. The caller has made sure BEFORE that whoever is no longer
   * among them cannot write any more: their locks go, and others get them.
   */
  start(present: readonly Member[], left: readonly Member[] = []): readonly LockspaceEffect[] {
    const effects = [...this.stop()];
    const { table, failed, departed, unseated } = seatMembers(this.#slots, present, left);
    this.#slots = table;
    this.#isStopped = false;
    for (const member of failed) effects.push({ type: "recover-slot", member });
    effects.push(...this.#purge([...failed, ...departed]));
    for (const member of unseated) effects.push({ type: "no-slot", member });
    const { members, generation } = table;
    effects.push({ type: "recover-done", members, generation });
    for (const { resource, call } of this.#kept.splice(0)) {
      const { result, effects: own } = this.#carryOut(resource, call);
      if (result.type !== "kept") effects.push({ type: "returned", resource, call, result });
      effects.push(...own);
    }
    return effects;
  }

  /** The slot of a failed member is recovered and may be given to newcomers. */
  slotRecovered(slot: number): void {
    this.#slots = releaseSlot(this.#slots, slot);
  }

  #carryOut(name: string, call: LockCall | UnlockCall): LockspaceStep {
    const isMember = this.#slots.members.some(
      ({ slot, epoch }) => slot === call.slot && epoch === call.epoch,
    );
    if (!isMember) return refused("EINVAL", "no member has this slot and epoch");
    const before = this.resource(name);
    if (before === EMPTY_RESOURCE && this.#resources.size >= RESOURCES_MAX)
      return refused("ENOMEM", `the lockspace has ${RESOURCES_MAX} resources already`);
    const { resource, result, notifications } = operate(before, call, this.lvbBytes);
    this.#store(name, resource);
    return { result, effects: notify(name, notifications) };
  }

  #purge(owners: readonly LockOwner[]): LockspaceEffect[] {
    if (owners.length === 0) return [];
    const effects: LockspaceEffect[] = [];
    for (const [name, before] of [...this.#resources]) {
      const purge = { type: "purge", owners } as const;
      const { resource, notifications } = operate(before, purge, this.lvbBytes);
      this.#store(name, resource);
      effects.push(...notify(name, notifications));
    }
    return effects;
  }

  #store(name: string, resource: LockResource): void {
    if (countLocks(resource) === 0) this.#resources.delete(name);
    else this.#resources.set(name, resource);
  }
}

const notify = (resource: string, notifications: readonly LockNotification[]): LockspaceEffect[] =>
  notifications.map((notification) => ({ type: "notify", resource, notification }));

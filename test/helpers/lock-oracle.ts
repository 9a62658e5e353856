/**
 * What random operations on one lock resource must keep (test/helpers/lock-sequence.ts), written
 * without the product's tables: which modes go together, what calls are open, what the value block
 * holds, who was told to give way.
 */
import * as FLAGS from "../../src/cluster/dlm/lock-flags.ts";
import { CR, CW, EX, type LockMode, NL, PR, PW } from "../../src/cluster/dlm/lock-mode.ts";
import type {
  AstNotification,
  BastNotification,
  LockCall,
  LockOperation,
  UnlockCall,
} from "../../src/cluster/dlm/lock-operation.ts";
import type { DlmLock, LockKey, LockResource } from "../../src/cluster/dlm/lock-resource.ts";
import type { LockStep } from "../../src/cluster/dlm/lock-transition.ts";

/** What must not happen. */
export class LockViolation extends Error {}

export const demand = (condition: boolean, what: string): void => {
  if (!condition) throw new LockViolation(what);
};

/** A lock as its owner knows it. */
export interface OracleLock {
  readonly key: LockKey;
  mode: LockMode | null;
  /** The call that waits for its completion. */
  open: LockCall | null;
  flags: number;
  hasBast: boolean;
  /** Modes of the BASTs since the last grant. */
  told: LockMode[];
  /** Completions and BASTs that no watcher delivered yet. */
  undelivered: (AstNotification | BastNotification)[];
}

export const keyText = ({ slot, epoch, id }: LockKey): string => `${slot}/${epoch}/${id}`;

const EXCLUDES: ReadonlyMap<LockMode, readonly LockMode[]> = new Map([
  [NL, []],
  [CR, [EX]],
  [CW, [PR, PW, EX]],
  [PR, [CW, PW, EX]],
  [PW, [CW, PR, PW, EX]],
  [EX, [CR, CW, PR, PW, EX]],
] as [LockMode, LockMode[]][]);

export const excludes = (a: LockMode | null, b: LockMode | null): boolean =>
  a !== null && b !== null && (EXCLUDES.get(a) ?? []).includes(b);

const has = (flags: number, flag: number): boolean => (flags & flag) !== 0;

export class LockOracle {
  readonly locks = new Map<string, OracleLock>();
  /** Only flags with which everybody in the way is told, and asks for it. */
  readonly #isStrict: boolean;
  #lvb: string | null = null;
  #isInvalid = false;
  /** Of the operation that is being judged. */
  #current: LockOperation | null = null;

  constructor(isStrict: boolean) {
    this.#isStrict = isStrict;
  }

  /** Judges one step. */
  observe(operation: LockOperation, step: LockStep): void {
    this.#current = operation;
    if (step.result.type === "refused") {
      demand(step.notifications.length === 0, "a refused call has notifications");
      return;
    }
    if (step.result.type === "accepted") this.#accept(operation);
    for (const note of step.notifications) {
      if (note.type === "ast") this.#completed(note);
      else this.#blocking(note);
    }
    this.#checkCompletion(operation, step);
    if (step.resource.granted.length === 0 && this.locks.size === 0) this.#forget();
    this.#checkResource(step.resource);
  }

  #forget(): void {
    this.#lvb = null;
    this.#isInvalid = false;
  }

  #accept(operation: LockOperation): void {
    if (operation.type === "purge") {
      for (const [text, lock] of this.locks) {
        const { slot, epoch } = lock.key;
        if (!operation.owners.some((one) => one.slot === slot && one.epoch === epoch)) continue;
        const isWriter = lock.mode === PW || lock.mode === EX;
        if (isWriter && has(lock.flags, FLAGS.DLM_LKF_VALBLK)) this.#isInvalid = true;
        this.locks.delete(text);
      }
      return;
    }
    if (operation.type === "lock") this.#open(operation);
    else if (!has(operation.flags, FLAGS.DLM_LKF_CANCEL)) this.#unlocking(operation);
  }

  #open(call: LockCall): void {
    const { slot, epoch, id, flags, hasBast } = call;
    const key = { slot, epoch, id };
    const lock = this.locks.get(keyText(key)) ?? {
      key,
      mode: null,
      open: null,
      flags: 0,
      hasBast,
      told: [],
      undelivered: [],
    };
    demand(lock.open === null, "a call was accepted while another is open");
    Object.assign(lock, { open: call, flags, hasBast });
    this.locks.set(keyText(key), lock);
  }

  #unlocking(call: UnlockCall): void {
    const lock = this.locks.get(keyText(call));
    if (lock?.mode !== PW && lock?.mode !== EX) return;
    if (has(call.flags, FLAGS.DLM_LKF_IVVALBLK)) this.#isInvalid = true;
    else if (has(call.flags, FLAGS.DLM_LKF_VALBLK)) this.#write(call.lvb);
  }

  #write(lvb: string | null): void {
    this.#lvb = lvb;
    this.#isInvalid = false;
  }

  #completed(note: AstNotification): void {
    const lock = this.locks.get(keyText(note.lock));
    if (lock === undefined) throw new LockViolation("a completion for a lock that is none");
    const current = this.#current;
    const isOwnUnlock = current?.type === "unlock" && keyText(current) === keyText(note.lock);
    switch (note.status) {
      case "granted":
        this.#granted(lock, note);
        break;
      case "EAGAIN":
        demand(has(lock.open?.flags ?? 0, FLAGS.DLM_LKF_NOQUEUE), "EAGAIN without NOQUEUE");
        break;
      case "EDEADLK":
        demand(lock.mode !== null && lock.open !== null, "EDEADLK without a conversion");
        break;
      case "ECANCEL":
        demand(isOwnUnlock && lock.open !== null, "ECANCEL without a cancel");
        if (lock.mode !== null && note.mode === NL) lock.mode = NL;
        break;
      case "EUNLOCK":
        demand(isOwnUnlock, "EUNLOCK without an unlock");
        lock.mode = null;
        break;
    }
    demand(note.mode === lock.mode, `${note.status} with mode ${note.mode}, not ${lock.mode}`);
    lock.open = null;
    lock.undelivered.push(note);
    if (note.mode === null) this.locks.delete(keyText(note.lock));
  }

  #granted(lock: OracleLock, note: AstNotification): void {
    const call = lock.open;
    if (call === null) throw new LockViolation("a grant that nobody waits for");
    const isDemoted = has(note.statusFlags, FLAGS.DLM_SBF_DEMOTED);
    const from = isDemoted ? NL : lock.mode;
    const isAlternative = has(note.statusFlags, FLAGS.DLM_SBF_ALTMODE);
    demand(note.mode !== null, "a grant of no mode");
    const to = note.mode ?? NL;
    if (isAlternative) {
      const isPr = to === PR && has(call.flags, FLAGS.DLM_LKF_ALTPR);
      demand(isPr || (to === CW && has(call.flags, FLAGS.DLM_LKF_ALTCW)), "a mode nobody chose");
    } else demand(to === call.mode, "granted another mode than requested");
    this.#checkLvb(call, note, from, to);
    lock.mode = to;
    lock.told = [];
  }

  #checkLvb(call: LockCall, note: AstNotification, from: LockMode | null, to: LockMode): void {
    const isWriter = from === PW || from === EX;
    const isWrite = isWriter && !(from === PW && to === EX);
    const isRead = from === null || (!isWrite && to >= from);
    const moves = has(call.flags, FLAGS.DLM_LKF_VALBLK);
    const isInvalidating = isWrite && has(call.flags, FLAGS.DLM_LKF_IVVALBLK);
    if (isInvalidating) this.#isInvalid = true;
    else if (isWrite && moves) this.#write(call.lvb);
    const isReading = isRead && moves && this.#lvb !== null;
    demand(note.lvb === (isReading ? this.#lvb : null), "the value block read is not the last");
    const isReported = this.#isInvalid && !isInvalidating && (isReading || (!isRead && !isWrite));
    const flag = has(note.statusFlags, FLAGS.DLM_SBF_VALNOTVALID);
    demand(flag === isReported, `VALNOTVALID is ${flag}, not ${isReported}`);
  }

  #blocking(note: BastNotification): void {
    const lock = this.locks.get(keyText(note.lock));
    if (lock === undefined) throw new LockViolation("a BAST for a lock that is none");
    demand(lock.hasBast && lock.mode !== null, "a BAST for who cannot block or did not ask");
    if (this.#isStrict) {
      demand(excludes(lock.mode, note.mode), "a BAST for a mode that is not blocked");
      const isMiddle = lock.mode === PR || lock.mode === CW;
      const isNew = lock.told.every((mode) => mode < note.mode);
      demand(isMiddle || isNew, "a second BAST for one level");
    }
    lock.told.push(note.mode);
    lock.undelivered.push(note);
  }

  /** The call itself completed if it had to. */
  #checkCompletion(operation: LockOperation, step: LockStep): void {
    if (operation.type === "purge" || step.result.type !== "accepted") return;
    const asts = step.notifications.filter(
      (note) => note.type === "ast" && keyText(note.lock) === keyText(operation),
    );
    demand(asts.length <= 1, "a call completed twice");
    const mustNow = operation.type === "unlock" || has(operation.flags, FLAGS.DLM_LKF_NOQUEUE);
    demand(!mustNow || asts.length === 1, "a call that cannot wait did not complete");
  }

  #checkResource(resource: LockResource): void {
    const holders = [...resource.granted, ...resource.converting];
    holders.forEach((lock, index) => {
      const isAlone = holders.every(
        (other, at) => at <= index || !excludes(other.granted, lock.granted),
      );
      demand(isAlone, "I1: incompatible modes are granted");
    });
    const queued = [...resource.converting, ...resource.waiting];
    for (const lock of queued) this.#checkBlocked(resource, holders, lock);
    demand(queued.length + resource.granted.length === this.locks.size, "a lock came or went");
    for (const lock of queued) {
      const own = this.locks.get(keyText(lock));
      demand((own?.open ?? null) !== null, "I3: a lock waits without a call");
      // Its owner learns of the demotion with the completion.
      const isDemoted = has(lock.statusFlags, FLAGS.DLM_SBF_DEMOTED);
      if (isDemoted) demand(lock.granted === NL, "demoted to another mode than NL");
      if (isDemoted && own !== undefined) own.mode = NL;
    }
    const open = [...this.locks.values()].filter((lock) => lock.open !== null);
    demand(open.length === queued.length, "I3: an open call waits for nothing");
  }

  #checkBlocked(resource: LockResource, holders: readonly DlmLock[], lock: DlmLock): void {
    const isConversion = lock.granted !== null;
    const isHead = isConversion
      ? resource.converting[0] === lock
      : resource.waiting[0] === lock && resource.converting.length === 0;
    const isFree = (mode: LockMode | null): boolean =>
      !holders.some((other) => other !== lock && excludes(other.granted, mode));
    // QUECVT keeps the order whatever NOORDER says.
    const isUnordered = has(lock.flags, FLAGS.DLM_LKF_NOORDER);
    const isFirst = isHead || (isUnordered && !has(lock.flags, FLAGS.DLM_LKF_QUECVT));
    demand(!isFirst || !isFree(lock.requested), "I2: a grantable lock waits");
    const alternative = has(lock.flags, FLAGS.DLM_LKF_ALTPR)
      ? PR
      : has(lock.flags, FLAGS.DLM_LKF_ALTCW)
        ? CW
        : null;
    if (alternative !== null && !isConversion && isFirst && lock.requested !== alternative)
      demand(!isFree(alternative), "I2: a lock waits whose second choice is free");
    if (!this.#isStrict) return;
    for (const holder of resource.granted) {
      if (!excludes(holder.granted, lock.requested)) continue;
      const isTold = (this.locks.get(keyText(holder))?.told.length ?? 0) > 0;
      demand(isTold, "a holder that blocks was never told");
    }
  }
}

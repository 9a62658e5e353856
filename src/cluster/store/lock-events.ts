/** What lock-machine.ts is told, and what it wants done. */
import type { CodedError } from "../../common/errors.ts";
import type { CallResult, LockCall, LockNotification, UnlockCall } from "../dlm/lock-operation.ts";
import type { LockOwner } from "../dlm/lock-resource.ts";
import type { KeyValue, Txn, TxnOutcome } from "./cluster-store.ts";

type Unowned<T> = Omit<T, "slot" | "epoch" | "op">;
/** A call of this member; its owner and number are added here. */
export type OwnCall = Unowned<LockCall> | Unowned<UnlockCall>;

export type LockEvent =
  | {
      readonly type: "call";
      readonly resource: string;
      readonly call: OwnCall;
      readonly tag: number;
    }
  /** Only once the owners cannot write any more, by fencing. */
  | {
      readonly type: "purge";
      readonly resource: string;
      readonly owners: readonly LockOwner[];
      readonly tag: number;
    }
  /** A state of the resource's key; null: there is none. */
  | {
      readonly type: "seen";
      readonly resource: string;
      readonly found: KeyValue | null;
      readonly revision: number;
    }
  | { readonly type: "answered"; readonly resource: string; readonly outcome: TxnOutcome }
  /** The transaction was rejected: nothing was written. */
  | { readonly type: "rejected"; readonly resource: string }
  | { readonly type: "retry"; readonly resource: string }
  /** The member key is gone. */
  | { readonly type: "expelled" };

export type LockEffect =
  | { readonly type: "txn"; readonly resource: string; readonly txn: Txn }
  /** Give the event `retry` after so long. */
  | { readonly type: "retry-after"; readonly resource: string; readonly ms: number }
  | { readonly type: "returned"; readonly tag: number; readonly result: CallResult }
  | { readonly type: "notify"; readonly resource: string; readonly notification: LockNotification }
  /** The key holds no lock resource; calls wait until it does. */
  | { readonly type: "damaged"; readonly resource: string; readonly error: CodedError }
  /** Once, and last: all locks are lost. */
  | { readonly type: "expelled" };

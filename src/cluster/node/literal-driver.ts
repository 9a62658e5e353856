/** Runs the literal choreography (md/literal-exchange.ts) over locks in a cluster store. */
import { DLM_LKF_FORCEUNLOCK } from "../dlm/lock-flags.ts";
import { MODE_NAMES } from "../dlm/lock-mode.ts";
import type { LockNotification } from "../dlm/lock-operation.ts";
import { stepLiteral } from "../md/literal-exchange.ts";
import {
  type ExchangeLock,
  type LiteralEffect,
  type LiteralEvent,
  type LiteralState,
  newLiteralState,
} from "../md/literal-state.ts";
import { ACK, MESSAGE, NO_NEW_DEV, TOKEN } from "../md/lock-names.ts";
import type { ExchangeCall, ExchangeEffect } from "../md/message-exchange.ts";
import type { LockClient } from "../store/lock-client-driver.ts";
import type { Session } from "../store/store-keys.ts";

const LOCKS: ReadonlySet<string> = new Set([TOKEN, MESSAGE, ACK, NO_NEW_DEV]);

/** Whether the choreography has this lock in its own hands. */
export const isExchangeLock = (resource: string): resource is ExchangeLock => LOCKS.has(resource);

export interface LiteralOptions {
  readonly locks: LockClient;
  readonly session: Session;
  /** Must not call back before it returns. */
  readonly tell: (effect: ExchangeEffect) => void;
  /** For people: a lock call is made. */
  readonly note: (text: string) => void;
  /** A lock call that cannot be refused was. */
  readonly broken: (why: string) => void;
}

export class LiteralDriver {
  readonly #options: LiteralOptions;
  #state: LiteralState;
  readonly #events: LiteralEvent[] = [];
  #isStepping = false;
  #isClosed = false;

  constructor(options: LiteralOptions) {
    this.#options = options;
    this.#state = newLiteralState(options.session, "satsuma");
  }

  /** Takes the locks. */
  begin(): void {
    this.#feed({ type: "join" });
  }

  call(call: ExchangeCall): void {
    this.#feed(call);
  }

  notify(resource: ExchangeLock, notification: LockNotification): void {
    if (notification.type === "bast")
      this.#feed({ type: "bast", resource, mode: notification.mode });
    // The end of a lock that was given up is nobody's concern any more.
    else if (notification.status !== "EUNLOCK")
      this.#feed({ type: "ast", resource, status: notification.status, lvb: notification.lvb });
  }

  close(): void {
    this.#isClosed = true;
  }

  #feed(event: LiteralEvent): void {
    if (this.#isClosed) return;
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      const { state, effects } = stepLiteral(this.#state, next);
      this.#state = state;
      for (const effect of effects) this.#carryOut(effect);
    }
    this.#isStepping = false;
  }

  #carryOut(effect: LiteralEffect): void {
    const { locks, tell, note, broken } = this.#options;
    if (effect.type === "lock") {
      const { resource } = effect;
      note(`${resource} ${MODE_NAMES[effect.mode]}`);
      locks.call(resource, { ...effect, id: 1 }, (result) => {
        if (result.type === "refused") broken(`the lock ${resource} was refused: ${result.why}`);
      });
    } else if (effect.type === "unlock") {
      const call = { type: "unlock", id: 1, flags: DLM_LKF_FORCEUNLOCK, lvb: null } as const;
      locks.call(effect.resource, call, () => {});
    } else tell(effect);
  }
}

/**
 * Keeps the lease of a session alive. That it is kept permits nothing: only a confirmation does.
 * But a store that was away has let the lease run on, and may hang again: so it is renewed at once
 * when the store answers, and tried with every answer while little of it is left.
 */
import type { ClusterStore, LeaseId } from "./cluster-store.ts";
import type { StoreClock } from "./store-clock.ts";

/** Of the lease's time: as often it is renewed while the store answers. */
const PERIOD = 1 / 4;
/** Of the lease's time: when no more is left for sure, each answer is used. 3 s of 10. */
const LITTLE = 3 / 10;

export interface LeaseKeeperOptions {
  readonly store: Pick<ClusterStore, "leaseKeepAlive">;
  readonly clock: StoreClock;
  /** Granted just now. */
  readonly lease: LeaseId;
  readonly leaseMs: number;
}

export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  /** When the last renewal that was answered was sent. */
  #keptAt: number;
  /** The store did not answer since then. */
  #wasAway = false;
  #isAsking = false;
  #isOver = false;
  #cancel: (() => void) | null = null;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#keptAt = options.clock.now();
    this.#keepLater();
  }

  /** The store has answered somebody. */
  answered(): void {
    const { clock, leaseMs } = this.#options;
    const left = this.#keptAt + leaseMs - clock.now();
    if (this.#wasAway || left < LITTLE * leaseMs) this.#keep();
  }

  /** The store has not answered somebody. */
  missed(): void {
    this.#wasAway = true;
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel?.();
  }

  #keepLater(): void {
    const { clock, leaseMs } = this.#options;
    this.#cancel = clock.after(PERIOD * leaseMs, () => {
      this.#keep();
      if (!this.#isOver) this.#keepLater();
    });
  }

  #keep(): void {
    if (this.#isAsking || this.#isOver) return;
    const { store, clock, lease } = this.#options;
    const sentAt = clock.now();
    this.#isAsking = true;
    store.leaseKeepAlive(lease).then(
      () => {
        this.#isAsking = false;
        this.#wasAway = false;
        this.#keptAt = sentAt;
      },
      () => {
        this.#isAsking = false;
        this.#wasAway = true;
      },
    );
  }
}

/**
 * Changes of the array as a whole, as its thread makes them: who has to be asked first, the rest in
 * which the members are changed, and the cluster that the array goes on in afterwards.
 */

import { CodedError } from "../common/errors.ts";
import type { ArrayChange } from "../raid/array-change.ts";
import type { ArrayDriver } from "../raid/array-driver.ts";
import type { CommandOutcome } from "../raid/array-messages.ts";
import type { AssembleDevice } from "../raid/assemble-driver.ts";
import { foreseeRefusal } from "../raid/change-array-driver.ts";
import { uuidToKernelText } from "../raid/uuid.ts";
import { ArrayCluster } from "./array-cluster.ts";
import { accessOf, openMembers } from "./array-members.ts";
import type { ArrayThreadData, ThreadCluster } from "./array-messages.ts";
import type { ArrayRest } from "./array-rest.ts";
import { afterMs, monotonicMs } from "./monotonic-clock.ts";
import { withNames } from "./node-words.ts";
import type { MemberTicket } from "./open-member.ts";
import { askPatiently, type PatientClock } from "./patient-ask.ts";
import {
  type BitmapChange,
  type ChangeHost,
  changeMembers,
  changeRefusal,
  directionOf,
} from "./running-change.ts";

/** What the array thread answers for its changes; each may be another after a start. */
export interface ChangesHost {
  readonly rest: ArrayRest;
  driver(): ArrayDriver;
  cluster(): ArrayCluster | null;
  /** The array goes on in this cluster, or in none. */
  goOnIn(cluster: ArrayCluster | null): void;
  ticket(path: string): MemberTicket;
  array(): { readonly setUuid: Uint8Array; readonly sizeBytes: number };
  /** Commands under way, that of the change among them. */
  commands(): number;
}

export class ArrayChanges {
  /** The array is stopped and started again in this thread, by whoever changes it. */
  isUnderWay = false;
  /** The cluster was joined by a change, and the node takes no part in it yet. */
  isEntering = false;
  readonly #data: ArrayThreadData;
  readonly #host: ChangesHost;
  /** Members that were opened again for the start that follows; null: the driver's. */
  #reopened: readonly AssembleDevice[] | null = null;
  #lost: string | null = null;

  constructor(data: ArrayThreadData, host: ChangesHost) {
    this.#data = data;
    this.#host = host;
  }

  /** Why the array could not be started after a change; null: it could. */
  get lost(): string | null {
    return this.#lost;
  }

  /** What the array is started from after the rest. */
  takeMembers(): readonly AssembleDevice[] {
    const members = this.#members();
    this.#reopened = null;
    return members;
  }

  /** Ok when nothing changes the array; RAID_ARRAY_CHANGING when that takes long. */
  awaitEnd(): Promise<CommandOutcome> {
    return askPatiently(async () => (this.isUnderWay ? CHANGING : OK), CLOCK, CHANGING.code);
  }

  /**
   * AFTER the I/O workers have closed the array, so it is not refused: a change that came in
   * between ends first, here or on the node that makes it.
   */
  async stop(): Promise<CommandOutcome> {
    for (;;) {
      const ask = (): Promise<CommandOutcome> =>
        this.#host.driver().command({ type: "stop", keepOpen: false });
      const outcome = await askPatiently(
        async () => (this.isUnderWay ? CHANGING : await ask()),
        CLOCK,
        CHANGING.code,
      );
      if (outcome.ok || outcome.code !== CHANGING.code) return outcome;
    }
  }

  /**
   * Holds client requests, stops the array, changes its metadata, starts it again and lets the
   * requests go on. A change that is refused leaves the array as it was.
   */
  async change(change: ArrayChange): Promise<CommandOutcome> {
    const { readOnly, cluster: board } = this.#data;
    const isInCluster = this.#host.cluster() !== null;
    const refusal = changeRefusal(change, {
      readOnly,
      isInCluster,
      boardCluster: board?.name ?? null,
      isBusy: this.#host.commands() > 1,
    });
    if (refusal !== null) return refusal;
    const direction = directionOf(change, isInCluster);
    if (change.type === "bitmap" && board !== null && direction === "into-cluster")
      return await this.#enterCluster(change, board);
    // The others do not come to rest for what is refused anyway.
    const foreseen = isInCluster ? await foreseeRefusal(this.#members(), change, Date.now()) : null;
    if (foreseen !== null) throw foreseen;
    // What another node does first may take long: it does not go out while that one runs the array.
    const user = direction === "out-of-cluster" ? (this.#host.cluster()?.otherUser ?? null) : null;
    if (user !== null)
      return { ok: false, code: IN_USE, message: `${user} uses the array as well` };
    const outcome = await this.#begin(direction === "out-of-cluster");
    if (!outcome.ok) return outcome;
    return await this.#changeAtRest(change, null);
  }

  #members(): readonly AssembleDevice[] {
    return this.#reopened ?? this.#host.driver().working();
  }

  /** In a cluster every other node comes to rest first, which may take a while, or is gone. */
  async #begin(isLeaving: boolean): Promise<CommandOutcome> {
    if (this.#host.cluster() === null) return { ok: true };
    const ask = async (): Promise<CommandOutcome> => {
      if (this.isUnderWay) return RESTING;
      const sectors = Math.floor(this.#host.array().sizeBytes / 512);
      const outcome = await this.#host
        .driver()
        .command({ type: "begin-change", sectors, isLeaving });
      return this.#withNames(outcome);
    };
    return await askPatiently(ask, CLOCK);
  }

  #withNames(outcome: CommandOutcome): CommandOutcome {
    const cluster = this.#host.cluster();
    return cluster === null ? outcome : withNames(outcome, cluster.peers().nodes);
  }

  /** The node joins while clients go on. */
  async #enterCluster(change: BitmapChange, board: ThreadCluster): Promise<CommandOutcome> {
    const { nodes, clusterName } = change;
    const uuid = uuidToKernelText(this.#host.array().setUuid);
    const joined = await ArrayCluster.join(board, { uuid, nodes, clusterName }, []);
    // Nodes of an earlier life of the array may have died: the one that joins sees to their end.
    const locked = await askPatiently(() => joined.lockBitmaps(), CLOCK, IN_USE);
    if (!locked.ok) {
      await joined.leave();
      return locked;
    }
    if (this.#host.commands() === 1 && !this.#host.driver().isStopped)
      return await this.#changeAtRest(change, joined);
    await joined.leave();
    const message = "another command of the array came meanwhile";
    return { ok: false, code: "RAID_MEMBER_BUSY", message };
  }

  /** `joined`: the cluster that the array is to come into, or null. */
  async #changeAtRest(change: ArrayChange, joined: ArrayCluster | null): Promise<CommandOutcome> {
    const before = this.#host.cluster();
    const cluster = joined ?? before;
    this.isUnderWay = true;
    try {
      const problem = await this.#host.rest.change(
        () => changeMembers(this.#restHost, change, { cluster, isNew: joined !== null }),
        () => (before !== null && this.#host.cluster() === before ? "held" : null),
      );
      if (problem !== null) throw problem;
      return { ok: true };
    } catch (error) {
      const isLost = this.#host.driver().isStopped && cluster !== null;
      if (isLost && error instanceof CodedError) this.#lost = error.message;
      throw error;
    } finally {
      this.isUnderWay = false;
    }
  }

  readonly #restHost: ChangeHost = {
    members: () => this.#members(),
    reopen: async (cluster) => {
      const open = this.#members();
      for (const { device } of open) await device.close();
      const members = open.map(({ path }) => this.#host.ticket(path));
      this.#reopened = await openMembers({ ...this.#data, members }, accessOf(cluster, this.#data));
    },
    goOnIn: (cluster) => {
      this.isEntering = cluster !== null && cluster !== this.#host.cluster();
      this.#host.goOnIn(cluster);
      if (cluster === null) this.#host.rest.forget();
    },
  };
}

const CLOCK: PatientClock = {
  now: monotonicMs,
  pause: (ms) => new Promise((resolve) => afterMs(ms, resolve)),
};

const OK: CommandOutcome = { ok: true };

/** Another node has a bitmap of the array. */
const IN_USE = "CLUSTER_BITMAP_IN_USE";

/** What a command is answered meanwhile. */
export const CHANGING = {
  ok: false,
  code: "RAID_ARRAY_CHANGING",
  message: "the array is being changed",
} as const satisfies CommandOutcome;

/** Another node changes the array as a whole. */
const RESTING: CommandOutcome = {
  ok: false,
  code: "CLUSTER_NODE_BUSY",
  message: "another node changes the array just now",
};

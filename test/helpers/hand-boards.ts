/** Boards of a cluster whose keys a test writes by hand, with leases, as a member exporter does. */
import { BoardKeys } from "../../src/cluster/store/board-keys.ts";
import { encodeBoard } from "../../src/cluster/store/board-record.ts";
import type { ClusterStore, LeaseId, StoreOp } from "../../src/cluster/store/cluster-store.ts";
import type { Session } from "../../src/cluster/store/store-keys.ts";
import { ClusterWorld, type EmbeddedWorld } from "./cluster-host.ts";

/** A board's lease in a test's world, where everything happens five times as soon. */
const LEASE_MS = 2000;
const BEAT_MS = 200;

const textOf = (name: string): string =>
  encodeBoard({ name, boot: "b", address: "", api: "", version: "", disks: [], reaches: [] });

export class HandBoards {
  readonly world: EmbeddedWorld;
  readonly keys = new BoardKeys("test");
  readonly #store: ClusterStore;
  readonly #leases = new Map<string, LeaseId>();
  #beats = 0;
  #beatAt = 0;

  /** A world on a store in memory, in which they confirm while time passes. */
  constructor() {
    const world = ClusterWorld.embedded("channel");
    const { turn } = world;
    const beating = async (): Promise<void> => {
      await turn();
      if (world.clock.now() < this.#beatAt) return;
      this.#beatAt = world.clock.now() + BEAT_MS;
      for (const name of this.#leases.keys()) await this.#beat(name);
    };
    this.world = Object.assign(world, { turn: beating });
    this.#store = world.client();
  }

  /** A life of the board begins; its epoch. */
  async begin(name: string): Promise<number> {
    const { id } = await this.#store.leaseGrant(LEASE_MS);
    this.#leases.set(name, id);
    return this.#put([
      { type: "put", key: this.keys.board(name), value: textOf(name), lease: id },
      { type: "put", key: this.keys.heartbeat(name), value: "0", lease: id },
    ]);
  }

  /** It serves the session no more. */
  async acknowledge(name: string, { slot, epoch }: Session): Promise<void> {
    const lease = this.#leases.get(name) ?? null;
    const key = this.world.keys.fence(name, slot);
    this.#beats += 1;
    await this.#put([
      { type: "put", key, value: String(epoch), lease },
      { type: "put", key: this.keys.heartbeat(name), value: String(this.#beats), lease },
    ]);
  }

  /** They confirm no more; their leases go on for a while. */
  hush(): void {
    this.#beatAt = Number.POSITIVE_INFINITY;
  }

  /** It confirms no more: its keys go when its lease ends. */
  stop(name: string): void {
    this.#leases.delete(name);
  }

  /** Its keys are gone at once. */
  async end(name: string): Promise<void> {
    const lease = this.#leases.get(name);
    this.#leases.delete(name);
    if (lease !== undefined) await this.#store.leaseRevoke(lease);
  }

  async #beat(name: string): Promise<void> {
    const lease = this.#leases.get(name);
    if (lease === undefined) return;
    this.#beats += 1;
    const key = this.keys.heartbeat(name);
    await this.#store.leaseKeepAlive(lease);
    await this.#put([{ type: "put", key, value: String(this.#beats), lease }]);
  }

  async #put(success: readonly StoreOp[]): Promise<number> {
    const outcome = await this.#store.txn({ compares: [], success, failure: [] });
    if (outcome.type === "unknown") throw outcome.error;
    return outcome.revision;
  }
}

/** Whole nodes of an array's cluster in this process, over a store, with arrays that do nothing. */
import { joinArray } from "../../src/cluster/node/cluster-driver.ts";
import type { JoinedCluster, Protocol } from "../../src/cluster/node/cluster-member.ts";
import type { ClusterStore } from "../../src/cluster/store/cluster-store.ts";
import type { StoreClock } from "../../src/cluster/store/store-clock.ts";
import { assert } from "../../src/common/assert.ts";
import { Prng } from "../../src/common/prng.ts";
import type { ClusterCall } from "../../src/raid/cluster-port.ts";

/** Between looks at what is in flight. */
const LOOK_MS = 1;

export interface BenchStore {
  readonly clock: StoreClock;
  /** A connection of its own for each node. */
  readonly client: () => ClusterStore;
}

export class BenchCluster {
  readonly #nodes: JoinedCluster[] = [];
  readonly #waiting = new Map<number, () => void>();
  #calls = 0;

  /** `prefix`: nobody else's. */
  static async start(
    { clock, client }: BenchStore,
    prefix: string,
    protocol: Protocol,
    count: number,
  ): Promise<BenchCluster> {
    const cluster = new BenchCluster();
    const prng = new Prng(1);
    for (let index = 0; index < count; index += 1) {
      const node: JoinedCluster = await joinArray({
        store: client(),
        prefix,
        member: { node: `n${index}`, boot: "b", life: `${index}`, address: "", protocol: 1 },
        nodes: count,
        clock,
        random: () => prng.below(1_000_000) / 1_000_000,
        protocol,
        listener: {
          answer: (id, answer) => {
            assert(answer.ok, `a call failed: ${JSON.stringify(answer)}`);
            cluster.#waiting.get(id)?.();
            cluster.#waiting.delete(id);
          },
          notice: (id) => node.processed(id),
          state: (state) => assert(state.type !== "expelled", "a node was expelled"),
          gate: () => {},
          happened: () => {},
        },
      });
      cluster.#nodes.push(node);
      await node.start();
    }
    return cluster;
  }

  /** A call of the first node, to its answer. */
  ask(call: ClusterCall): Promise<void> {
    this.#calls += 1;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.set(this.#calls, resolve);
    this.#nodes[0]?.call(this.#calls, call);
    return promise;
  }

  /** Until the right to send is free, as the first node sees it. */
  async free(clock: StoreClock): Promise<void> {
    for (;;) {
      const view = this.#nodes[0]?.view();
      const token = view?.locks.find(({ resource }) => resource === "token");
      const isHeld = token?.granted.some(({ granted }) => granted === "EX") ?? false;
      if (view?.message?.isDone !== false && !isHeld) return;
      await new Promise<void>((resolve) => void clock.after(LOOK_MS, resolve));
    }
  }

  /** One message to all others, until all have processed it. */
  message(): Promise<void> {
    return this.ask({ type: "remove-disk", deviceNumber: 1 });
  }

  stop(): void {
    for (const node of this.#nodes) node.stop();
  }
}

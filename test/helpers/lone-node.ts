/** An array thread on devices in memory whose node is alone in its cluster. */
import { assert } from "../../src/common/assert.ts";
import { MemoryDevice } from "../../src/hal/sim/memory-device.ts";
import { ArrayDriver, type ClusterHost } from "../../src/raid/array-driver.ts";
import type { ArrayEvent } from "../../src/raid/array-messages.ts";
import { type AssembleOptions, assembleDevices } from "../../src/raid/assemble-driver.ts";
import type { ClusterCall } from "../../src/raid/cluster-port.ts";
import { BIT_DURABLE, RUN_ACTIVE, type SharedArrayState } from "../../src/raid/shared-state.ts";
import { eventually } from "./timeout.ts";

const NO_LIMIT = 2 ** 40;

export class LoneNode {
  readonly driver: ArrayDriver;
  readonly shared: SharedArrayState;
  /** How much more than asked for an update is given to end at. */
  ahead = 0;
  readonly calls: ClusterCall[] = [];
  readonly #processed = new Set<number>();
  #nextNotice = 1;

  private constructor(array: Awaited<ReturnType<typeof assembleDevices>>) {
    this.shared = array.shared;
    const answer = (event: ArrayEvent): void => {
      setImmediate(() => this.driver.dispatch(event));
    };
    const cluster: ClusterHost = {
      call: (id, call) => {
        this.calls.push(call);
        const given = call.type === "outrun" ? { events: call.events + this.ahead } : {};
        answer({ type: "cluster-answer", id, answer: { ok: true, ...given } });
      },
      processed: (id) => void this.#processed.add(id),
      drain: async () => undefined,
      poke: () => undefined,
      closeGate: () => undefined,
      settle: async () => true,
      brokenAway: () => undefined,
      rest: () => undefined,
      findDevice: async () => null,
    };
    this.driver = new ArrayDriver(array.machine, array.shared, array.members, {
      now: () => Date.now(),
      waitForRegion: async () => undefined,
      nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
      openLeg: async () => null,
      dropLeg: () => undefined,
      intentReady: () => undefined,
      legResolved: () => undefined,
      status: () => undefined,
      happening: () => undefined,
      stopped: () => undefined,
      cluster,
    });
    array.shared.run = RUN_ACTIVE;
  }

  /** `images`: whole members; they are written in place. */
  static async start(
    images: readonly Uint8Array[],
    name: string,
    slot: number,
    more: Pick<AssembleOptions, "copies"> = {},
  ): Promise<LoneNode> {
    const devices = images.map((bytes, index) => {
      const path = `/m${index}`;
      return { path, device: new MemoryDevice(path, bytes) };
    });
    const limits = { syncSpeedMin: NO_LIMIT, syncSpeedMax: NO_LIMIT };
    const cluster = { name, slot, isRunElsewhere: false };
    const options = { readOnly: false, workers: 1, now: Date.now(), cluster, ...limits, ...more };
    return new LoneNode(await assembleDevices(devices, options));
  }

  /** As a node does that joins: it takes over the slots that nobody has, one after the other. */
  async takeOver(slots: readonly number[]): Promise<void> {
    for (const slot of slots) {
      const id = this.#nextNotice++;
      const notice = { type: "recover-slot", slot, isUnused: true } as const;
      this.driver.dispatch({ type: "cluster-notice", id, notice });
      await eventually(`slot ${slot} is recovered`, 10_000, () => this.#processed.has(id));
    }
  }

  /** Nothing is due, nothing is under way. */
  async rest(): Promise<void> {
    await eventually("the node rests", 60_000, () => {
      this.driver.tick();
      const { sync, cluster } = this.driver.status;
      return sync === null && cluster?.balancesReads === true && !this.driver.restless;
    });
  }

  /** A write is about to begin in this chunk: its bit is durable, nothing of it is written. */
  async intend(chunk: number): Promise<void> {
    this.driver.dispatch({ type: "intent", worker: 0, ranges: [[chunk, chunk]] });
    await eventually("the bit is durable", 10_000, () => this.shared.bit(chunk) === BIT_DURABLE);
  }

  /** Stops the array, as a node does that leaves. */
  async stop(): Promise<void> {
    const outcome = await this.driver.command({ type: "stop" });
    assert(outcome.ok, "the array stops");
  }
}

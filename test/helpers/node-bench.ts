/**
 * One node of a cluster on the machine bench: the test answers what it asks of the cluster and of
 * its driver, and tells it what others do.
 */
import { assert } from "../../src/common/assert.ts";
import type { ArrayEffect, ArrayEvent, SlotArea } from "../../src/raid/array-messages.ts";
import type {
  ClusterAnswer,
  ClusterCall,
  ClusterNotice,
  SectorRange,
} from "../../src/raid/cluster-port.ts";
import { type BenchOptions, MachineBench, MIB } from "./machine-bench.ts";

const SECTOR = 512;
const OK: ClusterAnswer = { ok: true };
export const REFUSED: ClusterAnswer = { ok: false, code: "CLUSTER_REFUSED", message: "no" };

type Call = Extract<ArrayEffect, { type: "cluster-call" }>;

/** `resync-info-update 0-32`: what is called, and the range in MiB where there is one. */
const describe = (call: ClusterCall): string => {
  if (call.type === "leave") return call.needsSync ? "leave needs-sync" : "leave";
  if (call.type !== "resync-info-update") return call.type;
  const mib = (sectors: number): number => (sectors * SECTOR) / MIB;
  return `resync-info-update ${mib(call.lo)}-${mib(call.hi)}`;
};

export class NodeBench extends MachineBench {
  /** Every call that was answered, in order. */
  readonly answered: string[] = [];
  #nextNotice = 1;
  /** What the others hold for this node, and what they were asked to. */
  #held: SectorRange = { lo: 0, hi: 0 };
  #asked: SectorRange | null = null;

  /** Node 0 of a cluster with four slots; the array was not stopped, for it is never clean. */
  constructor(options: BenchOptions = {}) {
    super({ nodes: 4, slot: 0, resyncOffset: 0, ...options });
  }

  /** No piece may lie where others may write: neither by the range they hold nor by the next. */
  override send(event: ArrayEvent): void {
    const known = new Set(this.copies.map(({ token }) => token));
    super.send(event);
    this.#asked = null;
    for (const { call } of this.#calls())
      if (call.type === "resync-info-update") this.#asked = call;
    for (const { token, plan } of this.copies) {
      if (known.has(token)) continue;
      for (const { offset, length } of plan.extents) {
        for (const { lo, hi } of [this.#held, this.#asked ?? this.#held])
          assert(lo * SECTOR <= offset && offset + length <= hi * SECTOR, "others write there");
      }
    }
  }

  /** What is asked of the cluster and not answered, oldest first. */
  get calls(): string[] {
    return this.#calls().map(({ call }) => describe(call));
  }

  #calls(): Call[] {
    return this.told.flatMap((effect) => (effect.type === "cluster-call" ? [effect] : []));
  }

  /** Answers the oldest call of this type. */
  answer(type: ClusterCall["type"], answer: ClusterAnswer = OK): ClusterCall {
    const effect = this.#calls().find(({ call }) => call.type === type);
    assert(effect !== undefined, `${type} was called; there is ${this.calls.join()}`);
    this.told.splice(this.told.indexOf(effect), 1);
    this.answered.push(describe(effect.call));
    if (effect.call.type === "resync-info-update" && answer.ok) this.#held = effect.call;
    if (effect.call.type === "resync-finish") this.#held = { lo: 0, hi: 0 };
    this.send({ type: "cluster-answer", id: effect.id, answer });
    return effect.call;
  }

  /** Answers everything with success until nothing is asked. */
  answerAll(): void {
    for (let steps = 0; steps < 1000; steps++) {
      const [next] = this.#calls();
      if (next === undefined) return;
      this.answer(next.call.type);
    }
    assert(false, "the node never stops asking");
  }

  /** Completes everything, answers everything, and lets time pass, until nothing is left to do. */
  override rest(): void {
    let idle = 0;
    for (let rounds = 0; rounds < 2000 && idle < 3; rounds++) {
      this.settle();
      this.answerAll();
      const isIdle = this.io.length + this.copies.length + this.openings.length === 0;
      idle = isIdle && this.status.sync === null ? idle + 1 : 0;
      this.tick(20);
    }
    assert(idle === 3, "the node comes to rest");
    this.settle();
    this.answerAll();
  }

  /** Tells the node what the cluster has for it; returns the notice's number. */
  notice(notice: ClusterNotice): number {
    const id = this.#nextNotice++;
    this.send({ type: "cluster-notice", id, notice });
    return id;
  }

  isProcessed(notice: number): boolean {
    return this.told.some((e) => e.type === "cluster-processed" && e.id === notice);
  }

  /** Asks of the driver that are not answered. */
  asks<T extends "drain" | "read-slot-bitmaps">(type: T): Extract<ArrayEffect, { type: T }>[] {
    return this.told.filter(
      (effect): effect is Extract<ArrayEffect, { type: T }> => effect.type === type,
    );
  }

  finishDrain(): void {
    const [drain] = this.asks("drain");
    assert(drain !== undefined, "a range is being drained");
    this.told.splice(this.told.indexOf(drain), 1);
    this.send({ type: "drained", token: drain.token });
  }

  /** Answers a read of bitmaps: `area` for each slot asked for, as each of these members has it. */
  finishSlots(
    members: readonly number[],
    area: (slot: number, member: number) => Uint8Array | null,
  ): void {
    const [ask] = this.asks("read-slot-bitmaps");
    assert(ask !== undefined, "bitmaps are being read");
    this.told.splice(this.told.indexOf(ask), 1);
    const areas = ask.slots.flatMap((slot): SlotArea[] =>
      members.map((member) => ({ slot, member, area: area(slot, member) })),
    );
    this.send({ type: "slot-bitmaps-read", token: ask.token, areas });
  }

  /** `copy 0-1`: mode and MiB of each copy under way. */
  get pieces(): string[] {
    return this.copies.map(({ plan }) => `${plan.mode} ${plan.from / MIB}-${plan.end / MIB}`);
  }
}

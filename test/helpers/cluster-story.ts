/**
 * What must hold at every step of a story on the cluster bench, and at its end: looked at by
 * whoever drives the bench through `Story`.
 */
import { assert } from "../../src/common/assert.ts";
import type { Prng } from "../../src/common/prng.ts";
import { CHUNK_BYTES, ClusterBench, type ClusterBenchOptions } from "./cluster-bench.ts";
import type { ClusterNode } from "./cluster-node.ts";
import type { NodeWrite } from "./cluster-write.ts";

const SECTOR = 512;
const DATA_AT = 2048 * SECTOR;
const PAGE = 4096;

/** A place of the array that one node writes; each write has other bytes. */
interface Place {
  readonly offset: number;
  /** What the last acknowledged write left, and what later ones may have. */
  acknowledged: number;
  readonly possible: Set<number>;
}

export class Story {
  readonly bench: ClusterBench;
  readonly #places = new Map<number, Place>();
  readonly #writes: { readonly write: NodeWrite; readonly place: Place; readonly value: number }[] =
    [];
  readonly #seen = new Map<string, number>();
  #value = 0;

  constructor(bench: ClusterBench) {
    this.bench = bench;
    for (const path of bench.disks.keys()) this.#seen.set(path, this.#count(path));
  }

  /** Nodes at rest. */
  static rested(options: ClusterBenchOptions = {}, prng: Prng | null = null): Story {
    const story = new Story(new ClusterBench(options, prng));
    story.rest();
    return story;
  }

  /** Node `slot` dies with a write that has reached the first copy only. */
  dieInWrite(slot: number, chunk: number): void {
    const node = this.bench.node(slot);
    this.write(node, chunk, slot);
    for (let steps = 0; steps < 100; steps++) {
      const [first, second] = ["/m0", "/m1"].map(
        (path) => this.bench.content(path)[chunk * CHUNK_BYTES + slot * PAGE],
      );
      if (first !== second) break;
      this.step();
    }
    assert(!this.bench.isEqual("/m0", "/m1"), "the write is in the middle");
    node.die();
  }

  /** A write of one page at the beginning of a chunk; only one node may use a place. */
  write(node: ClusterNode, chunk: number, at = 0, fua = false): NodeWrite {
    const offset = chunk * CHUNK_BYTES + at * PAGE;
    const place = this.#places.get(offset) ?? { offset, acknowledged: 0, possible: new Set([0]) };
    this.#places.set(offset, place);
    this.#value = (this.#value % 254) + 1;
    const value = this.#value;
    place.possible.add(value);
    const write = node.write(offset, new Uint8Array(PAGE).fill(value), fua);
    this.#writes.push({ write, place, value });
    return write;
  }

  /** True while one of the node's writes to this place is under way. */
  isBusy(chunk: number, at = 0): boolean {
    const offset = chunk * CHUNK_BYTES + at * PAGE;
    return this.#writes.some(
      ({ write, place }) =>
        place.offset === offset && write.state !== "acknowledged" && write.state !== "failed",
    );
  }

  /** One step of the bench, then everything that must hold. False when nothing is under way. */
  step(): boolean {
    const isDone = this.bench.step();
    this.check();
    return isDone;
  }

  settle(): void {
    for (let steps = 0; steps < 100_000; steps++) if (!this.step()) return;
    assert(false, "the cluster never comes to rest");
  }

  /** Time passes, and everything is done, until no node syncs or waits for it. */
  rest(): void {
    let idle = 0;
    for (let rounds = 0; rounds < 1000 && idle < 3; rounds++) {
      this.settle();
      const nodes = this.bench.nodes.filter((node) => !node.isDead);
      const isIdle = nodes.every(
        ({ status: { sync, cluster } }) => sync === null && cluster?.resync === null,
      );
      idle = isIdle ? idle + 1 : 0;
      this.bench.tick(20);
    }
    assert(idle === 3, "the cluster comes to rest");
    this.settle();
  }

  /** Seconds without a write: bits are swept. */
  idle(seconds: number): void {
    for (let at = 0; at < seconds; at++) {
      this.bench.tick(1000);
      this.settle();
    }
  }

  check(): void {
    this.#settleWrites();
    this.#checkHeldRanges();
    this.#checkBits();
  }

  /** AFTER `rest`: all in-sync copies hold the same, and every acknowledged write. */
  checkEnd(...paths: readonly string[]): void {
    assert(this.bench.isEqual(...paths), "the copies are equal");
    for (const place of this.#places.values())
      for (const path of paths) this.#checkPlace(place, path, "at the end");
  }

  /** What a read of the place returns on this node, whichever leg it goes to. */
  read(node: ClusterNode, chunk: number, at = 0): number[] {
    const found = node.reads(chunk * CHUNK_BYTES + at * PAGE, 1);
    return [...found.values()].map(([value = 0]) => value);
  }

  /** Writes in an order that the generator picks, with steps between. */
  storm(prng: Prng, count: number, chunks: number): void {
    for (let at = 0; at < count; at++) {
      const nodes = this.bench.nodes.filter((node) => !node.isDead);
      const node = nodes[prng.below(nodes.length)];
      const chunk = prng.below(chunks);
      if (node !== undefined && !this.isBusy(chunk, node.slot)) this.write(node, chunk, node.slot);
      for (let steps = prng.below(12); steps > 0; steps--) this.step();
      if (prng.below(4) === 0) this.bench.tick(20);
    }
  }

  #count(path: string): number {
    return this.bench.disk(path).writes.length;
  }

  #settleWrites(): void {
    for (let at = this.#writes.length - 1; at >= 0; at--) {
      const { write, place, value } = this.#writes[at] ?? {};
      if (write === undefined || place === undefined || value === undefined) continue;
      if (write.state !== "acknowledged" && write.state !== "failed") continue;
      this.#writes.splice(at, 1);
      if (write.state === "failed") continue;
      place.acknowledged = value;
      place.possible.clear();
      place.possible.add(value);
      for (const other of this.#writes) if (other.place === place) place.possible.add(other.value);
    }
  }

  /** I10: nobody else writes where every node has acknowledged that one resyncs. */
  #checkHeldRanges(): void {
    for (const path of this.bench.disks.keys()) {
      const { writes } = this.bench.disk(path);
      for (const { node, offset, length } of writes.slice(this.#seen.get(path) ?? 0)) {
        if (offset < DATA_AT) continue;
        for (const run of this.bench.arrayRuns(path, offset - DATA_AT, length))
          this.#checkHeldRange(node, run.offset, run.offset + run.length);
      }
      this.#seen.set(path, writes.length);
    }
  }

  #checkHeldRange(node: number, from: number, to: number): void {
    for (const [slot, { lo, hi }] of this.bench.cluster.acknowledged) {
      const isInside = from < hi * SECTOR && lo * SECTOR < to;
      assert(slot === node || !isInside, `node ${node} writes where node ${slot} resyncs`);
    }
  }

  /** I11, I12: where in-sync copies differ, some node's bit says so, on every one of them. */
  #checkBits(): void {
    const { bench } = this;
    const inSync = this.#inSyncPaths();
    const [first, ...others] = inSync;
    if (first === undefined || others.length === 0) return;
    const bits = inSync.map(
      (path) =>
        new Set(Array.from({ length: bench.slots }, (_, slot) => bench.bits(path, slot)).flat()),
    );
    for (const { offset } of this.#places.values()) {
      const copies = inSync.flatMap((path) => {
        const position = bench.positionOn(path, offset);
        return position === null ? [] : [bench.content(path)[position]];
      });
      const values = new Set(copies);
      if (values.size < 2) continue;
      const chunk = Math.floor(offset / CHUNK_BYTES);
      const isKnown = bits.every((set) => set.has(chunk));
      assert(isKnown, `copies differ in chunk ${chunk}, and no bit of some leg says so`);
    }
  }

  /** Members that every living node counts as in sync. */
  #inSyncPaths(): string[] {
    const nodes = this.bench.nodes.filter((node) => !node.isDead);
    return [...this.bench.disks.keys()].filter(
      (path) => nodes.length > 0 && nodes.every((node) => node.memberState(path) === "in_sync"),
    );
  }

  #checkPlace({ offset, possible }: Place, path: string, when: string): void {
    const position = this.bench.positionOn(path, offset);
    if (position === null) return;
    const page = this.bench.content(path).subarray(position, position + PAGE);
    const [value = 0] = page;
    assert(
      page.every((byte) => byte === value),
      `a torn page at ${offset} of ${path}`,
    );
    assert(
      possible.has(value),
      `${path} has ${value} at ${offset} ${when}, not ${[...possible].join(" or ")}`,
    );
  }
}

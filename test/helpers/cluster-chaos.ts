/**
 * Nodes of an array's cluster that do everything at once, over a store that does what etcd may do,
 * and die, are expelled and join at any time. What must hold is checked at the moment it must:
 *
 * - one node at a time writes superblocks, and one resyncs; the next one only when the last one has
 *   said that it is done, or can write no more (its gate is closed);
 * - a range is granted when every node that takes part, and could still write, has it suspended;
 * - an update is answered when every such node has read it;
 * - updates are read in the same order everywhere;
 * - a slot is recovered by one node at a time, and only when its last node can write no more.
 */

import { joinArray } from "../../src/cluster/node/cluster-driver.ts";
import type { Prng } from "../../src/common/prng.ts";
import type { ClusterAnswer, ClusterCall } from "../../src/raid/cluster-port.ts";
import { ClusterHost, type ClusterWorld } from "./cluster-host.ts";

type Job = "idle" | "update" | "pass" | "message" | "device";

interface ChaosNode {
  readonly host: ClusterHost;
  phase: "joining" | "in" | "out" | "left";
  /** What its array does now. */
  job: Job;
  /** Of the call that is awaited, and what to do then. */
  waiting: { readonly id: number; readonly then: (answer: ClusterAnswer) => void } | null;
  /** It may write superblocks; it may resync. */
  hasHold: boolean;
  hasResync: boolean;
  /** By slot of the sender: what its array holds writes in. */
  readonly suspended: Map<number, string>;
  /** The numbers of the updates it has read or made, in order. */
  readonly updates: number[];
  recovering: number | null;
  /** The pass under way was asked for after the last recovery; passes that were. */
  covers: boolean;
  passes: number;
  /** It has recovered a slot, and not told superblocks since. */
  owesUpdate: boolean;
}

export class ClusterChaos {
  readonly world: ClusterWorld;
  readonly prng: Prng;
  readonly nodes: ChaosNode[] = [];
  readonly counts = { updates: 0, windows: 0, recoveries: 0, expelled: 0, killed: 0, devices: 0 };
  /** Nodes do nothing new. */
  isQuiet = false;
  #update = 0;
  #names = 0;

  constructor(world: ClusterWorld, prng: Prng) {
    this.world = world;
    this.prng = prng;
  }

  get living(): readonly ChaosNode[] {
    return this.nodes.filter(({ phase }) => phase === "in");
  }

  /** Begins to join; it takes part some time later, or there is no slot. */
  async join(): Promise<void> {
    this.#names += 1;
    const host = new ClusterHost(`n${this.#names}`);
    host.holds = new Set(["metadata-updated", "resyncing", "recover-slot", "remove", "re-add"]);
    const node: ChaosNode = {
      host,
      phase: "joining",
      job: "idle",
      waiting: null,
      hasHold: false,
      hasResync: false,
      suspended: new Map(),
      updates: [],
      recovering: null,
      covers: false,
      passes: 0,
      owesUpdate: false,
    };
    this.nodes.push(node);
    try {
      host.cluster = await joinArray(this.world.options(host));
      this.world.hosts.push(host);
      await host.cluster.start();
      if (node.phase === "joining" && !host.isExpelled) node.phase = "in";
    } catch {
      node.phase = "out";
    }
  }

  kill(): void {
    const victims = this.living;
    if (victims.length === 0) return;
    const victim = this.prng.pick(victims);
    victim.phase = "out";
    victim.host.die();
    this.counts.killed += 1;
  }

  /** Something happens at each node that lives. */
  turn(): void {
    for (const node of this.nodes) {
      const { host } = node;
      if (host.isExpelled && (node.phase === "in" || node.phase === "joining")) {
        node.phase = "out";
        this.counts.expelled += 1;
      }
      if (node.phase === "out" || host.cluster === null) continue;
      this.#carryOut(node);
      if (node.phase === "in") this.#act(node);
    }
  }

  // --- what nodes are told ----------------------------------------------------------------------

  #carryOut(node: ChaosNode): void {
    const { host } = node;
    const { held } = host;
    if (held === null) return;
    if (held.type === "recover-slot" && node.recovering === null)
      this.#startRecovery(node, held.slot);
    if (this.prng.chance(1, 3)) return;
    if (held.type === "resyncing") node.suspended.set(held.slot, `${held.lo}-${held.hi}`);
    if (held.type === "metadata-updated") node.updates.push(held.deviceNumber);
    if (held.type === "recover-slot") {
      node.recovering = null;
      // Its bits need a pass that has not begun yet.
      node.passes = 0;
      node.covers = false;
      node.owesUpdate = true;
    }
    host.carryOut();
  }

  #startRecovery(node: ChaosNode, slot: number): void {
    node.recovering = slot;
    this.counts.recoveries += 1;
    for (const other of this.nodes) {
      if (other === node || !this.#canWrite(other)) continue;
      if (other.host.cluster?.slot === slot && other.phase !== "left")
        throw new Error(`slot ${slot} is recovered while ${other.host.name} can write`);
      if (other.recovering === slot)
        throw new Error(`slot ${slot} is recovered by ${node.host.name} and ${other.host.name}`);
    }
  }

  /** Whether it could still submit I/O. */
  #canWrite({ host, phase }: ChaosNode): boolean {
    return phase !== "left" && host.gateUntil > this.world.clock.now();
  }

  // --- what nodes do ----------------------------------------------------------------------------

  #act(node: ChaosNode): void {
    const { waiting, host } = node;
    if (waiting !== null) {
      const answer = host.answers.get(waiting.id);
      if (answer === undefined) return;
      node.waiting = null;
      waiting.then(answer);
      return;
    }
    if (node.job !== "idle") return;
    if (node.owesUpdate) this.#makeUpdate(node);
    else if (node.passes === 0) this.#pass(node);
    else if (!this.isQuiet && this.prng.chance(1, 4)) this.#begin(node);
  }

  #begin(node: ChaosNode): void {
    const job = this.prng.pick<Job>(["update", "update", "pass", "message", "device"]);
    if (job === "update") this.#makeUpdate(node);
    else if (job === "pass") this.#pass(node);
    else if (job === "device") this.#addDevice(node);
    else {
      node.job = "message";
      const deviceNumber = this.prng.below(8);
      const type = this.prng.pick(["remove-disk", "gather-bitmaps"] as const);
      this.#ask(node, { type, deviceNumber }, () => {
        node.job = "idle";
      });
    }
  }

  #ask(node: ChaosNode, call: ClusterCall, then: (answer: ClusterAnswer) => void): void {
    node.waiting = { id: node.host.ask(call), then };
  }

  #makeUpdate(node: ChaosNode, then: () => void = () => {}): void {
    node.job = "update";
    this.#ask(node, { type: "metadata-update-start" }, () => {
      this.#mustBeAlone(node, "hasHold");
      node.hasHold = true;
      if (this.prng.chance(1, 5)) {
        node.hasHold = false;
        this.#ask(node, { type: "metadata-update-cancel" }, () => this.#end(node, then));
        return;
      }
      node.owesUpdate = false;
      this.#update += 1;
      const deviceNumber = this.#update;
      const others = this.living.filter((other) => other !== node);
      node.updates.push(deviceNumber);
      node.hasHold = false;
      this.#ask(node, { type: "metadata-update-finish", deviceNumber, events: 1 }, () => {
        this.counts.updates += 1;
        for (const other of others)
          if (
            other.phase === "in" &&
            this.#canWrite(other) &&
            !other.updates.includes(deviceNumber)
          )
            throw new Error(`${other.host.name} has not read update ${deviceNumber}`);
        this.#end(node, then);
      });
    });
  }

  #end(node: ChaosNode, then: () => void): void {
    node.job = "idle";
    then();
  }

  #addDevice(node: ChaosNode): void {
    node.job = "device";
    const uuid = "0123456789abcdef0123456789abcdef";
    this.#ask(node, { type: "add-new-disk-start", uuid, deviceNumber: 9 }, () => {
      this.#mustBeAlone(node, "hasHold");
      node.hasHold = true;
      this.counts.devices += 1;
      this.#ask(node, { type: "add-new-disk-finish", isAdded: true }, () => {
        node.hasHold = false;
        this.#makeUpdate(node);
      });
    });
  }

  #pass(node: ChaosNode): void {
    node.job = "pass";
    node.covers = true;
    this.#ask(node, { type: "resync-start" }, () => {
      this.#mustBeAlone(node, "hasResync");
      node.hasResync = true;
      this.#window(node, this.prng.below(3));
    });
  }

  #window(node: ChaosNode, left: number): void {
    const { host } = node;
    if (left === 0) {
      node.hasResync = false;
      this.#ask(node, { type: "resync-finish" }, () => {
        node.job = "idle";
        if (node.covers) node.passes += 1;
      });
      return;
    }
    const lo = this.prng.below(1000);
    const hi = lo + 1 + this.prng.below(1000);
    const others = this.living.filter((other) => other !== node);
    this.#ask(node, { type: "resync-info-update", lo, hi }, () => {
      this.counts.windows += 1;
      for (const other of others) {
        const isTold = other.suspended.get(host.slot) === `${lo}-${hi}`;
        if (other.phase === "in" && this.#canWrite(other) && !isTold)
          throw new Error(`${other.host.name} does not hold ${lo}-${hi} of ${host.name}`);
      }
      this.#window(node, left - 1);
    });
  }

  #mustBeAlone(node: ChaosNode, right: "hasHold" | "hasResync"): void {
    for (const other of this.nodes)
      if (other !== node && other[right] && this.#canWrite(other))
        throw new Error(`${node.host.name} and ${other.host.name} at once: ${right}`);
  }

  /** Everybody's updates are in one order. */
  checkOrder(): void {
    const all = this.nodes.map(({ updates }) => updates);
    for (const [index, mine] of all.entries())
      for (const other of all.slice(index + 1)) {
        const common = mine.filter((one) => other.includes(one));
        const theirs = other.filter((one) => mine.includes(one));
        if (common.join() !== theirs.join())
          throw new Error(`updates in two orders: ${common} and ${theirs}`);
      }
    for (const updates of all)
      if (new Set(updates).size !== updates.length) throw new Error(`read twice: ${updates}`);
  }

  /** For a failure's message. */
  get story(): string {
    return this.nodes
      .filter(({ phase }) => phase !== "out")
      .map(({ host, phase, job, passes, waiting }) => {
        const call = waiting === null ? "" : `call ${waiting.id}`;
        return `${host.name} ${phase} ${job} ${passes} ${call} ${host.isSuspended ? "suspended" : ""}`;
      })
      .join("\n");
  }

  /** At rest: nothing waits, no slot is left, reads are balanced. */
  isAtRest(): boolean {
    return this.nodes.every(({ phase, host, job, passes, owesUpdate }) => {
      if (phase === "out") return true;
      if (phase === "joining") return false;
      const { waits, slots } = host.view;
      const isClean = slots.every(({ condition }) => condition === "free" || condition === "live");
      const isDone = job === "idle" && passes > 0 && !owesUpdate;
      return isClean && waits.length === 0 && isDone && !host.isSuspended;
    });
  }
}

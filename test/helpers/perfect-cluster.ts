/**
 * A cluster without faults, in memory: one message after another, locks in order of arrival. What
 * cluster-port.ts says, and nothing else. Deliveries to a node come in order; when each comes is
 * the bench's choice.
 */
import { assert } from "../../src/common/assert.ts";
import type {
  ClusterAnswer,
  ClusterCall,
  ClusterNotice,
  ClusterState,
} from "../../src/raid/cluster-port.ts";

export type Delivery =
  | { readonly type: "cluster-answer"; readonly id: number; readonly answer: ClusterAnswer }
  | { readonly type: "cluster-notice"; readonly id: number; readonly notice: ClusterNotice }
  | { readonly type: "cluster-state"; readonly state: ClusterState };

interface Message {
  readonly origin: number;
  readonly notice: ClusterNotice;
  /** Nodes that have not processed it. */
  readonly waiting: Map<number, number>;
  readonly done: () => void;
}

const OK: ClusterAnswer = { ok: true };

const updated = ({
  deviceNumber,
  events,
}: Extract<ClusterCall, { type: "metadata-update-finish" }>): ClusterNotice => ({
  type: "metadata-updated",
  deviceNumber,
  events,
});

export class PerfectCluster {
  /** What is told each node that is in, oldest first. */
  readonly #inboxes = new Map<number, Delivery[]>();
  /** Messages that were sent, in order: `0 metadata-updated`, `1 resyncing 0-64` … */
  readonly log: string[] = [];
  /** What nodes said of new devices: `1 found`, `2 unavailable`. */
  readonly acks: string[] = [];
  /** Who may send and write superblocks, and who waits for it. */
  #holder: number | null = null;
  /** The holder keeps the right over several messages. */
  #isKept = false;
  readonly #queue: {
    readonly node: number;
    readonly keeps: boolean;
    readonly granted: () => void;
  }[] = [];
  #message: Message | null = null;
  /** What the holder sends after that. */
  readonly #letters: (() => void)[] = [];
  #resyncer: number | null = null;
  readonly #resyncQueue: { readonly node: number; readonly granted: () => void }[] = [];
  readonly #ranges = new Map<number, { readonly lo: number; readonly hi: number }>();
  /** Nodes that did not see the new device; null: none is being added. */
  #refusals: number[] | null = null;
  /** What every node has acknowledged that this one resyncs: nobody else writes there. */
  readonly acknowledged = new Map<number, { readonly lo: number; readonly hi: number }>();
  /** Slots whose bitmaps somebody recovers, by notice. */
  readonly #recovering = new Map<number, { readonly slot: number; readonly by: number }>();
  /** Slots of nodes that are gone and that nobody was there to recover. */
  readonly #dead = new Set<number>();
  /** Nodes that owe a pass for a slot they took over; true: it has begun. */
  readonly #owes = new Map<number, boolean>();
  #isSuspended = false;
  /** What nodes that left are told last. */
  readonly #left = new Map<number, Delivery>();
  #nextNotice = 1;

  get nodes(): number[] {
    return [...this.#inboxes.keys()];
  }

  get isIdle(): boolean {
    const mail = [...this.#inboxes.values()].some((inbox) => inbox.length > 0);
    return !mail && this.#left.size === 0;
  }

  /** Who may write superblocks now. */
  get holder(): number | null {
    return this.#holder;
  }

  get resyncer(): number | null {
    return this.#resyncer;
  }

  join(node: number): void {
    assert(!this.#inboxes.has(node), "a slot has one node");
    const inbox: Delivery[] = [];
    this.#inboxes.set(node, inbox);
    for (const [slot, { lo, hi }] of this.#ranges)
      if (slot !== node && hi > 0) this.#tell(node, { type: "resyncing", slot, lo, hi });
    if (this.#isSuspended) this.#suspendBalancing(node, true);
    this.#dead.delete(node);
    for (const slot of this.#dead) this.#recover(node, slot);
    this.#dead.clear();
  }

  /** No node has the slot, and its bits are another one's by now. */
  isFree(slot: number): boolean {
    const isTaken = [...this.#recovering.values()].some((recovery) => recovery.slot === slot);
    return !this.#inboxes.has(slot) && !this.#dead.has(slot) && !isTaken;
  }

  /** The oldest thing that the node is to be told. */
  take(node: number): Delivery | null {
    const last = this.#left.get(node) ?? null;
    this.#left.delete(node);
    return last ?? this.#inboxes.get(node)?.shift() ?? null;
  }

  hasMail(node: number): boolean {
    return this.#left.has(node) || (this.#inboxes.get(node)?.length ?? 0) > 0;
  }

  call(node: number, id: number, call: ClusterCall): void {
    const answer = (given: ClusterAnswer = OK): void => {
      this.#inboxes.get(node)?.push({ type: "cluster-answer", id, answer: given });
    };
    switch (call.type) {
      case "metadata-update-start":
        // The update that tells of a new device is one with the hold that began with it.
        if (this.#holder === node && this.#isKept) return answer();
        return this.#hold(node, true, answer);
      case "metadata-update-finish":
        this.#isKept = false;
        return this.#send(node, updated(call), () => {
          this.#release(node);
          answer();
        });
      case "outrun":
        return answer({ ok: true, events: call.events });
      case "metadata-update-cancel":
        this.#release(node);
        return answer();
      case "resync-start":
        this.#resyncQueue.push({ node, granted: answer });
        return this.#nextResyncer();
      case "resync-info-update":
        return this.#tellRange(node, call, answer);
      case "resync-finish":
        return this.#tellRange(node, { lo: 0, hi: 0 }, () => {
          this.#endResync(node);
          answer();
        });
      case "add-new-disk-start":
        return this.#hold(node, true, () => this.#offerDevice(node, call, answer));
      case "add-new-disk-finish":
        return answer();
      case "new-disk-ack":
        this.acks.push(`${node} ${call.isFound ? "found" : "unavailable"}`);
        if (!call.isFound) this.#refusals?.push(node);
        this.#message?.waiting.delete(node);
        answer();
        return this.#endMessage();
      case "remove-disk":
        return this.#sendAlone(node, { ...call, type: "remove" }, answer);
      case "gather-bitmaps":
        return this.#sendAlone(node, { ...call, type: "re-add" }, answer);
      case "lock-all-bitmaps":
        return answer(this.nodes.length === 1 ? OK : IN_USE);
      case "unlock-all-bitmaps":
        return answer();
      case "bitmap-resize":
        this.#refusals = [];
        return this.#send(node, { ...call, slot: node }, () => {
          const refused = (this.#refusals ?? []).length > 0;
          this.#refusals = null;
          answer(refused ? BUSY : OK);
        });
      case "change-capacity":
        return this.#send(node, call, answer);
      case "leave":
        return this.#leave(node, id, call.needsSync);
    }
  }

  processed(node: number, id: number, isRefused = false): void {
    if (isRefused) this.#refusals?.push(node);
    if (this.#recovering.delete(id)) {
      this.#owes.set(node, false);
      return;
    }
    const message = this.#message;
    if (message?.waiting.get(node) !== id) return;
    message.waiting.delete(node);
    this.#endMessage();
  }

  /**
   * The node is gone for good: what it sent is finished, what it held is free, and another one
   * recovers its bitmap.
   */
  remove(node: number, needsSync = true): void {
    this.#inboxes.delete(node);
    this.#drop(this.#queue, node);
    this.#drop(this.#resyncQueue, node);
    const unfinished = [...this.#recovering].filter(([, { by }]) => by === node);
    for (const [id, { slot }] of unfinished) {
      this.#recovering.delete(id);
      this.#dead.add(slot);
    }
    if (needsSync) this.#dead.add(node);
    if (this.#dead.size > 0) this.#balance(false);
    this.#owes.delete(node);
    this.#message?.waiting.delete(node);
    const isSending = this.#message?.origin === node;
    this.#endMessage();
    if (this.#holder === node && !isSending) this.#release(node);
    this.acknowledged.delete(node);
    if ((this.#ranges.get(node)?.hi ?? 0) > 0) {
      for (const other of this.nodes)
        this.#tell(other, { type: "resyncing", slot: node, lo: 0, hi: 0 });
    }
    this.#ranges.delete(node);
    if (this.#resyncer === node) this.#endResync(node);
    const [heir] = this.nodes;
    if (heir === undefined) return;
    for (const slot of this.#dead) this.#recover(heir, slot);
    this.#dead.clear();
  }

  #recover(by: number, slot: number): void {
    this.#recovering.set(this.#tell(by, { type: "recover-slot", slot }), { slot, by });
  }

  // --- the right to send ------------------------------------------------------------------------

  #hold(node: number, keeps: boolean, granted: () => void): void {
    this.#queue.push({ node, keeps, granted });
    this.#next();
  }

  #next(): void {
    if (this.#holder !== null || this.#message !== null) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#holder = next.node;
    this.#isKept = next.keeps;
    next.granted();
  }

  #release(node: number): void {
    assert(this.#holder === node, "only who holds it gives it back");
    this.#holder = null;
    this.#letters.length = 0;
    this.#next();
  }

  /** Within a hold of its own every message of a node goes out, whoever asked first. */
  #sendAlone(node: number, notice: ClusterNotice, done: () => void): void {
    if (this.#holder === node && this.#isKept) return this.#send(node, notice, done);
    this.#hold(node, false, () =>
      this.#send(node, notice, () => {
        this.#release(node);
        done();
      }),
    );
  }

  #send(node: number, notice: ClusterNotice, done: () => void): void {
    assert(this.#holder === node, "only the holder sends");
    if (this.#message !== null) {
      this.#letters.push(() => this.#send(node, notice, done));
      return;
    }
    const { type, ...rest } = notice;
    this.log.push([node, type, ...Object.values(rest)].join(" "));
    const waiting = new Map<number, number>();
    for (const other of this.nodes) {
      if (other !== node) waiting.set(other, this.#tell(other, notice));
    }
    this.#message = { origin: node, notice, waiting, done };
    this.#endMessage();
  }

  #endMessage(): void {
    const message = this.#message;
    if (message === null || message.waiting.size > 0) return;
    this.#message = null;
    if (this.#inboxes.has(message.origin)) message.done();
    else if (this.#holder === message.origin) this.#release(message.origin);
    if (this.#message === null) this.#letters.shift()?.();
  }

  #tell(node: number, notice: ClusterNotice): number {
    const id = this.#nextNotice++;
    this.#inboxes.get(node)?.push({ type: "cluster-notice", id, notice });
    return id;
  }

  // --- sync actions -----------------------------------------------------------------------------

  #tellRange(node: number, { lo, hi }: { lo: number; hi: number }, done: () => void): void {
    this.#ranges.set(node, { lo, hi });
    const before = this.acknowledged.get(node) ?? { lo: 0, hi: 0 };
    // Some nodes write by the new range already, some by the one before.
    const both = { lo: Math.max(lo, before.lo), hi: Math.min(hi, before.hi) };
    this.acknowledged.set(node, both);
    this.#sendAlone(node, { type: "resyncing", slot: node, lo, hi }, () => {
      this.acknowledged.set(node, { lo, hi });
      done();
    });
  }

  #nextResyncer(): void {
    if (this.#resyncer !== null) return;
    const next = this.#resyncQueue.shift();
    if (next === undefined) return;
    this.#resyncer = next.node;
    if (this.#owes.has(next.node)) this.#owes.set(next.node, true);
    next.granted();
  }

  #endResync(node: number): void {
    if (this.#owes.get(node) === true) this.#owes.delete(node);
    if (this.#owes.size + this.#recovering.size + this.#dead.size === 0) this.#balance(true);
    if (this.#resyncer !== node) return;
    this.#resyncer = null;
    this.#nextResyncer();
  }

  #balance(isFree: boolean): void {
    if (isFree !== this.#isSuspended) return;
    this.#isSuspended = !isFree;
    for (const node of this.nodes) this.#suspendBalancing(node, !isFree);
  }

  #suspendBalancing(node: number, isSuspended: boolean): void {
    const state = { type: "read-balancing", isSuspended } as const;
    this.#inboxes.get(node)?.push({ type: "cluster-state", state });
  }

  // --- devices, leaving -------------------------------------------------------------------------

  #offerDevice(
    node: number,
    { uuid, deviceNumber }: Extract<ClusterCall, { type: "add-new-disk-start" }>,
    answer: (given: ClusterAnswer) => void,
  ): void {
    this.#refusals = [];
    this.#send(node, { type: "new-disk", uuid, deviceNumber }, () => {
      const refusals = this.#refusals ?? [];
      this.#refusals = null;
      const message = `node ${refusals.join(", ")} does not see the device`;
      answer(refusals.length === 0 ? OK : { ok: false, code: "CLUSTER_DEVICE_NOT_SEEN", message });
    });
  }

  #leave(node: number, id: number, needsSync: boolean): void {
    this.log.push(`${node} leave${needsSync ? " needs sync" : ""}`);
    this.remove(node, needsSync);
    this.#left.set(node, { type: "cluster-answer", id, answer: OK });
  }

  #drop(queue: { readonly node: number }[], node: number): void {
    for (let at = queue.length - 1; at >= 0; at--)
      if (queue[at]?.node === node) queue.splice(at, 1);
  }
}

const BUSY: ClusterAnswer = {
  ok: false,
  code: "CLUSTER_NODE_BUSY",
  message: "a node cannot rest",
};

const IN_USE: ClusterAnswer = {
  ok: false,
  code: "CLUSTER_BITMAP_IN_USE",
  message: "another node uses the array",
};

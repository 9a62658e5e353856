/**
 * Looks at what boards do with their disks for each other.
 *   I8  while a request of one life of a board's exports is at a disk, another life begins none
 *   I9  an acknowledged fence: nothing of the session is at the board's disks, or comes there;
 *       a node is declared dead only when every exporter has acknowledged, and when it, and what
 *       exporters that are gone would do for it, is behind a closed gate; what reaches a disk all
 *       the same is read by nobody before the disk was brought in line
 *   I16 an exporter begins nothing behind a closed gate, nor in a life that is over
 */

import { BoardKeys } from "../../../src/cluster/store/board-keys.ts";
import type { KeyChange } from "../../../src/cluster/store/cluster-store.ts";
import { keyOf } from "../../../src/cluster/store/revisioned-map.ts";
import type { Session } from "../../../src/cluster/store/store-keys.ts";
import type { BoardHost } from "./board-host.ts";
import { CLUSTER_NAME } from "./cluster-media.ts";
import type { ClusterSim } from "./cluster-sim.ts";
import type { Caller, CallerLife, MediumWrite, Server, SharedMedium } from "./shared-medium.ts";
import type { ServiceChecks } from "./sim-world.ts";

/** The world, and which board has which medium. */
type World = ClusterSim & {
  readonly hosts: readonly BoardHost[];
  hostOf(medium: SharedMedium): BoardHost;
};

export class BoardChecks implements ServiceChecks {
  readonly #sim: World;
  readonly #boards = new BoardKeys(CLUSTER_NAME);
  /** By board: the life whose key is there. */
  readonly #lives = new Map<string, number>();
  /** By board and slot: the highest epoch whose fence the board has acknowledged. */
  readonly #fences = new Map<string, number>();
  /** As `fences`, with the life that said so: it holds when the key has gone with that life. */
  readonly #words = new Map<string, { readonly life: number; readonly epoch: number }>();
  /** By slot: when its member key went last. */
  readonly #gone = new Map<number, number>();
  /** Epochs of sessions whose bits somebody has begun to take over. */
  readonly #recovered = new Set<number>();
  /** What writes of recovered sessions have reached. */
  readonly #tainted = new Map<SharedMedium, string>();

  constructor(sim: World) {
    this.#sim = sim;
    sim.etcd.memory.subscribe((changes) => {
      for (const change of changes) this.#see(change);
    });
  }

  #see(change: KeyChange): void {
    const { keys } = this.#sim;
    const key = keyOf(change);
    const now = change.type === "put" ? change.now : null;
    const board = this.#boards.boardIn(key);
    if (board !== null) {
      this.#sim.trace(null, () => `store: b/${board} ${now === null ? "is gone" : "is there"}`);
      if (now === null) this.#lives.delete(board);
      else this.#lives.set(board, now.createRevision);
    }
    const slot = keys.slotIn(key);
    if (slot !== null && key === keys.member(slot) && change.type === "delete")
      this.#gone.set(slot, change.revision);
    const fence = /^fd\/([^/]+)\/(\d+)$/.exec(key.slice(keys.prefix.length));
    if (fence === null || !key.startsWith(keys.prefix)) return;
    const [, name = "", number] = fence;
    if (now === null) this.#fences.delete(`${name} ${number}`);
    else this.#onFence(name, { slot: Number(number), epoch: Number(now.value) });
  }

  #onFence(board: string, { slot, epoch }: Session): void {
    this.#fences.set(`${board} ${slot}`, epoch);
    this.#words.set(`${board} ${slot}`, { life: this.#lives.get(board) ?? 0, epoch });
    const host = this.#sim.hosts.find(({ name }) => name === board);
    for (const medium of host?.disks.values() ?? [])
      for (const { caller } of medium.underWay)
        if (this.#isOf(caller.life, { slot, epoch }))
          this.#bad("I9", `${board} acknowledges slot ${slot}, and a write of it is under way`);
  }

  #isOf(life: CallerLife, { slot, epoch }: Session): boolean {
    const session = this.#sim.storeChecks.sessionOf(life.number);
    return session !== null && session.slot === slot && session.epoch <= epoch;
  }

  #isFencedAt(board: string, life: CallerLife): boolean {
    const session = this.#sim.storeChecks.sessionOf(life.number);
    if (session === null) return false;
    return (this.#fences.get(`${board} ${session.slot}`) ?? 0) >= session.epoch;
  }

  // --- at the disks -----------------------------------------------------------------------------

  serves(medium: SharedMedium, { life }: Caller, { board, epoch, isOpen }: Server): void {
    if (!isOpen) this.#bad("I16", `${board} begins a request behind a closed gate`);
    for (const { caller } of medium.underWay)
      if (caller.via !== undefined && caller.via.epoch < epoch)
        this.#bad("I8", `life ${epoch} of ${board} begins, and life ${caller.via.epoch} writes`);
    const session = this.#sim.storeChecks.sessionOf(life.number);
    if (this.#isFencedAt(board, life))
      this.#bad(
        "I9",
        `${board} begins a request of node ${life.node}, whose fence it acknowledged`,
      );
    const gone = session === null ? 0 : (this.#gone.get(session.slot) ?? 0);
    if (session !== null && gone > session.epoch && gone < epoch)
      this.#bad("I9", `${board} serves a session that was over before its life ${epoch} began`);
  }

  reads(medium: SharedMedium, { node }: CallerLife): void {
    const late = this.#tainted.get(medium);
    if (late !== undefined) this.#bad("I9", `node ${node} reads ${medium.path}, ${late}`);
  }

  recovers(slot: number): void {
    this.#recovered.add(this.#epochOf(slot) ?? 0);
  }

  /** One that comes before its session's bits are taken over is told by them. */
  late(medium: SharedMedium, { caller, offset }: MediumWrite): void {
    const { name } = this.#sim.hostOf(medium);
    const { node } = caller.life;
    const text = `which a write of node ${node} at ${offset} reached after its recovery`;
    if (this.#isFencedAt(name, caller.life))
      this.#bad("I9", `${name} has fenced ${medium.path}, ${text}`);
    this.#sim.count("late write");
    const { epoch } = this.#sim.storeChecks.sessionOf(caller.life.number) ?? { epoch: 0 };
    if (!this.#recovered.has(epoch)) return;
    const { inSync, rebuilding } = this.#sim.mediaChecks.roles;
    if (inSync.includes(medium) || rebuilding.includes(medium)) this.#tainted.set(medium, text);
  }

  /** AFTER superblocks have changed: a member that is out is copied before anybody reads it. */
  rolesChanged(): void {
    const { inSync, rebuilding } = this.#sim.mediaChecks.roles;
    for (const medium of this.#tainted.keys())
      if (!inSync.includes(medium) && !rebuilding.includes(medium)) this.#tainted.delete(medium);
  }

  /** The slot is declared dead: nothing of it writes any more. */
  dead(slot: number): void {
    const gone = this.#gone.get(slot) ?? 0;
    for (const [board, epoch] of this.#lives) {
      const fenced = this.#fences.get(`${board} ${slot}`) ?? 0;
      if (epoch < gone && fenced < (this.#epochOf(slot) ?? 0))
        this.#bad("I9", `slot ${slot} is declared dead before ${board} has acknowledged its fence`);
    }
    for (const { name, process, board } of this.#sim.hosts) {
      const { exporter } = process ?? {};
      const isOld = exporter?.epoch !== this.#lives.get(name);
      const hasSaid = this.#hasSaid(name, exporter?.epoch ?? null, slot);
      if (isOld && exporter?.isGateOpen === true && exporter.epoch !== null && !hasSaid)
        this.#bad(
          "I9",
          `slot ${slot} is declared dead, and ${name}, which is gone, has its gate open`,
        );
      const { life } = board;
      if (life === null || life.slot !== slot - 1 || life.isExpelled || !life.isGated) continue;
      const isIt = this.#sim.storeChecks.members.get(slot)?.life !== life.number;
      if (isIt && life.clock.now() < life.gateUntil)
        this.#bad("I9", `slot ${slot} is declared dead, and node ${life.node} has its gate open`);
    }
  }

  /** Whoever has acknowledged the fence and goes after that serves the session no more. */
  #hasSaid(board: string, life: number | null, slot: number): boolean {
    const word = this.#words.get(`${board} ${slot}`);
    return word !== undefined && word.life === life && word.epoch >= (this.#epochOf(slot) ?? 0);
  }

  /** Of the last session that the slot had. */
  #epochOf(slot: number): number | null {
    const { storeChecks } = this.#sim;
    return storeChecks.sessionOf(storeChecks.holderOf(slot))?.epoch ?? null;
  }

  #bad(invariant: string, what: string): void {
    this.#sim.violate(`${invariant}: ${what}`);
  }
}

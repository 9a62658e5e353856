/** What the parts of a simulated cluster share; cluster-sim.ts is the world. */

import type { BoardKeys } from "../../../src/cluster/store/board-keys.ts";
import type { ClusterStore } from "../../../src/cluster/store/cluster-store.ts";
import type { StoreKeys } from "../../../src/cluster/store/store-keys.ts";
import type { CodedError } from "../../../src/common/errors.ts";
import type { Prng } from "../../../src/common/prng.ts";
import type { BlockDevice } from "../../../src/hal/block-device.ts";
import type { ArrayEvent } from "../../../src/raid/array-messages.ts";
import type { ClusterNotice } from "../../../src/raid/cluster-port.ts";
import type { SharedArrayState } from "../../../src/raid/shared-state.ts";
import type { FakeEtcd } from "../../helpers/fake-etcd.ts";
import type { ArrayCopies } from "./array-copies.ts";
import type { MediaRoles } from "./cluster-media.ts";
import type { MessageChecks } from "./message-checks.ts";
import type { Caller, CallerLife, MediumWrite, Server, SharedMedium } from "./shared-medium.ts";
import type { Delay, Timeline } from "./timeline.ts";
import type { TraceText } from "./trace-log.ts";

/** How long things take in a seed. `disk` stays below what fencing allows for. */
export interface Delays {
  readonly disk: Delay;
  readonly store: Delay;
  readonly thread: Delay;
}

/** A thread's handle of a medium. */
export interface SimHandle extends BlockDevice {
  /** A call may still have its effect. */
  readonly owes: boolean;
}

export interface OpenedMedium {
  readonly medium: SharedMedium;
  readonly device: BlockDevice;
}

/** Who has to know of updates of the superblocks. */
export interface UpdateWatch {
  /** As the superblocks give them now. */
  readonly roles: MediaRoles;
  /** Every node has read the superblocks as they are now, or later. */
  updateDone(): void;
}

export interface SimWorld {
  readonly prng: Prng;
  readonly timeline: Timeline;
  readonly delays: Delays;
  /** Between looks whether a region is free; null: as long as a thread takes to turn. */
  readonly regionWait: Delay | null;
  /** Bitmaps of the array: as many nodes can use it. */
  readonly nodes: number;
  readonly media: readonly SharedMedium[];
  readonly copies: ArrayCopies;
  readonly setUuid: Uint8Array;
  readonly keys: StoreKeys;
  readonly etcd: FakeEtcd;
  readonly planted: PlantedFault;
  readonly storeChecks: { readonly messages: MessageChecks };
  readonly mediaChecks: UpdateWatch;
  /** Bytes per second of sync actions. */
  readonly syncSpeed: number;
  /** Lives that somebody has begun to recover. */
  readonly recovered: ReadonlySet<CallerLife>;
  /** Every event is told to somebody, not only the last ones kept. */
  readonly isTraced: boolean;
  trace(life: CallerLife | null, text: TraceText): void;
  /** Notes what happened, by name. */
  count(what: string): void;
  /** Notes what is violated; the simulation ends after the event under way. */
  violate(what: string): void;
  medium(path: string): SharedMedium;
  /** AFTER superblocks have changed. */
  rolesChanged(): void;
  /** Those whose superblocks count: what is left behind by force does not. */
  readonly counted: readonly SharedMedium[];
  /** An administrator has the node start, though newer copies are elsewhere. */
  isForced(life: CallerLife): boolean;
  /** It starts from older copies, BEFORE anything is written; its first update has `to` events. */
  onForced(life: CallerLife, to: number, members: readonly SharedMedium[]): void;
  /** Of boards that serve their disks to each other; null: every board has every medium. */
  readonly boardKeys: BoardKeys | null;
  readonly service: ServiceChecks | null;
  isHidden(life: CallerLife, medium: SharedMedium): boolean;
  /** What a node that starts can open; each handle is its array thread's. */
  openMembers(life: CallerLife): Promise<readonly OpenedMedium[]> | readonly OpenedMedium[];
  /** `quickness`: as DeviceUser. */
  openMedium(medium: SharedMedium, caller: Caller, quickness: number): SimHandle;
  /** Of its board: another one for each start of that. */
  bootOf(life: CallerLife): string;
  /** The node's next handle of the medium is that of a newcomer. */
  forgetMember(life: CallerLife, medium: SharedMedium): void;
  storeFor(life: CallerLife): ClusterStore;
  lifeOf(number: string): CallerLife | null;
  /** Whether the life of this number may still be a member. */
  isAlive(number: string): boolean;
  onExpelled(life: CallerLife): void;
  onStopped(life: CallerLife): void;
  /** Its array is broken, and it has left. */
  onBroken(life: CallerLife): void;
  /** Its array thread has ended unasked, and the node with it. */
  onThreadDied(life: CallerLife, error: CodedError): void;
  /** Somebody recovers the session of this life: it may write no more. */
  onRecovery(number: string): void;
  /** This life has a session: it may write, whatever became of one that ended while it joined. */
  onSession(number: string): void;
  onSlotDead(slot: number): void;
}

/** What lies on both sides of a notice's way from the cluster to the array and back. */
export interface NoticeEnds {
  readonly life: CallerLife;
  /** As it is now; another one after each change of the array. */
  readonly shared: SharedArrayState | null;
  dispatch(event: ArrayEvent): void;
  processed(id: number, isRefused: boolean): void;
  poke(): void;
}

export interface NoticePath {
  notice(id: number, notice: ClusterNotice): void;
  processed(id: number, isRefused: boolean): void;
}

/** What boards have to keep that serve their disks to each other. */
export interface ServiceChecks {
  /** BEFORE a board carries out a request of another one's node. */
  serves(medium: SharedMedium, caller: Caller, by: Server): void;
  /** BEFORE a client's read is on its way. */
  reads(medium: SharedMedium, life: CallerLife): void;
  /** BEFORE a node is told to take over the bits of this DLM slot. */
  recovers(slot: number): void;
  /** A write takes effect whose session somebody has begun to recover. */
  late(medium: SharedMedium, write: MediumWrite): void;
}

/** What a board's exports do as they must. */
export interface ExporterPlan {
  /** Whether a request may begin is asked right before it does. */
  readonly checksLate: boolean;
  /** A fence is acknowledged when what was begun has ended. */
  readonly drains: boolean;
}

/** What a node does as it must where boards serve their disks to each other. */
export interface NodePlan {
  /** Who is gone is fenced only when the boards have acknowledged it. */
  readonly awaitsBoards: boolean;
  /** That a lease is kept permits nothing. */
  readonly confirms: boolean;
  /** Who starts alone has the newest copy that was told of. */
  readonly heedsNewest: boolean;
  /** A member that returns is rebuilt by its own bits as well. */
  readonly readsOwnBits: boolean;
}

/** A rule that is broken between the product's parts; planted-faults.ts has them. */
export interface PlantedFault {
  readonly exporter: ExporterPlan;
  readonly node: NodePlan;
  /** Only these moves happen, beside boots: what shows the fault; null: any. */
  readonly focus: readonly string[] | null;
  noticePath(ends: NoticeEnds): NoticePath;
  /** A write of an I/O worker has taken effect on a medium. */
  clientWrote(world: SimWorld, medium: SharedMedium, write: MediumWrite): void;
  /** A slot waits for its recovery. */
  slotDied(world: SimWorld, slot: number): void;
}

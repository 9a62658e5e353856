/**
 * A board's member exports in the simulation, as the exporter's thread runs them: the product's
 * board session, view of the keys and fence ledger; what the network and the disks do is simulated.
 */

import { BoardKeys, clusterPrefix } from "../../../src/cluster/store/board-keys.ts";
import { BoardSession } from "../../../src/cluster/store/board-session-driver.ts";
import { BoardWatch } from "../../../src/cluster/store/board-watch.ts";
import type {
  ClusterStore,
  KeyChange,
  Txn,
  TxnOutcome,
} from "../../../src/cluster/store/cluster-store.ts";
import { fenceTime, PERMIT_MS } from "../../../src/cluster/store/permission.ts";
import { keyOf } from "../../../src/cluster/store/revisioned-map.ts";
import type { StoreKeys } from "../../../src/cluster/store/store-keys.ts";
import { ViewDriver } from "../../../src/cluster/store/view-driver.ts";
import { CodedError } from "../../../src/common/errors.ts";
import { FenceKeys } from "../../../src/peers/fence-keys.ts";
import { FenceLedger, type LedgerEffect, type SlotEpoch } from "../../../src/peers/fence-ledger.ts";
import type { MemberName } from "../../../src/peers/member-name.ts";
import type { PeerReply, PeerRequest, ServerEnd, SimConnection } from "./board-connection.ts";
import { boardName } from "./board-links.ts";
import { CLUSTER_NAME } from "./cluster-media.ts";
import type { SharedDevice } from "./shared-device.ts";
import type { Caller, Server, SharedMedium } from "./shared-medium.ts";
import type { ExporterPlan } from "./sim-world.ts";
import type { Life, NodeClock } from "./timeline.ts";

/** An ask that nothing answers is given up after so long, milliseconds. */
const ASK_MS = 4000;
/** Between looks at a closed gate. */
const GATE_LOOK_MS = 40;
/** Before another attempt, and before the next life. */
const AGAIN_MS = 400;
const CONNECTIONS_MAX = 256;

/** What it needs of its board. */
export interface ExporterHome {
  readonly name: string;
  /** Another one for each start. */
  readonly boot: string;
  readonly process: Life;
  readonly clock: NodeClock;
  readonly keys: StoreKeys;
  readonly plan: ExporterPlan;
  readonly disks: ReadonlyMap<string, SharedMedium>;
  storeFor(): ClusterStore;
  random(): number;
  open(medium: SharedMedium, caller: Caller): SharedDevice;
  /** Resolves after the time that a thread takes to turn to something. */
  turn(): Promise<void>;
  /** Resolves once the board's own nodes reach no disk for sessions of the slot up to `epoch`. */
  drainOwn(slot: number, epoch: number): Promise<void>;
  /** The boards that live have changed. */
  told(): void;
  trace(text: string): void;
}

interface Guest {
  readonly number: number;
  readonly link: SimConnection;
  readonly device: SharedDevice;
  isOver: boolean;
  atDevice: number;
}

export class SimExporter implements ServerEnd {
  readonly life: Life;
  readonly ledger: FenceLedger;
  readonly watch: BoardWatch;
  readonly view: ViewDriver;
  readonly #home: ExporterHome;
  readonly #store: ClusterStore;
  readonly #boards = new BoardKeys(CLUSTER_NAME);
  readonly #guests = new Map<SimConnection, Guest>();
  readonly #numbers = new Map<number, Guest>();
  #session: BoardSession | null = null;
  #next = 1;

  constructor(home: ExporterHome) {
    this.#home = home;
    this.life = home.process;
    const { clock, name } = home;
    this.#store = home.storeFor();
    this.ledger = new FenceLedger(name, CONNECTIONS_MAX, home.boot);
    this.watch = new BoardWatch(this.#boards, fenceTime(PERMIT_MS), clock.now());
    const prefix = clusterPrefix(CLUSTER_NAME);
    const random = () => home.random();
    this.view = new ViewDriver({ store: this.#store, prefix, clock, random });
    const fences = new FenceKeys(CLUSTER_NAME, name);
    this.view.subscribe((changes, source) => {
      this.watch.see(changes, source, clock.now());
      fences.tell(this.ledger, changes, this.view.view.revision);
      if (!home.plan.drains) for (const change of changes) this.#acknowledgeEarly(change);
      this.#pump();
      home.told();
    });
    void this.view.start();
    void this.#live();
  }

  /** The life that serves now, or null. */
  get epoch(): number | null {
    return this.ledger.life;
  }

  get isGateOpen(): boolean {
    return this.ledger.isGateOpen(this.#home.clock.now());
  }

  /** Its process ends: the kernel closes what it had open. */
  stop(): void {
    void this.#store.close();
    for (const { link } of this.#guests.values()) link.close();
    this.#guests.clear();
  }

  /** The machine has no power any more. */
  lose(): void {
    for (const { link } of this.#guests.values()) link.lose();
    this.stop();
  }

  // --- its life in the store --------------------------------------------------------------------

  async #live(): Promise<void> {
    const { clock, process } = this.#home;
    for (;;) {
      const over = Promise.withResolvers<void>();
      try {
        const session = await this.#take(() => over.resolve());
        this.#session = session;
        await this.#readMembers(session);
        this.ledger.beginLife(session.life.epoch);
        this.#pump();
        await over.promise;
        this.#home.trace(`life ${session.life.epoch} of its exports is over`);
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
      }
      if (process.isDead) return;
      this.#session?.stop();
      this.#session = null;
      this.ledger.endLife("this board is not in its cluster now");
      this.#pump();
      await new Promise<void>((resolve) => void clock.after(AGAIN_MS, resolve));
    }
  }

  #take(expelled: () => void): Promise<BoardSession> {
    const { name, boot, clock, disks } = this.#home;
    return BoardSession.take({
      store: this.#store,
      view: this.view,
      keys: this.#boards,
      clock,
      random: () => this.#home.random(),
      record: {
        name,
        boot,
        address: "",
        api: "",
        version: "1",
        disks: [...disks].map(([id, { durable }]) => ({
          id,
          kind: "block",
          sizeBytes: durable.length,
          logicalBlockSize: 512,
        })),
        reaches: [],
      },
      listener: {
        confirmed: (sentAt) => {
          this.ledger.openGate(sentAt + PERMIT_MS);
        },
        expelled,
      },
    });
  }

  /** By a transaction that writes: what it lists has gone through the store's consensus. */
  async #readMembers({ life, lease }: BoardSession): Promise<void> {
    const prefix = clusterPrefix(CLUSTER_NAME);
    const key = this.#boards.heartbeat(life.name);
    for (;;) {
      const txn: Txn = {
        compares: [this.#boards.guard(life)],
        success: [
          { type: "put", key, value: "0", lease },
          { type: "list", prefix },
        ],
        failure: [],
      };
      const outcome = await this.#store.txn(txn).catch(() => null);
      if (outcome?.type === "refused") throw new CodedError("CLUSTER_EXPELLED", "the life is over");
      const [, listed] = outcome?.type === "committed" ? outcome.results : [];
      if (outcome?.type === "committed" && listed?.type === "list") {
        this.view.learn([prefix], { revision: outcome.revision, found: listed.found });
        return;
      }
      await new Promise<void>((resolve) => void this.#home.clock.after(AGAIN_MS, resolve));
    }
  }

  // --- connections ------------------------------------------------------------------------------

  hello(link: SimConnection, name: MemberName, caller: Caller): void {
    const medium = this.#home.disks.get(name.disk);
    if (medium === undefined) return link.refuse("no-disk");
    const number = this.#next++;
    const device = this.#home.open(medium, { ...caller, via: this.#server(name.life) });
    const guest = { number, link, device, isOver: false, atDevice: 0 };
    this.#guests.set(link, guest);
    this.#numbers.set(number, guest);
    this.ledger.ask({ connection: number, name, peer: boardName(link.from) });
    this.#pump();
    this.#home.clock.after(ASK_MS, () => {
      this.ledger.giveUp(number);
      this.#pump();
    });
  }

  #server(epoch: number): Server {
    const isOpen = () => this.epoch === epoch && this.isGateOpen;
    return {
      board: this.#home.name,
      epoch,
      get isOpen() {
        return isOpen();
      },
    };
  }

  asked(link: SimConnection, request: PeerRequest): void {
    const guest = this.#guests.get(link);
    if (guest !== undefined) void this.#serve(guest, request);
  }

  left(link: SimConnection): void {
    const guest = this.#guests.get(link);
    if (guest !== undefined) this.#end(guest);
  }

  async #serve(guest: Guest, request: PeerRequest): Promise<void> {
    const { plan, clock } = this.#home;
    const early = plan.checksLate ? null : this.ledger.begin(guest.number, clock.now());
    if (early === "go") this.ledger.end(guest.number);
    await this.#home.turn();
    for (;;) {
      const permission = early ?? this.ledger.begin(guest.number, clock.now());
      if (permission === "never") return;
      if (permission === "go") break;
      await new Promise<void>((resolve) => void clock.after(GATE_LOOK_MS, resolve));
    }
    guest.atDevice++;
    const reply = await this.#perform(guest.device, request);
    guest.atDevice--;
    if (early === null) this.ledger.end(guest.number);
    if (!guest.isOver) guest.link.reply(reply);
    this.#settle(guest);
    this.#pump();
  }

  async #perform(device: SharedDevice, { id, op }: PeerRequest): Promise<PeerReply> {
    try {
      if (op.type === "read") {
        const data = new Uint8Array(op.length);
        await device.read(data, op.offset);
        return { id, data, error: null };
      }
      if (op.type === "write") await device.write([op.data], op.offset);
      if (op.type === "flush" || op.isDurable) await device.flush();
      return { id, data: null, error: null };
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      return { id, data: null, error: [error.code, error.message] };
    }
  }

  /** Nothing of the connection is heard any more. */
  #end(guest: Guest): void {
    if (guest.isOver) return;
    guest.isOver = true;
    this.#guests.delete(guest.link);
    this.ledger.giveUp(guest.number);
    this.ledger.gone(guest.number);
    this.#settle(guest);
    this.#pump();
  }

  #settle(guest: Guest): void {
    if (!guest.isOver || guest.atDevice > 0) return;
    this.#numbers.delete(guest.number);
    this.ledger.ended(guest.number);
  }

  // --- what the ledger wants --------------------------------------------------------------------

  #pump(): void {
    for (let effects = this.ledger.take(); effects.length > 0; effects = this.ledger.take())
      for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: LedgerEffect): void {
    switch (effect.type) {
      case "admit":
        return this.#numbers.get(effect.connection)?.link.admit();
      case "refuse": {
        const guest = this.#numbers.get(effect.connection);
        if (guest === undefined) return;
        this.#numbers.delete(guest.number);
        this.#guests.delete(guest.link);
        guest.isOver = true;
        return guest.link.refuse(effect.refusal.word);
      }
      case "close": {
        const guest = this.#numbers.get(effect.connection);
        if (guest === undefined) return;
        guest.link.close();
        return this.#end(guest);
      }
      case "own-fenced":
        return void this.#home.drainOwn(effect.slot, effect.epoch).then(() => {
          this.ledger.ownDrained(effect.uuid, effect.slot, effect.epoch);
          this.#pump();
        });
      case "acknowledge":
        return void this.#acknowledge(effect);
    }
  }

  /** Planted: without a look at what is under way. */
  #acknowledgeEarly(change: KeyChange): void {
    const { keys } = this.#home;
    const key = keyOf(change);
    const slot = keys.slotIn(key);
    if (this.#session === null || slot === null || key !== keys.member(slot)) return;
    if (change.type === "delete")
      void this.#putFence(this.#session, { uuid: "", slot, epoch: change.revision });
  }

  async #acknowledge(effect: SlotEpoch): Promise<void> {
    const session = this.#session;
    const life = this.ledger.life ?? 0;
    const outcome = session === null ? null : await this.#putFence(session, effect);
    const isDone = outcome?.type === "committed";
    if (!isDone) await new Promise<void>((done) => void this.#home.clock.after(AGAIN_MS, done));
    this.ledger.acknowledged(effect, life, isDone ? outcome.revision : null);
    this.#pump();
  }

  async #putFence(session: BoardSession, { slot, epoch }: SlotEpoch): Promise<TxnOutcome | null> {
    try {
      return await this.#store.txn(session.fenceTxn(this.#home.keys, slot, epoch));
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      return null;
    }
  }
}

/**
 * A board as the server of its own disks: it lives in the cluster by its key, serves sessions whose
 * keys it sees, and acknowledges the end of each. One life after the other; nobody is served before
 * a life has read the keys by a committed transaction, and nothing begins behind a closed gate.
 */

import { BoardKeys, clusterPrefix } from "../cluster/store/board-keys.ts";
import { type BoardRecord, plainDisk } from "../cluster/store/board-record.ts";
import { BoardSession } from "../cluster/store/board-session-driver.ts";
import { BoardWatch } from "../cluster/store/board-watch.ts";
import type { ClusterStore, Txn } from "../cluster/store/cluster-store.ts";
import { listedKeys } from "../cluster/store/member-txns.ts";
import { fenceTime, PERMIT_MS } from "../cluster/store/permission.ts";
import { retryDelay } from "../cluster/store/retry-delay.ts";
import { keyOf } from "../cluster/store/revisioned-map.ts";
import type { StoreClock } from "../cluster/store/store-clock.ts";
import { StoreKeys } from "../cluster/store/store-keys.ts";
import { ViewDriver } from "../cluster/store/view-driver.ts";
import { CodedError } from "../common/errors.ts";
import type { Logger } from "../common/log.ts";
import type { ConnectionDirectory } from "../nbd/export-backend.ts";
import { DiskRooms, type OpenDisk, type ServedDisk } from "./disk-rooms-driver.ts";
import type { ExporterState, ExporterView, SeenBoard } from "./exporter-view.ts";
import { FenceKeys } from "./fence-keys.ts";
import { FenceLedger } from "./fence-ledger.ts";
import type { NodeSession } from "./fence-trust.ts";
import { type ClusterEffect, MemberExports } from "./member-exports-driver.ts";

/** Connections that one peer may have. Choice: 64 arrays, five threads, two connections. */
const PEER_CONNECTIONS_MAX = 640;
/** Between a life that is over and the next: this, and twice as long each time. */
const PAUSE_MS = 1000;
const PAUSE_MS_MAX = 30_000;
/** A life that lasted so long was no failure. */
const GOOD_LIFE_MS = 60_000;
/** The watch tells of a session sooner, mostly. */
const UNSEEN_MS = 300;
/** Between attempts to write while the store does not answer. */
const RETRY_MS_MAX = 500;
/** Ends of sessions that are written side by side. */
const ACKNOWLEDGING_MAX = 16;
/** Between looks at what is told to others. */
const TELL_MS = 250;
/** At the end requests at the disks are waited for so long. */
const DRAIN_MS = 2000;

export interface ExporterListener {
  /** Whenever one comes, goes, or tells something else. */
  readonly boards: (boards: readonly SeenBoard[]) => void;
  /** The board itself is to end what it does with its disks for these sessions. */
  readonly ownFenced: (uuid: string, slot: number, epoch: number) => void;
  readonly state: (state: ExporterState) => void;
}

export interface ExporterOptions {
  readonly cluster: string;
  /** What the board tells of itself, but for its disks and whom it reaches. */
  readonly board: Pick<BoardRecord, "name" | "boot" | "address" | "api" | "version">;
  readonly store: ClusterStore;
  readonly clock: StoreClock;
  /** A number in [0, 1), another one each time. */
  readonly random: () => number;
  readonly openDisk: OpenDisk;
  readonly listener: ExporterListener;
  /** Who waits for an export is to ask again. */
  readonly onAnswered: () => void;
  readonly logger: Logger;
}

const messageOf = (error: unknown): string =>
  error instanceof CodedError ? `${error.code}: ${error.message}` : String(error);

export class Exporter {
  readonly #options: ExporterOptions;
  readonly #ledger: FenceLedger;
  readonly #keys: FenceKeys;
  readonly #boardKeys: BoardKeys;
  readonly #watch: BoardWatch;
  readonly #view: ViewDriver;
  readonly #rooms: DiskRooms;
  readonly #exports: MemberExports;
  #session: BoardSession | null = null;
  /** What the last confirmation permits; another life's counts for nothing. */
  #permitUntil = 0;
  #reason: string | null = "the board joins its cluster";
  #reaches: readonly string[] = [];
  #isEnding = false;
  #isReading = false;
  /** Ends of sessions that are to be written into the store: one of a slot at most. */
  readonly #owed: ClusterEffect[] = [];
  #acknowledging = 0;
  readonly #ended = Promise.withResolvers<void>();
  #lastBoards = "";
  #lastState = "";
  #cancelTell: (() => void) | null = null;
  #cancelPause: (() => void) | null = null;

  constructor(options: ExporterOptions) {
    this.#options = options;
    const { cluster, board, store, clock, random, openDisk, onAnswered } = options;
    this.#ledger = new FenceLedger(board.name, PEER_CONNECTIONS_MAX, board.boot);
    this.#keys = new FenceKeys(cluster, board.name);
    this.#boardKeys = new BoardKeys(cluster);
    this.#watch = new BoardWatch(this.#boardKeys, fenceTime(PERMIT_MS), clock.now());
    this.#rooms = new DiskRooms(openDisk);
    this.#exports = new MemberExports({
      ledger: this.#ledger,
      rooms: this.#rooms,
      clock,
      onEffect: (effect) => this.#onEffect(effect),
      onAnswered,
      onUnseen: () => this.#lookSoon(),
    });
    this.#view = new ViewDriver({ store, prefix: clusterPrefix(cluster), clock, random });
    this.#view.subscribe((changes, source) => {
      this.#watch.see(changes, source, clock.now());
      this.#keys.tell(this.#ledger, changes, this.#view.view.revision);
      this.#exports.carryOut();
      // Whose board has gone is failed by the arrays: that is not to wait.
      if (changes.some((change) => this.#boardKeys.boardIn(keyOf(change)) !== null))
        this.#tellBoards();
    });
  }

  /** Lives until `close`. */
  start(): void {
    void this.#view.start();
    void this.#run();
    this.#tell();
  }

  makeDirectory(): ConnectionDirectory {
    return this.#exports.makeDirectory();
  }

  setDisks(disks: readonly ServedDisk[]): void {
    for (const gone of this.#rooms.setDisks(disks)) this.#ledger.closeDisk(gone);
    this.#exports.carryOut();
    this.#session?.update(this.#record);
  }

  /** Names of the boards whose member exports this board reaches. */
  setReaches(names: readonly string[]): void {
    this.#reaches = [...names].sort();
    this.#session?.update(this.#record);
  }

  /** As FenceLedger.isTrusted. */
  isTrusted(session: NodeSession, disk: string): boolean {
    return this.#ledger.isTrusted(session, disk);
  }

  /** Serial numbers of certificates that are good for nothing any more; replaces the last ones. */
  setRefused(serials: readonly string[]): void {
    this.#exports.setRefused(serials);
  }

  ownDrained(uuid: string, slot: number, epoch: number): void {
    this.#ledger.ownDrained(uuid, slot, epoch);
    this.#exports.carryOut();
  }

  view(): ExporterView {
    const now = this.#options.clock.now();
    return {
      state: this.#state,
      connections: this.#ledger.doors.map(({ ask, who, state, atDevice, waits }) => ({
        peer: ask.peer,
        disk: ask.name.disk,
        mode: ask.name.mode,
        session: who,
        state,
        atDevice,
        waits: waits?.text ?? null,
      })),
      heard: this.#watch.live.map(({ name }) => ({
        name,
        seconds: Math.max(0, now - this.#watch.heardAt(name)) / 1000,
      })),
    };
  }

  /** Serves nobody any more, waits for what is at the disks for a while, and leaves. */
  async close(): Promise<void> {
    this.#isEnding = true;
    this.#cancelPause?.();
    this.#ledger.endLife("the board ends");
    this.#exports.carryOut();
    const session = this.#session;
    if (session !== null) {
      await this.#drained();
      // Whoever could still be written by is not told to be gone: the lease ends by itself.
      if (this.#ledger.draining.length === 0) await session.leave();
      else session.stop();
    }
    this.#ended.resolve();
    this.#cancelTell?.();
    this.#view.close();
  }

  get #record(): BoardRecord {
    const disks = this.#rooms.disks.map(plainDisk);
    return { ...this.#options.board, disks, reaches: this.#reaches };
  }

  get #state(): ExporterState {
    const isOpen = this.#ledger.isGateOpen(this.#options.clock.now());
    return {
      life: this.#ledger.life,
      isOpen,
      reason: isOpen ? null : (this.#reason ?? "the cluster's store has not confirmed this board"),
      draining: this.#ledger.draining,
      unacknowledged: this.#ledger.unacknowledged,
    };
  }

  async #run(): Promise<void> {
    let pauseMs = PAUSE_MS;
    while (!this.#isEnding) {
      const began = this.#options.clock.now();
      try {
        await this.#live();
      } catch (error) {
        this.#reason = messageOf(error);
        this.#options.logger.debug({ error: this.#reason }, "exporter.no-life");
      }
      if (this.#options.clock.now() - began > GOOD_LIFE_MS) pauseMs = PAUSE_MS;
      if (!this.#isEnding) await this.#pause(pauseMs * (0.5 + this.#options.random() / 2));
      pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX);
    }
  }

  /** One life. Errors: those of the store before it has begun. */
  async #live(): Promise<void> {
    const { store, clock, random, logger, board } = this.#options;
    const over = Promise.withResolvers<void>();
    this.#permitUntil = 0;
    const session = await BoardSession.take({
      store,
      view: this.#view,
      keys: this.#boardKeys,
      clock,
      random,
      record: this.#record,
      listener: {
        confirmed: (sentAt) => this.#confirmed(sentAt),
        expelled: () => over.resolve(),
      },
    });
    this.#session = session;
    if (this.#isEnding) return session.leave();
    session.update(this.#record);
    logger.info({ board: board.name, epoch: session.life.epoch }, "exporter.lives");
    if (await this.#readKeys(session)) {
      this.#reason = null;
      this.#ledger.beginLife(session.life.epoch);
      this.#ledger.openGate(this.#permitUntil);
      this.#exports.carryOut();
    }
    await Promise.race([over.promise, this.#ended.promise]);
    if (this.#isEnding) return;
    this.#session = null;
    // The next life decides anew.
    this.#owed.length = 0;
    this.#reason = "the cluster goes on without this board: it joins again";
    this.#ledger.endLife(this.#reason);
    this.#exports.carryOut();
    logger.warn({ board: board.name, epoch: session.life.epoch }, "exporter.expelled");
  }

  #confirmed(sentAt: number): void {
    this.#permitUntil = sentAt + PERMIT_MS;
    const isClosed = !this.#ledger.isGateOpen(this.#options.clock.now());
    this.#ledger.openGate(this.#permitUntil);
    if (isClosed) this.#exports.poke();
  }

  /**
   * Reads all keys by a committed transaction of this life: no session that was fenced before it
   * began is taken for one that is served. False: the life is over.
   */
  async #readKeys(session: BoardSession): Promise<boolean> {
    const { store, clock, random, cluster } = this.#options;
    const prefix = clusterPrefix(cluster);
    const key = this.#boardKeys.heartbeat(session.life.name);
    const txn: Txn = {
      compares: [this.#boardKeys.guard(session.life)],
      success: [
        { type: "put", key, value: "0", lease: session.lease },
        { type: "list", prefix },
      ],
      failure: [],
    };
    for (let attempt = 1; !session.isOver; attempt += 1) {
      const outcome = await store.txn(txn).catch(() => null);
      if (outcome?.type === "committed") {
        const { revision, results } = outcome;
        this.#view.learn([prefix], { revision, found: listedKeys(results) });
        this.#keys.tell(this.#ledger, [], revision);
        this.#exports.carryOut();
        return true;
      }
      if (outcome?.type === "refused") session.expel();
      else await this.#wait(clock, retryDelay(attempt, RETRY_MS_MAX, random()));
    }
    return false;
  }

  /** A session may be newer than what the watch has told. */
  #lookSoon(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#options.clock.after(UNSEEN_MS, async () => {
      const session = this.#session;
      if (session !== null && this.#ledger.isLooking) await this.#readKeys(session);
      this.#isReading = false;
    });
  }

  #onEffect(effect: ClusterEffect): void {
    const { uuid, slot, epoch } = effect;
    if (effect.type === "own-fenced") this.#options.listener.ownFenced(uuid, slot, epoch);
    else {
      this.#owed.push(effect);
      this.#acknowledgeNext();
    }
  }

  /** At the start of a life there may be one for each slot of each array. */
  #acknowledgeNext(): void {
    const session = this.#session;
    while (this.#acknowledging < ACKNOWLEDGING_MAX) {
      const effect = this.#owed.shift();
      if (effect === undefined) return;
      if (session === null) continue;
      this.#acknowledging += 1;
      void this.#acknowledge(effect, session).finally(() => {
        this.#acknowledging -= 1;
        this.#acknowledgeNext();
      });
    }
  }

  /** Until the store has it, or this life is over. One of a slot at a time. */
  async #acknowledge(effect: ClusterEffect, session: BoardSession): Promise<void> {
    const { store, clock, random, cluster, logger } = this.#options;
    const { uuid, slot, epoch } = effect;
    const keys = new StoreKeys(`${clusterPrefix(cluster)}arrays/${uuid}/`);
    const txn = session.fenceTxn(keys, slot, epoch);
    for (let attempt = 1; !session.isOver; attempt += 1) {
      const outcome = await store.txn(txn).catch(() => null);
      if (outcome?.type === "committed") {
        logger.info({ uuid, slot, epoch }, "exporter.fenced");
        return this.#acknowledged(effect, session, outcome.revision);
      }
      await this.#wait(clock, retryDelay(attempt + 6, RETRY_MS_MAX, random()));
      // The slot has a member again, or this life is over: the view tells.
      if (outcome?.type === "refused") return this.#acknowledged(effect, session, null);
    }
  }

  #acknowledged(effect: ClusterEffect, session: BoardSession, revision: number | null): void {
    this.#ledger.acknowledged(effect, session.life.epoch, revision);
    this.#exports.carryOut();
  }

  #tellBoards(): void {
    const { listener, board } = this.#options;
    const boards = this.#watch.live.flatMap(({ name, epoch, record }) =>
      record === null ? [] : [{ name, epoch, record, isHere: name === board.name }],
    );
    const told = JSON.stringify(boards);
    if (told !== this.#lastBoards) listener.boards(boards);
    this.#lastBoards = told;
  }

  #tell(): void {
    const { listener, clock } = this.#options;
    const state = this.#state;
    const seen = JSON.stringify(state);
    if (seen !== this.#lastState) listener.state(state);
    this.#lastState = seen;
    this.#cancelTell = clock.after(TELL_MS, () => this.#tell());
  }

  async #drained(): Promise<void> {
    const { clock } = this.#options;
    const until = clock.now() + DRAIN_MS;
    while (this.#ledger.draining.length > 0 && clock.now() < until)
      await this.#wait(clock, TELL_MS / 5);
  }

  #wait(clock: StoreClock, ms: number): Promise<void> {
    return new Promise((resolve) => void clock.after(ms, resolve));
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve);
      this.#cancelPause = () => {
        cancel();
        resolve();
      };
    });
  }
}

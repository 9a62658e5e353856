/** One array thread as the main thread holds it: RunningArray over messages. */

import { MessageChannel, Worker } from "node:worker_threads";
import type { ClusterView } from "../cluster/node/cluster-view.ts";
import { assert } from "../common/assert.ts";
import { atMost } from "../common/at-most-driver.ts";
import { CodedError, fromPlainError } from "../common/errors.ts";
import { workerUrl } from "../common/worker-url.ts";
import type { AddOptions, RunningArray, SeenStore, SyncSpeed } from "../control/engine.ts";
import type { PeerLink } from "../control/peer-boards.ts";
import type { ArrayChange } from "../raid/array-change.ts";
import type { ArrayHappening, ArrayStatus } from "../raid/array-status.ts";
import { goneError } from "../raid/gone-status.ts";
import type { WriteHoldFigures } from "../raid/hold-status.ts";
import { SharedArrayState } from "../raid/shared-state.ts";
import type {
  ArrayThreadCommand,
  ArrayThreadData,
  ArrayToMain,
  MainToArray,
} from "./array-messages.ts";
import type { IoPool } from "./io-pool.ts";
import type { MemberTicket } from "./open-member.ts";
import { isPeer } from "./open-store.ts";
import type { OwnSession, OwnSessions } from "./own-sessions.ts";
import { ThreadLink } from "./thread-link.ts";
import { ThreadStart } from "./thread-start.ts";

/** Its new objects are few: a small nursery costs nothing, and there is one for each array. */
const YOUNG_GENERATION_MB = 3;

export interface ArrayHostOptions {
  readonly data: ArrayThreadData;
  readonly pool: IoPool;
  readonly ticket: (path: string) => MemberTicket;
  readonly onStatus: (status: ArrayStatus) => void;
  readonly onHappening: (happening: ArrayHappening) => void;
  readonly onStopped: () => void;
  /** After `onStopped`: the cluster goes on without this board; `isBroken`: it left. */
  readonly onExpelled: (reason: string, isBroken: boolean) => void;
  readonly onStoreSeen: (seen: SeenStore) => void;
  /** The path of a device by its device_uuid (32 hexadecimal digits), or null. */
  readonly findDevice: (uuid: string) => Promise<string | null>;
  /** In which sessions this board uses its disks; null: it serves none. */
  readonly sessions: OwnSessions | null;
  /** Those of its own disks that the nodes which run the array have not met in this life. */
  readonly distrusted: (
    session: OwnSession,
    paths: readonly string[],
  ) => Promise<readonly string[]>;
  /** How its ways to peers' disks are; nothing: it has ended. */
  readonly onLinks: (links: readonly PeerLink[]) => void;
}

type Assembled = Extract<ArrayToMain, { type: "assembled" }>;

export class ArrayHostThread implements RunningArray {
  readonly #options: ArrayHostOptions;
  readonly #link: ThreadLink<ClusterView | null>;
  readonly #start = new ThreadStart<Assembled>();
  readonly #ended = Promise.withResolvers<null>();
  #status: ArrayStatus | null = null;
  #shared: SharedArrayState | null = null;
  #isExpelled = false;
  readonly #sessions = new Set<OwnSession>();

  private constructor(options: ArrayHostOptions) {
    this.#options = options;
    const worker = new Worker(workerUrl("array", import.meta.url), {
      name: "array",
      workerData: options.data,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.#link = new ThreadLink(worker, "array thread");
    worker.on("message", (message: ArrayToMain) => this.#onMessage(message));
    worker.on("exit", () => {
      this.#ended.resolve(null);
      options.onLinks([]);
      for (const session of this.#sessions) void this.#sessionOver(session);
    });
  }

  /**
   * Assembles and starts. Errors: RAID_*, with `details.members`; CLUSTER_*; ENGINE_ENDING when
   * `signal` aborts it: a node may wait for its cluster for long. Its thread has ended then, and
   * with it the node's session; that of an array which its cluster goes on without ends by itself.
   */
  static async start(options: ArrayHostOptions, signal: AbortSignal): Promise<ArrayHostThread> {
    const host = new ArrayHostThread(options);
    const abort = (): void => void host.#abort();
    signal.addEventListener("abort", abort, { once: true });
    try {
      const assembled = await host.#start.whenAssembled;
      await host.#attach(assembled);
      await host.#start.whenRunning;
      return host;
    } catch (error) {
      if (!host.#isExpelled) await host.#end();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** A node that had joined by then is dead to the others: it has written nothing for clients. */
  async #abort(): Promise<void> {
    await this.#end();
    const text = "the daemon ends before the array has started";
    this.#start.fail(new CodedError("ENGINE_ENDING", text));
  }

  /** Without another word of it. */
  async #end(): Promise<void> {
    this.#link.expectEnd();
    await this.#link.worker.terminate();
  }

  get uuid(): string {
    return this.status.uuid;
  }

  get status(): ArrayStatus {
    assert(this.#status !== null, "an assembled array has a status");
    return this.#status;
  }

  fail(path: string): Promise<void> {
    return this.#command({ type: "fail", path, reason: "failed by the administrator" });
  }

  remove(path: string): Promise<void> {
    return this.#command({ type: "remove", path });
  }

  add(path: string, options: AddOptions): Promise<void> {
    const { force, distrust = false, writeMostly = false, failfast = false } = options;
    const member = this.#options.ticket(path);
    return this.#command({ type: "add", member, force, distrust, writeMostly, failfast });
  }

  reAdd(path: string): Promise<void> {
    return this.#command({ type: "re-add", member: this.#options.ticket(path) });
  }

  replace(path: string, withPath: string | null): Promise<void> {
    return this.#command({ type: "replace", path, withPath });
  }

  setMemberFlags(
    path: string,
    flags: { readonly writeMostly?: boolean; readonly failfast?: boolean },
  ): Promise<void> {
    const { writeMostly = null, failfast = null } = flags;
    return this.#command({ type: "member-flags", path, writeMostly, failfast });
  }

  setSyncAction(
    action: "idle" | "check" | "repair" | "frozen",
    range?: { readonly from: number; readonly to: number | null },
  ): Promise<void> {
    const { from, to } = range ?? { from: 0, to: null };
    return this.#command({ type: "sync-action", action, from, to });
  }

  change(change: ArrayChange): Promise<void> {
    return this.#command({ type: "change", change });
  }

  setSyncSpeed(speed: SyncSpeed): Promise<void> {
    return this.#command({ type: "sync-speed", ...speed });
  }

  async memberVanished(path: string, reason: string): Promise<void> {
    this.#post({ type: "member-vanished", path, reason });
  }

  /** Peers may serve their disks elsewhere now: for what is opened from now on. */
  boardsChanged(): void {
    const paths = this.#status?.members.flatMap(({ path }) => path ?? []) ?? [];
    const members = paths.filter(isPeer).map((path) => this.#options.ticket(path));
    if (members.length > 0) this.#post({ type: "tickets", members });
  }

  clusterView(): Promise<ClusterView | null> {
    return this.#link.ask((id) => this.#post({ type: "view-cluster", id }));
  }

  get writeHolds(): WriteHoldFigures {
    assert(this.#shared !== null, "an assembled array has a shared state");
    return this.#shared.holds.figures();
  }

  /** Errors: RAID_ARRAY_CHANGING when the change under way takes long; it runs on then. */
  async stop(limitMs?: number): Promise<void> {
    const stopped = this.#stop();
    if (limitMs === undefined || this.status.bitmap.type !== "clustered") return await stopped;
    const isStopped = stopped.then(() => true);
    if (await atMost(isStopped, limitMs, false)) return;
    isStopped.catch(() => undefined);
    const message = "its cluster's store does not answer: the array ends without its goodbye";
    await this.#giveUp(new CodedError("ENGINE_ENDING", message));
  }

  async #stop(): Promise<void> {
    const { uuid } = this;
    await this.#command({ type: "await-change" });
    this.#link.expectEnd();
    await this.#options.pool.askEach(() => ({ request: { type: "detach-array", uuid } }));
    await this.#command({ type: "stop", keepOpen: false });
    await this.#ended.promise;
    this.#options.onStopped();
  }

  async #attach(assembled: Assembled): Promise<void> {
    const { shape, legs, readOnly, hasBitmap, isGated, peers, status } = assembled;
    const { pool } = this.#options;
    const channels = Array.from({ length: pool.size }, () => new MessageChannel());
    const ports = channels.map(({ port1 }) => port1);
    this.#link.worker.postMessage({ type: "attach", ports } satisfies MainToArray, ports);
    await pool.askEach((worker) => {
      const port = channels[worker]?.port2;
      assert(port !== undefined, "one channel per worker");
      const request = {
        type: "attach-array",
        uuid: status.uuid,
        shape,
        legs,
        readOnly,
        hasBitmap,
        isGated,
        peers,
        port,
      } as const;
      return { request, transfer: [port] };
    });
  }

  #command(command: ArrayThreadCommand): Promise<void> {
    return this.#link
      .ask((id) => this.#post({ type: "command", id, command }))
      .then(() => undefined);
  }

  async #findDevice(id: number, uuid: string): Promise<void> {
    const path = await this.#options.findDevice(uuid);
    const member = path === null ? null : this.#options.ticket(path);
    this.#post({ type: "device-found", id, member });
  }

  async #sessionBegins(session: OwnSession, paths: readonly string[]): Promise<void> {
    const { sessions, distrusted } = this.#options;
    const isOver = sessions?.begin(session) === false;
    if (!isOver) this.#sessions.add(session);
    const own = paths.filter((path) => !isPeer(path));
    this.#post({ type: "session-noted", isOver, distrusted: await distrusted(session, own) });
  }

  /**
   * AFTER the thread has ended, or left the session, and the I/O workers have let the array go.
   * What was given up there may still reach a disk of this board: that is waited for.
   */
  async #sessionOver(session: OwnSession): Promise<void> {
    this.#sessions.delete(session);
    const { data, pool, sessions } = this.#options;
    const members = this.#status?.members.flatMap(({ path }) => path ?? []) ?? [];
    const all = new Set([...data.members.map(({ path }) => path), ...members]);
    const paths = [...all].filter((path) => !isPeer(path));
    await pool.askEach(() => ({ request: { type: "settle", paths } }));
    sessions?.end(session);
  }

  #sessionLeft({ uuid, slot, epoch }: OwnSession): void {
    for (const session of this.#sessions)
      if (session.uuid === uuid && session.slot === slot && session.epoch === epoch)
        void this.#sessionOver(session);
  }

  /** Nothing of the array is touched any more: its thread ends without another word. */
  async #expelled(reason: string, isBroken: boolean): Promise<void> {
    this.#isExpelled = true;
    const error = goneError(reason, isBroken);
    this.#start.fail(error);
    await this.#giveUp(error);
    this.#options.onExpelled(reason, isBroken);
  }

  /** Who waits for an answer of it gets this error. */
  async #giveUp(error: CodedError): Promise<void> {
    this.#link.expectEnd();
    this.#link.abandon(error);
    // Null: it has not told what it assembled, so no I/O worker has it.
    const uuid = this.#status?.uuid ?? null;
    if (uuid !== null)
      await this.#options.pool.askEach(() => ({ request: { type: "detach-array", uuid } }));
    await this.#end();
    this.#options.onStopped();
  }

  #post(message: MainToArray): void {
    this.#link.worker.postMessage(message);
  }

  #onMessage(message: ArrayToMain): void {
    switch (message.type) {
      case "assembled":
        this.#status = message.status;
        this.#shared = new SharedArrayState(message.shape);
        return this.#start.assembled(message);
      case "refused":
        this.#link.expectEnd();
        return this.#start.fail(fromPlainError(message.error));
      case "running":
        return this.#start.running();
      case "status":
        this.#status = message.status;
        return this.#options.onStatus(message.status);
      case "happening":
        return this.#options.onHappening(message.happening);
      case "reply":
        return this.#link.settle(message.id, message.error, null);
      case "cluster-view":
        return this.#link.settle(message.id, null, message.view);
      case "find-device":
        return void this.#findDevice(message.id, message.uuid);
      case "store-seen":
        return this.#options.onStoreSeen(message.seen);
      case "expelled":
        return void this.#expelled(message.reason, message.isBroken);
      case "session":
        return void this.#sessionBegins(message.session, message.paths);
      case "session-over":
        return this.#sessionLeft(message.session);
      case "peer-links":
        return this.#options.onLinks(message.links);
      case "stopped":
        return;
    }
  }
}

/**
 * The array thread: assembles one array from its members, then runs its machine until it is
 * stopped. Talks to the main thread through parentPort and to each I/O worker through a port.
 */

import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assertNever } from "../common/assert.ts";
import { CodedError, toPlainError } from "../common/errors.ts";
import type { ArrayChange } from "../raid/array-change.ts";
import { ArrayDriver, type ArrayHost } from "../raid/array-driver.ts";
import type { CommandOutcome } from "../raid/array-messages.ts";
import type { AfterChange } from "../raid/array-start.ts";
import type { ArrayStatus } from "../raid/array-status.ts";
import {
  type AssembleDevice,
  type AssembledArray,
  assembleDevices,
} from "../raid/assemble-driver.ts";
import { remedyFor } from "../raid/refusal-remedies.ts";
import { waitForRegion } from "../raid/region-wait-driver.ts";
import { GATE_EXPELLED, RUN_ACTIVE, RUN_BROKEN, RUN_READ_ONLY } from "../raid/shared-state.ts";
import { uuidToKernelText } from "../raid/uuid.ts";
import type { ArrayCluster, ArrayClusterHost } from "./array-cluster.ts";
import { ArrayDevices } from "./array-devices.ts";
import { accessOf, joinCluster, openMembers } from "./array-members.ts";
import type {
  ArrayThreadCommand,
  ArrayThreadData,
  ArrayToMain,
  LegTicket,
  MainToArray,
  ThreadCluster,
  WorkerToArray,
} from "./array-messages.ts";
import { ArrayRest } from "./array-rest.ts";
import { clusterHappening, devicePassedOver } from "./cluster-happenings.ts";
import { afterMs, monotonicMs } from "./monotonic-clock.ts";
import { askPatiently } from "./patient-ask.ts";
import {
  type BitmapChange,
  type ChangeHost,
  changeMembers,
  changeRefusal,
  directionOf,
  joinAlone,
} from "./running-change.ts";
import { WorkerPorts } from "./worker-ports.ts";

/** Between ticks while something is under way, and while nothing is. Choice: 1/10 of safe mode. */
const TICK_MS = 20;
const IDLE_TICK_MS = 500;
/** Status messages at most this often while a sync action runs. */
const PROGRESS_MS = 200;

class ArrayThread {
  readonly #data: ArrayThreadData;
  /** Null of an array that is in no cluster. */
  #cluster: ArrayCluster | null;
  #array: AssembledArray;
  #driver: ArrayDriver;
  readonly #ports = new WorkerPorts();
  readonly #devices: ArrayDevices;
  #attachedLeft = 0;
  #lastProgress = 0;
  #nextTick: NodeJS.Timeout | undefined;
  /** The nodes as they were told last. */
  #toldPeers = "";
  /** Commands under way. */
  #answering = 0;
  /** A change of the array: it is stopped and started again in this thread. */
  #isChanging = false;
  #whenAttached: (() => void) | null = null;
  /** Members that were opened again for the start that follows; null: the driver's. */
  #reopened: readonly AssembleDevice[] | null = null;
  /** The cluster was joined by a change, and the node takes no part in it yet. */
  #isEntering = false;
  /** Why the array could not be started after a change. */
  #lost: string | null = null;

  constructor(data: ArrayThreadData, array: AssembledArray, cluster: ArrayCluster | null) {
    this.#data = data;
    this.#cluster = cluster;
    this.#array = array;
    this.#devices = new ArrayDevices(data, {
      driver: () => this.#driver,
      cluster: () => this.#cluster,
      setUuid: () => this.#array.setUuid,
      ask: (id, uuid) => post({ type: "find-device", id, uuid }),
      owed: (path) => this.#ports.settle(path),
      passedOver: (path, reason) => {
        const happening = devicePassedOver(path, reason, Date.now());
        post({ type: "happening", happening });
      },
    });
    this.#driver = new ArrayDriver(array.machine, array.shared, array.members, this.#host());
    cluster?.serve(this.#clusterHost(), array.shared);
  }

  announce(): void {
    post({
      type: "assembled",
      shape: this.#array.shared.shape,
      legs: this.#legTickets(),
      hasBitmap: this.#array.hasBitmap,
      isGated: this.#cluster !== null,
      readOnly: this.#data.readOnly,
      status: this.#status(),
    });
  }

  onMain(message: MainToArray): void {
    switch (message.type) {
      case "attach":
        return this.#attach(message.ports);
      case "command":
        return void this.#command(message.id, message.command);
      case "member-vanished":
        return this.#driver.dispatch(message);
      case "device-found":
        return this.#devices.finder.onFound(message.id, message.member);
      case "view-cluster":
        return post({
          type: "cluster-view",
          id: message.id,
          view: this.#cluster?.view() ?? null,
        });
      default:
        return assertNever(message);
    }
  }

  #status(): ArrayStatus {
    const { status } = this.#driver;
    if (this.#cluster === null) return status;
    const peers = this.#cluster.peers();
    this.#toldPeers = JSON.stringify(peers);
    return { ...status, peers };
  }

  #legTickets(): LegTicket[] {
    return this.#array.legs.map(({ leg, path, dataOffset }) => ({
      leg,
      member: this.#devices.ticket(path),
      dataOffset,
    }));
  }

  // --- workers ----------------------------------------------------------------------------------

  #attach(ports: readonly MessagePort[]): void {
    this.#attachedLeft = ports.length;
    this.#ports.attach(ports, (worker, message) => this.#onWorker(worker, message));
  }

  #onWorker(worker: number, message: WorkerToArray): void {
    switch (message.type) {
      case "attached":
        return this.#onAttached(message.errors);
      case "leg-opened":
      case "settled":
        return this.#ports.onAnswer(message.token, message.error);
      case "read-error":
        return this.#driver.dispatch(message);
      case "drained":
        return this.#ports.onAnswer(message.token, null);
      case "held":
        return this.#ports.onHeld();
      case "intent":
      case "leg-report":
        return this.#driver.dispatch({ ...message, worker });
      default:
        return assertNever(message);
    }
  }

  /** The last worker has opened its legs: the array takes requests from now on. */
  #onAttached(errors: readonly { readonly path: string; readonly message: string }[]): void {
    for (const { path, message } of errors) {
      this.#driver.dispatch({ type: "member-vanished", path, reason: message });
    }
    this.#attachedLeft--;
    if (this.#attachedLeft > 0) return;
    if (this.#whenAttached !== null) return this.#whenAttached();
    if (this.#cluster === null) return this.#running();
    // What the cluster has to tell first is carried out before clients come.
    this.#tick();
    void this.#cluster.start().then(() => this.#entered());
  }

  #running(): void {
    this.#array.shared.run = this.#data.readOnly ? RUN_READ_ONLY : RUN_ACTIVE;
    post({ type: "running" });
    this.#tick();
  }

  #entered(): void {
    const { shared } = this.#array;
    if (shared.gateUntil === GATE_EXPELLED || shared.run === RUN_BROKEN) return;
    shared.run = RUN_ACTIVE;
    post({ type: "running" });
  }

  #tick(): void {
    this.#driver.tick();
    const { status } = this.#driver;
    const now = Date.now();
    if (status.sync !== null && now - this.#lastProgress >= PROGRESS_MS) {
      this.#lastProgress = now;
      post({ type: "status", status: this.#status() });
    } else if (this.#cluster !== null && now - this.#lastProgress >= PROGRESS_MS) {
      this.#lastProgress = now;
      if (JSON.stringify(this.#cluster.peers()) !== this.#toldPeers)
        post({ type: "status", status: this.#status() });
    }
    if (status.arrayState === "clear" && !this.#isChanging) return;
    const pause = this.#driver.restless ? TICK_MS : IDLE_TICK_MS;
    this.#nextTick = setTimeout(() => this.#tick(), pause);
  }

  #host(): ArrayHost {
    const cluster = this.#cluster;
    return {
      ...(cluster === null ? {} : { cluster }),
      now: () => Date.now(),
      waitForRegion,
      nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
      openLeg: (leg, path, dataOffset) =>
        this.#ports.openLeg({ leg, member: this.#devices.ticket(path), dataOffset }),
      dropLeg: (leg, reason) => this.#ports.tellAll({ type: "drop-leg", leg, reason }),
      intentReady: (worker) => this.#ports.tell(worker, { type: "intent-ready" }),
      legResolved: (worker, request, isRecorded) =>
        this.#ports.tell(worker, { type: "leg-resolved", request, isRecorded }),
      status: () => post({ type: "status", status: this.#status() }),
      happening: (happening) => post({ type: "happening", happening }),
      stopped: () => {
        if (this.#isChanging) return;
        this.#ports.close();
        // It would keep the thread, and whoever waits for its end, for half a second.
        clearTimeout(this.#nextTick);
        post({ type: "stopped" });
        void this.#cluster?.close();
        this.#endWhenAnswered();
      },
    };
  }

  #clusterHost(): ArrayClusterHost {
    return {
      dispatch: (event) => this.#rest.tell(event),
      rest: (notice, slot) => {
        this.#isChanging = true;
        void this.#rest.rest(notice, slot);
      },
      drain: (from, to) => this.#ports.drain(from, to),
      poke: () => this.#ports.tellAll({ type: "poke" }),
      settle: async () => (await this.#ports.settle(null)) === null,
      findDevice: (uuid) => this.#devices.finder.find(uuid),
      happened: (happening) => {
        post({ type: "happening", happening: clusterHappening(happening, Date.now()) });
        post({ type: "status", status: this.#status() });
      },
      storeSeen: (seen) => post({ type: "store-seen", seen }),
      expelled: (reason, isBroken) => {
        void this.#cluster?.close();
        post({ type: "expelled", reason, isBroken });
      },
    };
  }

  // --- commands ---------------------------------------------------------------------------------

  /** The thread ends once the array is stopped and every command is answered. */
  #endWhenAnswered(): void {
    const isStopped = this.#driver.status.arrayState === "clear" && !this.#isChanging;
    if (!isStopped || this.#answering > 0) return;
    parentPort?.close();
  }

  async #command(id: number, command: ArrayThreadCommand): Promise<void> {
    let error: CodedError | null = null;
    this.#answering++;
    try {
      const outcome = await this.#run(command);
      if (!outcome.ok) {
        const remedy = remedyFor(outcome.code);
        error = new CodedError(outcome.code, outcome.message, { remedy });
      }
    } catch (cause) {
      if (!(cause instanceof CodedError)) throw cause;
      error = cause;
    }
    post({ type: "reply", id, error: error === null ? null : toPlainError(error) });
    if (this.#lost !== null) post({ type: "expelled", reason: this.#lost, isBroken: true });
    this.#answering--;
    this.#endWhenAnswered();
  }

  #run(command: ArrayThreadCommand): Promise<CommandOutcome> {
    if (this.#isChanging) {
      const message = "the array is being changed";
      return Promise.resolve({ ok: false, code: "RAID_ARRAY_CHANGING", message });
    }
    if (command.type === "add" || command.type === "re-add") return this.#devices.join(command);
    if (command.type === "change") return this.#change(command.change);
    if (command.type === "remove") return this.#devices.remove(command);
    if (command.type === "stop") return this.#driver.command({ ...command, keepOpen: false });
    return this.#driver.command(command);
  }

  readonly #rest = new ArrayRest({
    pause: async () => {
      await this.#ports.hold();
      await this.#driver.command({ type: "stop", keepOpen: true });
    },
    startAnew: (afterChange) => this.#startAnew(afterChange),
    mayRest: () => this.#driver.mayRest,
    isStopped: () => this.#driver.isStopped,
    dispatch: (event) => this.#driver.dispatch(event),
    processed: (notice) => this.#cluster?.processed(notice),
  });

  /** The array as its open members say it is now. */
  async #startAnew(afterChange: AfterChange | null): Promise<void> {
    const { syncSpeedMin, syncSpeedMax } = this.#driver.status;
    const devices = this.#openMembers();
    this.#reopened = null;
    this.#array = await assembleDevices(devices, {
      ...this.#data,
      syncSpeedMin,
      syncSpeedMax,
      cluster: this.#cluster,
      ...(afterChange === null ? {} : { afterChange }),
      ...(this.#cluster === null ? {} : { told: this.#driver.told }),
      isChanged: true,
      now: Date.now(),
    });
    const kept = new Set([...this.#array.members.values()].map(({ device }) => device));
    for (const { device } of devices) if (!kept.has(device)) await device.close();
    const { faulty } = this.#driver;
    this.#array.machine.listFaulty(faulty, devices.length);
    this.#devices.renumber(devices.length + faulty.length);
    const { machine, shared, members } = this.#array;
    this.#driver = new ArrayDriver(machine, shared, members, this.#host());
    this.#cluster?.serve(this.#clusterHost(), shared);
    await this.#renew();
    this.#isChanging = false;
    post({ type: "status", status: this.#status() });
  }

  #openMembers(): readonly AssembleDevice[] {
    return this.#reopened ?? this.#driver.working();
  }

  readonly #changeHost: ChangeHost = {
    members: () => this.#openMembers(),
    reopen: async (cluster) => {
      const open = this.#openMembers();
      for (const { device } of open) await device.close();
      const members = open.map(({ path }) => this.#devices.ticket(path));
      this.#reopened = await openMembers({ ...this.#data, members }, accessOf(cluster));
    },
    goOnIn: (cluster) => {
      this.#isEntering = cluster !== null && cluster !== this.#cluster;
      this.#cluster = cluster;
      if (cluster === null) this.#rest.forget();
    },
  };

  /** In a cluster every other node comes to rest first, which may take a while, or is gone. */
  async #beginChange(isLeaving: boolean): Promise<CommandOutcome> {
    if (this.#cluster === null) return { ok: true };
    const ask = async (): Promise<CommandOutcome> => {
      if (this.#isChanging) return RESTING;
      const sectors = Math.floor(this.#array.shared.map.sizeBytes / 512);
      return await this.#driver.command({ type: "begin-change", sectors, isLeaving });
    };
    const pause = (ms: number): Promise<void> => new Promise((resolve) => afterMs(ms, resolve));
    return await askPatiently(ask, { now: monotonicMs, pause });
  }

  /**
   * Holds client requests, stops the array, changes its metadata, starts it again and lets the
   * requests go on. A change that is refused leaves the array as it was.
   */
  async #change(change: ArrayChange): Promise<CommandOutcome> {
    const { readOnly, cluster: board } = this.#data;
    const refusal = changeRefusal(change, {
      readOnly,
      isInCluster: this.#cluster !== null,
      boardCluster: board?.name ?? null,
      isBusy: this.#answering > 1,
    });
    if (refusal !== null) return refusal;
    const direction = directionOf(change, this.#cluster !== null);
    if (change.type === "bitmap" && board !== null && direction === "into-cluster")
      return await this.#enterCluster(change, board);
    const outcome = await this.#beginChange(direction === "out-of-cluster");
    if (!outcome.ok) return outcome;
    return await this.#changeAtRest(change, null);
  }

  /** The node joins while clients go on. */
  async #enterCluster(change: BitmapChange, board: ThreadCluster): Promise<CommandOutcome> {
    const joined = await joinAlone(board, {
      uuid: uuidToKernelText(this.#array.setUuid),
      nodes: change.nodes,
      clusterName: change.clusterName,
    });
    if (this.#answering === 1 && !this.#driver.isStopped)
      return await this.#changeAtRest(change, joined);
    await joined.leave();
    const message = "another command of the array came meanwhile";
    return { ok: false, code: "RAID_MEMBER_BUSY", message };
  }

  async #changeAtRest(change: ArrayChange, joined: ArrayCluster | null): Promise<CommandOutcome> {
    const before = this.#cluster;
    this.#isChanging = true;
    try {
      const problem = await this.#rest.change(
        () =>
          changeMembers(this.#changeHost, change, {
            cluster: joined ?? before,
            isNew: joined !== null,
          }),
        () => (before !== null && this.#cluster === before ? "held" : null),
      );
      if (problem !== null) throw problem;
      return { ok: true };
    } catch (error) {
      const isLost = this.#driver.isStopped && (joined ?? before) !== null;
      if (isLost && error instanceof CodedError) this.#lost = error.message;
      throw error;
    } finally {
      this.#isChanging = false;
    }
  }

  async #renew(): Promise<void> {
    this.#attachedLeft = this.#ports.count;
    const { shared, hasBitmap } = this.#array;
    await new Promise<void>((resolve) => {
      this.#whenAttached = resolve;
      this.#ports.tellAll({
        type: "renew",
        shape: shared.shape,
        legs: this.#legTickets(),
        hasBitmap,
        isGated: this.#cluster !== null,
      });
    });
    this.#whenAttached = null;
    // What a cluster that was just joined has to tell first is carried out before clients go on.
    if (this.#isEntering) await this.#cluster?.start();
    this.#isEntering = false;
    if (shared.gateUntil !== GATE_EXPELLED) shared.run = RUN_ACTIVE;
    this.#ports.tellAll({ type: "go" });
  }
}

/** Another node changes the array as a whole. */
const RESTING: CommandOutcome = {
  ok: false,
  code: "CLUSTER_NODE_BUSY",
  message: "another node changes the array just now",
};

const post = (message: ArrayToMain): void => parentPort?.postMessage(message);

const main = async (): Promise<void> => {
  const data: ArrayThreadData = workerData;
  let cluster: ArrayCluster | null = null;
  try {
    cluster = await joinCluster(data);
    const devices = await openMembers(data, accessOf(cluster));
    const array = await assembleDevices(devices, { ...data, cluster, now: Date.now() });
    const kept = new Set([...array.members.values()].map(({ device }) => device));
    for (const { device } of devices) if (!kept.has(device)) await device.close();
    const thread = new ArrayThread(data, array, cluster);
    parentPort?.on("message", (message: MainToArray) => thread.onMain(message));
    thread.announce();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    await cluster?.leave();
    post({ type: "refused", error: toPlainError(error) });
  }
};

await main();

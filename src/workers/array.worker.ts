/**
 * The array thread: assembles one array from its members, then runs its machine until it is
 * stopped. Talks to the main thread through parentPort and to each I/O worker through a port.
 */

import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assertNever } from "../common/assert.ts";
import { CodedError, toPlainError } from "../common/errors.ts";
import { ArrayDriver, type ArrayHost } from "../raid/array-driver.ts";
import type { CommandOutcome } from "../raid/array-messages.ts";
import type { AfterChange } from "../raid/array-start.ts";
import type { ArrayStatus } from "../raid/array-status.ts";
import { type AssembledArray, assembleDevices } from "../raid/assemble-driver.ts";
import { remedyFor } from "../raid/refusal-remedies.ts";
import { waitForRegion } from "../raid/region-wait-driver.ts";
import { GATE_EXPELLED, RUN_ACTIVE, RUN_BROKEN, RUN_READ_ONLY } from "../raid/shared-state.ts";
import { ArrayChanges, CHANGING } from "./array-changes.ts";
import type { ArrayCluster, ArrayClusterHost } from "./array-cluster.ts";
import { ArrayDevices } from "./array-devices.ts";
import { accessOf, assembleJoined, joinCluster, openTrusted } from "./array-members.ts";
import type {
  ArrayThreadCommand,
  ArrayThreadData,
  ArrayToMain,
  LegTicket,
  MainToArray,
  WorkerToArray,
} from "./array-messages.ts";
import { ArrayRest } from "./array-rest.ts";
import { clusterHappening, devicePassedOver } from "./cluster-happenings.ts";
import { type PeerUse, peerLinks } from "./peer-links.ts";
import { WorkerPorts } from "./worker-ports.ts";

/** Between ticks while something is under way, and while nothing is. Choice: 1/10 of safe mode. */
const TICK_MS = 20;
const IDLE_TICK_MS = 500;
/** Status messages at most this often while a sync action runs. */
const PROGRESS_MS = 200;
const LINKS_MS = 500;

class ArrayThread {
  readonly #data: ArrayThreadData;
  /** Null of an array that is in no cluster. */
  #cluster: ArrayCluster | null;
  #array: AssembledArray;
  #driver: ArrayDriver;
  readonly #ports = new WorkerPorts();
  readonly #devices: ArrayDevices;
  readonly #changes: ArrayChanges;
  #attachedLeft = 0;
  #lastProgress = 0;
  #lastLinks = 0;
  #toldLinks = "[]";
  #nextTick: NodeJS.Timeout | undefined;
  /** The nodes as they were told last. */
  #toldPeers = "";
  /** Commands under way. */
  #answering = 0;
  #whenAttached: (() => void) | null = null;
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
    this.#changes = new ArrayChanges(data, {
      rest: this.#rest,
      driver: () => this.#driver,
      cluster: () => this.#cluster,
      goOnIn: (joined) => this.#goOnIn(joined),
      ticket: (path) => this.#devices.ticket(path),
      array: () => ({
        setUuid: this.#array.setUuid,
        sizeBytes: this.#array.shared.map.sizeBytes,
      }),
      commands: () => this.#answering,
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
      peers: this.#peers,
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
      case "tickets":
        return this.#devices.moved(message.members);
      case "device-found":
        return this.#devices.finder.onFound(message.id, message.member);
      case "view-cluster":
        return post({
          type: "cluster-view",
          id: message.id,
          view: this.#cluster?.view() ?? null,
        });
      case "session-noted":
        // Heard by who asked (session-notes.ts).
        return;
      default:
        return assertNever(message);
    }
  }

  /** As whom the I/O workers open peers' disks. */
  get #peers(): PeerUse | null {
    return accessOf(this.#cluster, this.#data).peers ?? null;
  }

  /** AFTER everything of the cluster that the array leaves is over, in all threads. */
  #goOnIn(joined: ArrayCluster | null): void {
    if (joined === null && this.#cluster !== null && this.#data.cluster?.exporter != null)
      post({ type: "session-over", session: this.#cluster.session });
    this.#cluster = joined;
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
      case "leg-gone":
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
    if (this.#activate()) post({ type: "running" });
  }

  /** False when the node is out, or its array broke, before clients could come. */
  #activate(): boolean {
    const { shared } = this.#array;
    if (shared.gateUntil === GATE_EXPELLED || shared.run === RUN_BROKEN) return false;
    shared.run = RUN_ACTIVE;
    return true;
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
    if (now - this.#lastLinks >= LINKS_MS) {
      this.#lastLinks = now;
      this.#tellLinks();
    }
    if (status.arrayState === "clear" && !this.#changes.isUnderWay) return;
    const pause = this.#driver.restless ? TICK_MS : IDLE_TICK_MS;
    this.#nextTick = setTimeout(() => this.#tick(), pause);
  }

  /** How the ways to peers' disks are, as far as that is news. */
  #tellLinks(): void {
    const links = peerLinks();
    const told = JSON.stringify(links);
    if (told !== this.#toldLinks) post({ type: "peer-links", links });
    this.#toldLinks = told;
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
        if (this.#changes.isUnderWay) return;
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
        this.#changes.isUnderWay = true;
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
    const isStopped = this.#driver.status.arrayState === "clear" && !this.#changes.isUnderWay;
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
    const { lost } = this.#changes;
    if (lost !== null) post({ type: "expelled", reason: lost, isBroken: true });
    this.#answering--;
    this.#endWhenAnswered();
  }

  #run(command: ArrayThreadCommand): Promise<CommandOutcome> {
    if (command.type === "await-change") return this.#changes.awaitEnd();
    if (command.type === "stop") return this.#changes.stop();
    if (this.#changes.isUnderWay) return Promise.resolve(CHANGING);
    if (command.type === "add" || command.type === "re-add") return this.#devices.join(command);
    if (command.type === "change") return this.#changes.change(command.change);
    if (command.type === "remove") return this.#devices.remove(command);
    if (command.type === "fail") return this.#devices.fail(command);
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
    const devices = this.#changes.takeMembers();
    // Whoever changed the array has measured them: they may have grown since they were opened here.
    await Promise.all(devices.map(({ device }) => device.measure?.()));
    const copies = this.#changes.isEntering ? undefined : await this.#cluster?.copiesNow();
    this.#array = await assembleDevices(devices, {
      ...this.#data,
      syncSpeedMin,
      syncSpeedMax,
      cluster: this.#cluster,
      ...(afterChange === null ? {} : { afterChange }),
      ...(copies === undefined ? {} : { copies }),
      ...(this.#cluster === null ? {} : { told: this.#driver.told }),
      isChanged: true,
      now: Date.now(),
    });
    if (copies !== undefined) await this.#cluster?.goesOn(this.#array.events);
    const kept = new Set([...this.#array.members.values()].map(({ device }) => device));
    for (const { device } of devices) if (!kept.has(device)) await device.close();
    const { faulty } = this.#driver;
    this.#array.machine.listFaulty(faulty, devices.length);
    this.#devices.renumber(devices.length + faulty.length);
    const { machine, shared, members } = this.#array;
    this.#driver = new ArrayDriver(machine, shared, members, this.#host());
    this.#cluster?.serve(this.#clusterHost(), shared);
    await this.#renew();
    this.#changes.isUnderWay = false;
    post({ type: "status", status: this.#status() });
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
        peers: this.#peers,
      });
    });
    this.#whenAttached = null;
    // What a cluster that was just joined has to tell first is carried out before clients go on.
    if (this.#changes.isEntering) await this.#cluster?.start();
    this.#changes.isEntering = false;
    this.#activate();
    this.#ports.tellAll({ type: "go" });
  }
}

const post = (message: ArrayToMain): void => parentPort?.postMessage(message);

const main = async (): Promise<void> => {
  const data: ArrayThreadData = workerData;
  let cluster: ArrayCluster | null = null;
  try {
    cluster = await joinCluster(data);
    const wasRunElsewhere = cluster?.isRunElsewhere === true;
    const devices = await openTrusted(data, cluster);
    const array = await assembleJoined(data, devices, cluster, wasRunElsewhere);
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

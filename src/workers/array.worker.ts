/**
 * The array thread: assembles one array from its members, then runs its machine until it is
 * stopped. Talks to the main thread through parentPort and to each I/O worker through a port.
 */

import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { assert, assertNever } from "../common/assert.ts";
import { CodedError, toPlainError } from "../common/errors.ts";
import type { RevocableDevice } from "../hal/layers/revocable-device.ts";
import type { ArrayChange } from "../raid/array-change.ts";
import { ArrayDriver, type ArrayHost } from "../raid/array-driver.ts";
import type { CommandOutcome } from "../raid/array-messages.ts";
import {
  type AssembleDevice,
  type AssembledArray,
  assembleDevices,
} from "../raid/assemble-driver.ts";
import { changeArray } from "../raid/change-array-driver.ts";
import { remedyFor } from "../raid/refusal-remedies.ts";
import { waitForRegion } from "../raid/region-wait-driver.ts";
import { RUN_ACTIVE, RUN_READ_ONLY } from "../raid/shared-state.ts";
import type {
  ArrayThreadCommand,
  ArrayThreadData,
  ArrayToMain,
  ArrayToWorker,
  LegTicket,
  MainToArray,
  WorkerToArray,
} from "./array-messages.ts";
import { readNewcomer } from "./newcomer.ts";
import { answersSoon, type MemberTicket, openMember } from "./open-member.ts";

/** Between ticks while something is under way, and while nothing is. Choice: 1/10 of safe mode. */
const TICK_MS = 20;
const IDLE_TICK_MS = 500;
/** Status messages at most this often while a sync action runs. */
const PROGRESS_MS = 200;

class ArrayThread {
  readonly #data: ArrayThreadData;
  #array: AssembledArray;
  #driver: ArrayDriver;
  readonly #ports: MessagePort[] = [];
  readonly #opening = new Map<
    number,
    { left: number; error: string | null; done: (error: string | null) => void }
  >();
  readonly #tickets: Map<string, MemberTicket>;
  #attachedLeft = 0;
  #nextOpening = 1;
  #nextMember: number;
  #lastProgress = 0;
  /** Commands under way. */
  #answering = 0;
  /** A change of the array: it is stopped and started again in this thread. */
  #isChanging = false;
  #heldLeft = 0;
  #whenHeld: (() => void) | null = null;
  #whenAttached: (() => void) | null = null;

  constructor(data: ArrayThreadData, array: AssembledArray) {
    this.#data = data;
    this.#array = array;
    this.#nextMember = data.members.length;
    this.#tickets = new Map(data.members.map((member) => [member.path, member]));
    this.#driver = new ArrayDriver(array.machine, array.shared, array.members, this.#host());
  }

  announce(): void {
    post({
      type: "assembled",
      shape: this.#array.shared.shape,
      legs: this.#legTickets(),
      hasBitmap: this.#array.hasBitmap,
      readOnly: this.#data.readOnly,
      status: this.#driver.status,
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
      default:
        return assertNever(message);
    }
  }

  #legTickets(): LegTicket[] {
    return this.#array.legs.map(({ leg, path, dataOffset }) => ({
      leg,
      member: this.#ticket(path),
      dataOffset,
    }));
  }

  #ticket(path: string): MemberTicket {
    const ticket = this.#tickets.get(path);
    assert(ticket !== undefined, "member without a ticket");
    return ticket;
  }

  // --- workers ----------------------------------------------------------------------------------

  #attach(ports: readonly MessagePort[]): void {
    this.#attachedLeft = ports.length;
    for (const [worker, port] of ports.entries()) {
      this.#ports.push(port);
      port.on("message", (message: WorkerToArray) => this.#onWorker(worker, message));
    }
  }

  #onWorker(worker: number, message: WorkerToArray): void {
    switch (message.type) {
      case "attached":
        return this.#onAttached(message.errors);
      case "leg-opened":
        return this.#onLegOpened(message.token, message.error);
      case "read-error":
        return this.#driver.dispatch(message);
      case "held":
        this.#heldLeft--;
        return this.#heldLeft === 0 ? this.#whenHeld?.() : undefined;
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
    this.#array.shared.run = this.#data.readOnly ? RUN_READ_ONLY : RUN_ACTIVE;
    if (this.#whenAttached !== null) return this.#whenAttached();
    post({ type: "running" });
    this.#tick();
  }

  #tick(): void {
    this.#driver.tick();
    const { status } = this.#driver;
    const now = Date.now();
    if (status.sync !== null && now - this.#lastProgress >= PROGRESS_MS) {
      this.#lastProgress = now;
      post({ type: "status", status });
    }
    if (status.arrayState === "clear" && !this.#isChanging) return;
    setTimeout(() => this.#tick(), this.#driver.restless ? TICK_MS : IDLE_TICK_MS);
  }

  #host(): ArrayHost {
    return {
      now: () => Date.now(),
      waitForRegion,
      nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
      openLeg: (leg, path, dataOffset) => this.#openLeg(leg, path, dataOffset),
      dropLeg: (leg, reason) => this.#toAll({ type: "drop-leg", leg, reason }),
      intentReady: (worker) => this.#toWorker(worker, { type: "intent-ready" }),
      legResolved: (worker, request, isRecorded) =>
        this.#toWorker(worker, { type: "leg-resolved", request, isRecorded }),
      status: (status) => post({ type: "status", status }),
      happening: (happening) => post({ type: "happening", happening }),
      stopped: () => {
        if (this.#isChanging) return;
        for (const port of this.#ports) port.close();
        post({ type: "stopped" });
        this.#endWhenAnswered();
      },
    };
  }

  #toWorker(worker: number, message: ArrayToWorker): void {
    this.#ports[worker]?.postMessage(message);
  }

  #toAll(message: ArrayToWorker): void {
    for (const port of this.#ports) port.postMessage(message);
  }

  #openLeg(number: number, path: string, dataOffset: number): Promise<string | null> {
    const token = this.#nextOpening++;
    const leg: LegTicket = { leg: number, member: this.#ticket(path), dataOffset };
    return new Promise((done) => {
      if (this.#ports.length === 0) return done(null);
      this.#opening.set(token, { left: this.#ports.length, error: null, done });
      this.#toAll({ type: "open-leg", token, leg });
    });
  }

  #onLegOpened(token: number, error: string | null): void {
    const opening = this.#opening.get(token);
    if (opening === undefined) return;
    opening.error ??= error;
    opening.left--;
    if (opening.left > 0) return;
    this.#opening.delete(token);
    opening.done(opening.error);
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
    this.#answering--;
    this.#endWhenAnswered();
  }

  #run(command: ArrayThreadCommand): Promise<CommandOutcome> {
    if (this.#isChanging) {
      const message = "the array is being changed";
      return Promise.resolve({ ok: false, code: "RAID_ARRAY_CHANGING", message });
    }
    if (command.type === "add" || command.type === "re-add") return this.#join(command);
    if (command.type === "change") return this.#change(command.change);
    if (command.type === "remove") return this.#remove(command);
    if (command.type === "stop") return this.#driver.command({ ...command, keepOpen: false });
    return this.#driver.command(command);
  }

  /**
   * Holds client requests, stops the array, changes its metadata, starts it again and lets the
   * requests go on. A change that is refused leaves the array as it was.
   */
  async #change(change: ArrayChange): Promise<CommandOutcome> {
    if (this.#data.readOnly)
      return { ok: false, code: "RAID_READ_ONLY", message: "the array is read-only" };
    if (CLUSTER_CHANGES.has(change.type) || ("bitmap" in change && change.bitmap === "clustered")) {
      const message = "the array would belong to a cluster, and this board is in none";
      return { ok: false, code: "RAID_CLUSTERED_ARRAY", message };
    }
    if (this.#answering > 1) {
      const message = "another command of the array is under way";
      return { ok: false, code: "RAID_MEMBER_BUSY", message };
    }
    this.#isChanging = true;
    try {
      await this.#hold();
      const { syncSpeedMin, syncSpeedMax } = this.#driver.status;
      await this.#driver.command({ type: "stop", keepOpen: true });
      const devices = this.#driver.working();
      const problem = await changeProblem(devices, change);
      const limits = { syncSpeedMin, syncSpeedMax };
      const options = { ...this.#data, ...limits, now: Date.now(), isChanged: true };
      this.#array = await assembleDevices(devices, options);
      const kept = new Set([...this.#array.members.values()].map(({ device }) => device));
      for (const { device } of devices) if (!kept.has(device)) await device.close();
      const { faulty } = this.#driver;
      this.#array.machine.listFaulty(faulty, devices.length);
      this.#nextMember = devices.length + faulty.length;
      this.#driver = new ArrayDriver(
        this.#array.machine,
        this.#array.shared,
        this.#array.members,
        this.#host(),
      );
      await this.#renew();
      post({ type: "status", status: this.#driver.status });
      if (problem !== null) throw problem;
      return { ok: true };
    } finally {
      this.#isChanging = false;
    }
  }

  #hold(): Promise<void> {
    this.#heldLeft = this.#ports.length;
    return new Promise((resolve) => {
      this.#whenHeld = resolve;
      this.#toAll({ type: "hold" });
    });
  }

  async #renew(): Promise<void> {
    this.#attachedLeft = this.#ports.length;
    await new Promise<void>((resolve) => {
      this.#whenAttached = resolve;
      const { shared, hasBitmap } = this.#array;
      this.#toAll({ type: "renew", shape: shared.shape, legs: this.#legTickets(), hasBitmap });
    });
    this.#whenAttached = null;
    this.#toAll({ type: "go" });
  }

  /** A member that still owes answers stays: nobody else may write on it meanwhile. */
  async #remove(command: Extract<ArrayThreadCommand, { type: "remove" }>): Promise<CommandOutcome> {
    const device = this.#driver.givenUp(command.path);
    if (device === null || (await answersSoon(device))) return this.#driver.command(command);
    const message = `${command.path} has not answered all calls yet`;
    return { ok: false, code: "RAID_MEMBER_BUSY", message };
  }

  /** Opens and reads the newcomer BEFORE the machine hears of it; closes it when it is refused. */
  async #join(
    command: Extract<ArrayThreadCommand, { type: "add" | "re-add" }>,
  ): Promise<CommandOutcome> {
    const { member: ticket } = command;
    // A faulty member that is still held has its claim already.
    const isHeld = this.#driver.status.members.some(({ path }) => path === ticket.path);
    const device = await openMember(ticket, "write", !isHeld);
    const member = this.#nextMember++;
    this.#driver.addMember(member, { path: ticket.path, device });
    let outcome: CommandOutcome | null = null;
    try {
      const { setUuid } = this.#array;
      const flags = command.type === "re-add" ? RE_ADD_FLAGS : command;
      const found = await withinLimit(device, this.#data.answerLimitMs, () =>
        readNewcomer(device, { ...flags, setUuid }),
      );
      this.#tickets.set(ticket.path, ticket);
      const newcomer = { ...found, member, path: ticket.path };
      outcome = await this.#driver.command({ type: command.type, newcomer });
      return outcome;
    } finally {
      if (outcome?.ok !== true) this.#driver.forgetMember(member);
    }
  }
}

/** A device that does not answer in time is given up. Errors: HAL_NO_ANSWER, and those of `ask`. */
const withinLimit = async <T>(
  device: RevocableDevice,
  limitMs: number | null,
  ask: () => Promise<T>,
): Promise<T> => {
  if (limitMs === null) return await ask();
  const reason = `no answer for ${limitMs / 1000} s`;
  const timer = setTimeout(() => device.revoke(reason), limitMs);
  try {
    const answer = await ask();
    // What cannot be read counts as absent: that it was not read in time is another thing.
    if (device.isRevoked) throw new CodedError("HAL_NO_ANSWER", `${device.name}: ${reason}`);
    return answer;
  } finally {
    clearTimeout(timer);
  }
};

/** Makes the change; a refusal is kept until the array runs again. */
const changeProblem = async (
  devices: readonly AssembleDevice[],
  change: ArrayChange,
): Promise<CodedError | null> => {
  try {
    await changeArray(devices, change, Date.now());
    return null;
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
};

/** What makes sense in a cluster only: the array could not be started here afterwards. */
const CLUSTER_CHANGES = new Set<ArrayChange["type"]>(["nodes", "home-cluster"]);

/** A member that returns keeps the flags of its superblock. */
const RE_ADD_FLAGS = { force: true, distrust: false, writeMostly: false, failfast: false };

const post = (message: ArrayToMain): void => parentPort?.postMessage(message);

/** Opens every member it can; the others get their reason from assembly's refusal or stay out. */
const openMembers = async (data: ArrayThreadData): Promise<AssembleDevice[]> => {
  const devices: AssembleDevice[] = [];
  const problems: { path: string; reason: string; text: string }[] = [];
  for (const ticket of data.members) {
    try {
      const device = await openMember(ticket, data.readOnly ? "read" : "write", !data.readOnly);
      devices.push({ path: ticket.path, device });
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      problems.push({ path: ticket.path, reason: "unreadable", text: error.advice });
    }
  }
  if (devices.length > 0) return devices;
  throw new CodedError("RAID_NO_MEMBERS", "none of the members can be opened", {
    remedy: "check that the members are there",
    details: { members: problems },
  });
};

const main = async (): Promise<void> => {
  const data: ArrayThreadData = workerData;
  try {
    const devices = await openMembers(data);
    const array = await assembleDevices(devices, { ...data, now: Date.now() });
    const kept = new Set([...array.members.values()].map(({ device }) => device));
    for (const { device } of devices) if (!kept.has(device)) await device.close();
    const thread = new ArrayThread(data, array);
    parentPort?.on("message", (message: MainToArray) => thread.onMain(message));
    thread.announce();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    post({ type: "refused", error: toPlainError(error) });
  }
};

await main();

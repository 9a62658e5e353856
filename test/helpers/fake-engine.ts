/**
 * A storage engine without I/O, for tests of control and API: arrays are status values in memory,
 * devices are looked up on the filesystem but hold what the test says. It keeps the promises of the
 * port (refusals, order of news) and does nothing by itself: tests move it by `FakeArray`.
 */
import { statSync } from "node:fs";
import { CodedError } from "../../src/common/errors.ts";
import type {
  CreateArrayRequest,
  DeviceProbe,
  ExportClient,
  ExportSpec,
  IoCounters,
  MemberFault,
  RunningArray,
  StorageEngine,
  SyncSpeed,
} from "../../src/control/engine.ts";
import type {
  ArrayHappening,
  ArrayStatus,
  MemberStateWord,
  MemberStatus,
  SyncStatus,
} from "../../src/raid/array-status.ts";

/** What a fake device holds; absent: nothing. */
export interface FakeContent {
  readonly md?: NonNullable<DeviceProbe["md"]>;
  readonly signatures?: readonly string[];
}

const MEMBER_OVERHEAD = 1024 * 1024;

export function fakeMember(path: string, slot: number, states: MemberStateWord[]): MemberStatus {
  return {
    path,
    deviceUuid: `00000000-0000-0000-0000-00000000000${slot}`,
    raidSlot: states.includes("in_sync") || states.includes("rebuilding") ? slot : null,
    deviceNumber: slot,
    states,
    recoveryOffset: states.includes("rebuilding") ? 0 : null,
    readErrorsCorrected: 0,
    stalledSince: null,
    faultReason: null,
  };
}

export function fakeSync(overrides: Partial<SyncStatus> = {}): SyncStatus {
  return {
    action: "check",
    reason: "user",
    scope: "full",
    paused: false,
    startedAt: 1000,
    completedBytes: 0,
    totalBytes: 1000,
    copiedBytes: 0,
    skippedBytes: 0,
    speedBytesPerSecond: 100,
    eta: { low: 9, high: 11 },
    ...overrides,
  };
}

export class FakeArray implements RunningArray {
  readonly uuid: string;
  status: ArrayStatus;
  readonly calls: string[] = [];
  readonly #engine: FakeEngine;

  constructor(engine: FakeEngine, status: ArrayStatus) {
    this.#engine = engine;
    this.uuid = status.uuid;
    this.status = status;
  }

  /** Publishes a changed status, as the array thread would. */
  show(change: Partial<ArrayStatus>): void {
    this.status = { ...this.status, ...change };
    this.#engine.publish(this.uuid, this.status);
  }

  happen(happening: Partial<ArrayHappening> & Pick<ArrayHappening, "type">): void {
    const event = { severity: "info", time: 5000, message: happening.type, details: {} } as const;
    this.#engine.announce(this.uuid, { ...event, ...happening });
  }

  async fail(path: string): Promise<void> {
    const member = this.#member(path);
    const copies = this.status.members.filter((other) => other.states.includes("in_sync"));
    if (copies.length === 1 && copies[0] === member) {
      throw new CodedError("RAID_LAST_IN_SYNC_MEMBER", `${path} is the last in-sync member`, {
        remedy: "rebuild another member first",
      });
    }
    this.#replace(path, { states: ["faulty"], faultReason: "failed by request" });
    this.happen({ type: "member.failed", severity: "warning", message: `${path} failed` });
  }

  async remove(path: string): Promise<void> {
    const member = this.#member(path);
    if (!member.states.includes("faulty") && !member.states.includes("spare")) {
      throw new CodedError("RAID_MEMBER_NOT_FAULTY", `${path} is in use`, {
        remedy: "fail it first",
      });
    }
    this.#judge(this.status.members.filter((other) => other !== member));
  }

  async add(path: string): Promise<void> {
    this.#engine.hold(path, { md: this.#engine.superblock(this.status) });
    const isNeeded = this.status.inSyncCopies < this.status.raidDevices;
    const states: MemberStateWord[] = isNeeded ? ["spare", "rebuilding"] : ["spare"];
    this.#judge([...this.status.members, fakeMember(path, this.status.members.length, states)]);
  }

  async reAdd(path: string): Promise<void> {
    if (this.#engine.contents.get(path)?.md?.arrayUuid !== this.uuid) {
      throw new CodedError("RAID_RE_ADD_REFUSED", `${path} was never here`, { remedy: "add it" });
    }
    this.#judge([...this.status.members, fakeMember(path, 1, ["in_sync"])]);
  }

  async setSyncAction(action: "idle" | "check" | "repair" | "frozen"): Promise<void> {
    this.calls.push(`action ${action}`);
    if (action === "check" || action === "repair") {
      this.show({ sync: fakeSync({ action, startedAt: this.#engine.tick() }) });
    } else if (this.status.sync !== null) {
      this.happen({ type: "sync.finished", details: { outcome: "cancelled" } });
      this.show({ sync: null });
    }
  }

  async setSyncSpeed(speed: SyncSpeed): Promise<void> {
    this.calls.push(`speed ${speed.min} ${speed.max}`);
    this.show({ syncSpeedMin: speed.min, syncSpeedMax: speed.max });
  }

  async memberVanished(path: string, reason: string): Promise<void> {
    this.calls.push(`vanished ${path}: ${reason}`);
    this.#replace(path, { states: ["faulty"], faultReason: reason });
    this.happen({ type: "member.failed", severity: "warning", message: reason });
  }

  async stop(): Promise<void> {
    this.calls.push("stop");
    this.#engine.arrays.delete(this.uuid);
  }

  #member(path: string): MemberStatus {
    const member = this.status.members.find((candidate) => candidate.path === path);
    if (member === undefined) throw new Error(`${path} is no member of ${this.uuid}`);
    return member;
  }

  #replace(path: string, change: Partial<MemberStatus>): void {
    this.#judge(
      this.status.members.map((member) =>
        member.path === path ? { ...member, ...change } : member,
      ),
    );
  }

  #judge(members: readonly MemberStatus[]): void {
    const inSyncCopies = members.filter((member) => member.states.includes("in_sync")).length;
    const isRebuilding = members.some((member) => member.states.includes("rebuilding"));
    const degraded = this.status.raidDevices - inSyncCopies;
    const health = degraded === 0 ? "optimal" : isRebuilding ? "recovering" : "degraded";
    this.show({ members, inSyncCopies, degraded, health, events: this.status.events + 1 });
  }
}

export class FakeEngine implements StorageEngine {
  readonly arrays = new Map<string, FakeArray>();
  /** What devices hold, by path. */
  readonly contents = new Map<string, FakeContent>();
  readonly openExports = new Map<string, ExportSpec>();
  attached: ExportClient[] = [];
  readonly nbd = { tcp: { host: "127.0.0.1", port: 10809 }, socketPath: "/run/satsuma/nbd.sock" };
  isLabMode = true;
  /** When set, the next call of that name fails with it. */
  failNext: { readonly call: "create" | "assemble" | "openExport"; readonly error: Error } | null =
    null;
  #faults: MemberFault[] = [];
  #made = 0;
  #ticks = 0;
  #onStatus: (uuid: string, status: ArrayStatus) => void = () => undefined;
  #onHappening: (uuid: string, happening: ArrayHappening) => void = () => undefined;

  tick(): number {
    this.#ticks += 1;
    return this.#ticks;
  }

  hold(path: string, content: FakeContent): void {
    this.contents.set(path, content);
  }

  superblock(status: ArrayStatus): NonNullable<DeviceProbe["md"]> {
    return {
      arrayUuid: status.uuid,
      deviceUuid: "00000000-0000-0000-0000-0000000000aa",
      name: status.name,
      level: status.level,
      raidDevices: status.raidDevices,
      events: status.events,
      metadata: status.metadata,
      role: "slot 0",
    };
  }

  publish(uuid: string, status: ArrayStatus): void {
    this.#onStatus(uuid, status);
  }

  announce(uuid: string, happening: ArrayHappening): void {
    this.#onHappening(uuid, happening);
  }

  array(name: string): FakeArray {
    const found = [...this.arrays.values()].find((array) => array.status.name === name);
    if (found === undefined) throw new Error(`no array ${name} runs`);
    return found;
  }

  async probe(path: string): Promise<DeviceProbe> {
    const stat = statSync(path, { throwIfNoEntry: false });
    const content = this.contents.get(path) ?? {};
    const base = { path, logicalBlockSize: 512, readOnly: false, signatures: [], md: null };
    if (stat === undefined || !stat.isFile()) {
      const message = stat === undefined ? "nothing is there" : "it is a directory";
      return { ...base, sizeBytes: 0, problem: { code: "HAL_NOT_A_DEVICE", message } };
    }
    return {
      ...base,
      sizeBytes: stat.size,
      md: content.md ?? null,
      signatures: content.signatures ?? [],
      problem: null,
    };
  }

  async create(request: CreateArrayRequest): Promise<RunningArray> {
    this.#failIfAsked("create");
    this.#made += 1;
    const uuid = `1d70f103-4974-0ef1-af2a-${String(this.#made).padStart(12, "0")}`;
    const paths = request.members.filter((path) => path !== "missing");
    const size = Math.min(...paths.map((path) => statSync(path).size)) - MEMBER_OVERHEAD;
    const members = paths.map((path, index) =>
      fakeMember(path, index, [index < request.raidDevices ? "in_sync" : "spare"]),
    );
    const inSyncCopies = Math.min(paths.length, request.raidDevices);
    const degraded = request.raidDevices - inSyncCopies;
    const status: ArrayStatus = {
      uuid,
      name: request.name,
      level: request.level,
      metadata: request.metadata,
      raidDevices: request.raidDevices,
      sizeBytes: size,
      createdAt: 1_700_000_000_000,
      arrayState: "clean",
      health: degraded === 0 ? "optimal" : "degraded",
      degraded,
      inSyncCopies,
      events: 1,
      mismatchCount: 0,
      consistencyPolicy: request.bitmap === "none" ? "resync" : "bitmap",
      bitmap: {
        type: request.bitmap,
        chunkBytes: request.bitmapChunkBytes ?? 65536,
        dirtyChunks: 0,
        totalChunks: 100,
        delaySeconds: 5,
      },
      members,
      sync: null,
      syncSpeedMin: 1_048_576,
      syncSpeedMax: 209_715_200,
    };
    for (const path of paths) this.hold(path, { md: this.superblock(status) });
    return this.#run(status);
  }

  async assemble(paths: readonly string[]): Promise<RunningArray> {
    this.#failIfAsked("assemble");
    const uuid = this.contents.get(paths[0] ?? "")?.md?.arrayUuid;
    const known = this.lastStatuses.get(uuid ?? "");
    if (uuid === undefined || known === undefined) {
      throw new CodedError("RAID_ASSEMBLY_REFUSED", "no usable member", {
        remedy: "bring more members",
        details: { members: paths.map((path) => ({ path, reason: "no superblock" })) },
      });
    }
    const members = paths.map((path, index) => fakeMember(path, index, ["in_sync"]));
    const degraded = known.raidDevices - members.length;
    return this.#run({
      ...known,
      members,
      inSyncCopies: members.length,
      degraded,
      sync: null,
      health: degraded === 0 ? "optimal" : "degraded",
    });
  }

  /** Statuses of arrays that ran, by uuid: what their superblocks would tell. */
  readonly lastStatuses = new Map<string, ArrayStatus>();

  onStatus(listener: (uuid: string, status: ArrayStatus) => void): void {
    this.#onStatus = listener;
  }

  onHappening(listener: (uuid: string, happening: ArrayHappening) => void): void {
    this.#onHappening = listener;
  }

  async openExport(spec: ExportSpec): Promise<void> {
    this.#failIfAsked("openExport");
    this.openExports.set(spec.name, spec);
  }

  async closeExport(name: string): Promise<void> {
    this.openExports.delete(name);
    this.attached = this.attached.filter((client) => client.exportName !== name);
  }

  attach(exportName: string): void {
    this.attached.push({
      id: `c${this.attached.length + 1}`,
      exportName,
      peer: "unix",
      tls: false,
      connectedAt: 1_700_000_000_000,
      readBytes: 4096,
      writtenBytes: 8192,
    });
  }

  clients(): readonly ExportClient[] {
    return this.attached;
  }

  counters(): IoCounters {
    const latency = { bounds: [0.001, 0.01], counts: [3, 2, 1], sum: 0.5 };
    return {
      nbdRequests: { "read:0": 5, "write:5": 1 },
      readBytes: 4096,
      writtenBytes: 8192,
      readOps: 5,
      writeOps: 1,
      flushOps: 2,
      latency: { read: latency, write: latency, flush: latency },
    };
  }

  async setFault(fault: MemberFault): Promise<void> {
    if (!this.isLabMode) {
      throw new CodedError("HAL_LAB_MODE_OFF", "lab mode is off", { remedy: "serve with --lab" });
    }
    this.#faults.push(fault);
  }

  async clearFaults(path: string): Promise<void> {
    this.#faults = this.#faults.filter((fault) => fault.path !== path);
  }

  faults(): readonly MemberFault[] {
    return this.#faults;
  }

  async close(): Promise<void> {
    for (const array of [...this.arrays.values()]) await array.stop();
  }

  #run(status: ArrayStatus): FakeArray {
    const array = new FakeArray(this, status);
    this.arrays.set(status.uuid, array);
    this.lastStatuses.set(status.uuid, status);
    return array;
  }

  #failIfAsked(call: "create" | "assemble" | "openExport"): void {
    if (this.failNext?.call === call) {
      const { error } = this.failNext;
      this.failNext = null;
      throw error;
    }
  }
}

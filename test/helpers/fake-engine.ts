/**
 * A storage engine without I/O, for tests of control and API: arrays are status values in memory,
 * devices are looked up on the filesystem but hold what the test says. It keeps the promises of the
 * port (refusals, order of news) and does nothing by itself: tests move it by `FakeArray`.
 */
import { statSync } from "node:fs";
import { CodedError } from "../../src/common/errors.ts";
import type {
  AssembleOrder,
  CreateArrayRequest,
  DeviceProbe,
  ExportClient,
  ExportSpec,
  IoCounters,
  MemberFault,
  RunningArray,
  StorageEngine,
} from "../../src/control/engine.ts";
import type { PeerBoards } from "../../src/control/peer-boards.ts";
import type { ArrayHappening, ArrayStatus, MemberStatus } from "../../src/raid/array-status.ts";
import type { AssemblyReport } from "../../src/raid/assembly-status.ts";
import { createOptionsOf } from "../../src/raid/create-options.ts";
import { type CreateMember, type CreatePlan, planCreate } from "../../src/raid/create-plan.ts";
import { formatRaid10Layout } from "../../src/raid/raid10-layout.ts";
import { FakeArray } from "./fake-array.ts";
import { fakeReport } from "./fake-assembly.ts";
import { emptySlot, type FakeContent, fakeMember, judged } from "./fake-status.ts";

/** What every peer's disk has. */
const PEER_BYTES = 8 * 1024 * 1024;

type FailingCall = "create" | "assemble" | "openExport" | "change";

export class FakeEngine implements StorageEngine {
  cluster: string | null = "attic";
  peers: PeerBoards | null = null;
  readonly arrays = new Map<string, FakeArray>();
  /** What devices hold, by path. */
  readonly contents = new Map<string, FakeContent>();
  readonly openExports = new Map<string, ExportSpec>();
  attached: ExportClient[] = [];
  readonly nbd = { tcp: { host: "127.0.0.1", port: 10809 }, socketPath: "/run/satsuma/nbd.sock" };
  isLabMode = true;
  /** When set, the next call of that name fails with it. */
  failNext: { readonly call: FailingCall; readonly error: Error } | null = null;
  findDevice: (deviceUuid: string) => Promise<string | null> = async () => null;
  #onExpelled: (uuid: string, reason: string, isBroken: boolean) => void = () => undefined;
  #faults: MemberFault[] = [];
  #made = 0;
  #ticks = 0;
  #onStatus: (uuid: string, status: ArrayStatus) => void = () => undefined;
  readonly #onHappening: ((uuid: string, happening: ArrayHappening) => void)[] = [];

  async share(): Promise<void> {
    // It has no peers, or those that the test gave it.
  }

  tick(): number {
    this.#ticks += 1;
    return this.#ticks;
  }

  hold(path: string, content: FakeContent): void {
    this.contents.set(path, content);
  }

  superblock(status: ArrayStatus, path: string): NonNullable<DeviceProbe["md"]> {
    const member = status.members.find((one) => one.path === path);
    return {
      arrayUuid: status.uuid,
      deviceUuid: member?.deviceUuid ?? "00000000-0000-0000-0000-0000000000aa",
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
    for (const listener of this.#onHappening) listener(uuid, happening);
  }

  ended(status: ArrayStatus): void {
    this.arrays.delete(status.uuid);
    this.lastStatuses.set(status.uuid, status);
  }

  array(name: string): FakeArray {
    const found = [...this.arrays.values()].find((array) => array.status.name === name);
    if (found === undefined) throw new Error(`no array ${name} runs`);
    return found;
  }

  async probe(path: string): Promise<DeviceProbe> {
    const stat = path.startsWith("peer:")
      ? { isFile: () => true, size: PEER_BYTES }
      : statSync(path, { throwIfNoEntry: false });
    const content = this.contents.get(path) ?? {};
    const { logicalBlockSize = 512 } = content;
    const base = { path, logicalBlockSize, readOnly: false, signatures: [], md: null };
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

  async examine(paths: readonly string[]): Promise<AssemblyReport> {
    return fakeReport(this, paths);
  }

  async markedBytes(): Promise<number | null> {
    return null;
  }

  async create(request: CreateArrayRequest, given?: string): Promise<RunningArray> {
    this.failIfAsked("create");
    const { plan, layout } = this.#plan(request);
    this.#made += 1;
    const uuid = given ?? `1d70f103-4974-0ef1-af2a-${String(this.#made).padStart(12, "0")}`;
    const members = request.members.map((path, index): MemberStatus => {
      if (path === "missing") return emptySlot(index);
      const flags = [
        ...(request.writeMostly.includes(path) ? (["writemostly"] as const) : []),
        ...(request.failfast.includes(path) ? (["failfast"] as const) : []),
      ];
      return fakeMember(path, index, [index < request.raidDevices ? "in_sync" : "spare", ...flags]);
    });
    const status: ArrayStatus = {
      uuid,
      name: request.name,
      level: request.level,
      layout,
      chunkBytes: request.level === "raid1" ? null : (request.chunkBytes ?? 512 * 1024),
      memberBytes: plan.size * 512,
      logicalBlockBytes: 512,
      metadata: request.metadata,
      raidDevices: request.raidDevices,
      sizeBytes: plan.arraySectors * 512,
      createdAt: 1_700_000_000_000,
      arrayState: "clean",
      health: "optimal",
      degraded: 0,
      inSyncCopies: 0,
      events: 1,
      mismatchCount: 0,
      mismatches: { ranges: [], truncated: false },
      consistencyPolicy: request.bitmap === "none" ? "resync" : "bitmap",
      bitmap: {
        type: request.bitmap,
        chunkBytes: request.bitmapChunkBytes ?? 65536,
        dirtyChunks: 0,
        totalChunks: 100,
        delaySeconds: 5,
        nodes: request.nodes,
        clusterName: request.clusterName,
      },
      members,
      sync: null,
      cluster: null,
      syncSpeedMin: 1_048_576,
      syncSpeedMax: 209_715_200,
    };
    const started = { ...status, ...judged(status, members) };
    for (const path of request.members) {
      if (path !== "missing") this.hold(path, { md: this.superblock(started, path) });
    }
    return this.#run(started);
  }

  async assemble(paths: readonly string[], order: AssembleOrder): Promise<RunningArray> {
    this.failIfAsked("assemble");
    this.lastOrder = order;
    const uuid = this.contents.get(paths[0] ?? "")?.md?.arrayUuid;
    const known = this.lastStatuses.get(uuid ?? "");
    if (uuid === undefined || known === undefined) {
      throw new CodedError("RAID_ASSEMBLY_REFUSED", "no usable member", {
        remedy: "bring more members",
        details: { members: paths.map((path) => ({ path, reason: "no superblock" })) },
      });
    }
    const members = paths.map((path, index) => ({
      ...fakeMember(path, index, ["in_sync"]),
      deviceUuid: this.contents.get(path)?.md?.deviceUuid ?? null,
    }));
    const { syncSpeed = null } = order;
    const limits =
      syncSpeed === null ? {} : { syncSpeedMin: syncSpeed.min, syncSpeedMax: syncSpeed.max };
    return this.#run({ ...known, ...judged(known, members), sync: null, ...limits });
  }

  /** How it was asked to start an array last. */
  lastOrder: AssembleOrder | null = null;
  /** Statuses of arrays that ran, by uuid: what their superblocks would tell. */
  readonly lastStatuses = new Map<string, ArrayStatus>();

  onStatus(listener: (uuid: string, status: ArrayStatus) => void): void {
    this.#onStatus = listener;
  }

  onHappening(listener: (uuid: string, happening: ArrayHappening) => void): void {
    this.#onHappening.push(listener);
  }

  async openExport(spec: ExportSpec): Promise<void> {
    this.failIfAsked("openExport");
    this.openExports.set(spec.name, spec);
  }

  /** What clients are told who ask for a closed export, by name. */
  readonly closedReasons = new Map<string, string>();

  async closeExport(name: string, _coming?: unknown, reason = ""): Promise<void> {
    this.openExports.delete(name);
    this.closedReasons.set(name, reason);
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

  expel(uuid: string, reason: string, isBroken = false): void {
    const array = this.arrays.get(uuid);
    if (array !== undefined) this.ended(array.status);
    this.#onExpelled(uuid, reason, isBroken);
  }

  onExpelled(listener: (uuid: string, reason: string, isBroken: boolean) => void): void {
    this.#onExpelled = listener;
  }

  setDeviceFinder(find: (deviceUuid: string) => Promise<string | null>): void {
    this.findDevice = find;
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

  /** The real planner refuses what it refuses; device contents are the test's. */
  #plan(request: CreateArrayRequest): {
    readonly plan: CreatePlan;
    readonly layout: string | null;
  } {
    const identity = { homehost: "fake", setUuid: new Uint8Array(16), createdAt: 0 };
    const made = createOptionsOf(request, request.members.length, identity);
    if (!made.ok) throw new CodedError(made.refusal.code, made.refusal.message);
    const members = request.members.map((path): CreateMember => {
      if (path === "missing") return "missing";
      const content = this.contents.get(path) ?? {};
      const words = [...(content.signatures ?? []), ...(content.md === undefined ? [] : ["md"])];
      if (words.length > 0 && !request.force) {
        throw new CodedError("RAID_DEVICE_NOT_CLEAN", `${path} holds ${words.join(", ")}`);
      }
      const { logicalBlockSize = 512 } = content;
      const deviceUuid = new Uint8Array(16);
      return { path, sizeBytes: statSync(path).size, logicalBlockSize, deviceUuid, stale: [] };
    });
    const planned = planCreate(made.value, members);
    if (!planned.ok) {
      throw new CodedError(planned.code, planned.message, { remedy: planned.remedy });
    }
    const layout = request.level === "raid1" ? null : formatRaid10Layout(made.value.layout);
    return { plan: planned.value, layout };
  }

  /** Fails the call that the test has chosen, once. */
  failIfAsked(call: FailingCall): void {
    if (this.failNext?.call === call) {
      const { error } = this.failNext;
      this.failNext = null;
      throw error;
    }
  }
}

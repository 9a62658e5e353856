/**
 * The storage engine on the main thread: starts the I/O workers and one thread per array, keeps
 * their newest statuses, and gives control one place to talk to. No member I/O happens here but
 * the few reads of `probe` and the writes of `create`.
 */

import { randomBytes, randomUUID } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { CodedError, type PlainError } from "../common/errors.ts";
import type {
  AssembleOrder,
  CreateArrayRequest,
  DeviceProbe,
  EngineOptions,
  ExportClient,
  ExportSpec,
  IoCounters,
  MemberFault,
  RunningArray,
  SeenStore,
  StorageEngine,
} from "../control/engine.ts";
import type { BlockDevice } from "../hal/block-device.ts";
import type { ExportNotice } from "../nbd/export-backend.ts";
import type { ArrayHappening, ArrayStatus } from "../raid/array-status.ts";
import type { AssemblyReport } from "../raid/assembly-status.ts";
import { type CreateDevice, createOnDevices } from "../raid/create-driver.ts";
import { createOptionsOf } from "../raid/create-options.ts";
import type { CreateOptions } from "../raid/create-plan.ts";
import { RAID_SLOTS_MAX } from "../raid/shared-state.ts";
import { FAIL_FAST, WRITE_MOSTLY } from "../raid/superblock-fields.ts";
import { parseUuid } from "../raid/uuid.ts";
import { type ArrayHostOptions, ArrayHostThread } from "./array-host.ts";
import type { ThreadCluster } from "./array-messages.ts";
import { probePath } from "./device-probe.ts";
import { examinePaths, markedBytesOf } from "./examine-paths.ts";
import { FaultBoard } from "./fault-board.ts";
import { IoPool } from "./io-pool.ts";
import { type MemberTicket, openMember } from "./open-member.ts";
import { openStore, storeOf } from "./open-store.ts";
import { PeerHost, type PeerHostOptions } from "./peer-host.ts";
import type { PeerUse } from "./peer-links.ts";
import type { ReadStore } from "./read-store.ts";

class EngineHost implements StorageEngine {
  readonly #options: EngineOptions;
  readonly #boot = randomUUID();
  readonly #ending = new AbortController();
  readonly #pool: IoPool;
  readonly #faults: FaultBoard;
  readonly peers: PeerHost | null;
  readonly #arrays = new Map<string, ArrayHostThread>();
  readonly #statusListeners: ((uuid: string, status: ArrayStatus) => void)[] = [];
  readonly #happeningListeners: ((uuid: string, happening: ArrayHappening) => void)[] = [];
  readonly #expelledListeners: ((uuid: string, reason: string, isBroken: boolean) => void)[] = [];
  #findDevice: (deviceUuid: string) => Promise<string | null> = async () => null;
  #seen: SeenStore | null;
  /** Array threads so far. */
  #started = 0;
  #nbd: StorageEngine["nbd"] = { tcp: null, socketPath: null };

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#seen = options.cluster?.seen ?? null;
    this.#pool = new IoPool(options, {
      notDirect: (uuid, error) => this.#tellNotDirect(uuid, error),
      links: (thread, links) => this.peers?.tell(thread, links),
    });
    this.#faults = new FaultBoard(options.labMode);
    this.peers = makePeers(options, {
      boot: this.#boot,
      onStoreSeen: (seen) => this.#storeSeen(seen),
      faultsOf: (path) => this.#faults.ticket({ path }).faults,
    });
  }

  async listen(): Promise<void> {
    const { nbdTcp, nbdSocketPath } = this.#options;
    if (nbdSocketPath !== null) await this.#pool.listenSocket(nbdSocketPath);
    const port = nbdTcp === null ? 0 : await this.#pool.listenTcp(nbdTcp.host, nbdTcp.port);
    const tcp = nbdTcp === null ? null : { host: nbdTcp.host, port };
    this.#nbd = { tcp, socketPath: nbdSocketPath };
  }

  async share(api: string): Promise<void> {
    this.peers?.onChange(() => {
      for (const array of this.#arrays.values()) array.boardsChanged();
    });
    await this.peers?.start(api, this.#seen);
  }

  get cluster(): string | null {
    return this.#options.cluster?.name ?? null;
  }

  get nbd(): StorageEngine["nbd"] {
    return this.#nbd;
  }

  probe(path: string): Promise<DeviceProbe> {
    return probePath(path, this.#open);
  }

  examine(paths: readonly string[]): Promise<AssemblyReport> {
    return examinePaths(paths, this.cluster, this.#open);
  }

  markedBytes(path: string): Promise<number | null> {
    return markedBytesOf(path, this.#open);
  }

  async create(request: CreateArrayRequest, uuid?: string): Promise<RunningArray> {
    const paths = request.members.filter((path) => path !== "missing");
    this.#refuseTwice(paths);
    if (request.raidDevices > RAID_SLOTS_MAX) {
      const text = `${request.raidDevices} raid devices are asked for, at most ${RAID_SLOTS_MAX} can be run`;
      throw new CodedError("RAID_BAD_MEMBER_COUNT", text, {
        remedy: "make the other devices spares, or another array",
      });
    }
    const options = createOptions(request, this.#options.nodeName, uuid);
    const devices = await openAll(request, (path) => this.#ticket(path), this.peers?.use ?? null);
    try {
      await createOnDevices(options, devices, request.force);
    } finally {
      for (const entry of devices) if (entry !== "missing") await entry.device.close();
    }
    return this.assemble(paths, { readOnly: false });
  }

  async assemble(
    paths: readonly string[],
    { readOnly, syncSpeed, run = false, doubt = null }: AssembleOrder,
  ): Promise<RunningArray> {
    const speed = syncSpeed ?? this.#options.syncSpeed;
    const thread = `array ${this.#started++}`;
    let uuid = "";
    const early: (() => void)[] = [];
    const whenKnown = (act: () => void) => (uuid === "" ? early.push(act) : act());
    const start: ArrayHostOptions = {
      data: {
        members: paths.map((path) => this.#ticket(path)),
        readOnly,
        workers: this.#pool.size,
        syncSpeedMin: speed.min,
        syncSpeedMax: speed.max,
        answerLimitMs: this.#options.answerLimitMs,
        linkShare: this.#options.linkShare,
        run,
        doubt,
        cluster: this.#threadCluster(),
        peers: this.peers?.use ?? null,
      },
      pool: this.#pool,
      ticket: (path) => this.#ticket(path),
      onStatus: (status) => whenKnown(() => this.#tellStatus(uuid, status)),
      onHappening: (happening) => whenKnown(() => this.#tellHappening(uuid, happening)),
      onStopped: () => this.#arrays.delete(uuid),
      onStoreSeen: (seen) => this.#storeSeen(seen),
      onExpelled: (reason, isBroken) => whenKnown(() => this.#tellExpelled(uuid, reason, isBroken)),
      findDevice: (deviceUuid) => this.#findDevice(deviceUuid),
      sessions: this.peers?.sessions ?? null,
      distrusted: async (session, own) => (await this.peers?.distrusted(session, own)) ?? [],
      onLinks: (links) => this.peers?.tell(thread, links),
    };
    const array = await ArrayHostThread.start(start, this.#ending.signal);
    uuid = array.uuid;
    this.#arrays.set(uuid, array);
    for (const act of early) act();
    return array;
  }

  onStatus(listener: (uuid: string, status: ArrayStatus) => void): void {
    this.#statusListeners.push(listener);
  }

  onHappening(listener: (uuid: string, happening: ArrayHappening) => void): void {
    this.#happeningListeners.push(listener);
  }

  onExpelled(listener: (uuid: string, reason: string, isBroken: boolean) => void): void {
    this.#expelledListeners.push(listener);
  }

  setDeviceFinder(find: (deviceUuid: string) => Promise<string | null>): void {
    this.#findDevice = find;
  }

  openExport(spec: ExportSpec): Promise<void> {
    if (!this.#arrays.has(spec.arrayUuid)) {
      throw new CodedError("ENGINE_ARRAY_NOT_RUNNING", `array ${spec.arrayUuid} is not running`, {
        remedy: "assemble it before exporting it",
      });
    }
    return this.#pool.askEach(() => ({ request: { type: "open-export", spec } }));
  }

  closeExport(name: string, coming: ExportNotice | null = null, reason = ""): Promise<void> {
    return this.#pool.askEach(() => ({ request: { type: "close-export", name, coming, reason } }));
  }

  clients(): readonly ExportClient[] {
    return this.#pool.clients();
  }

  counters(): IoCounters {
    return this.#pool.counters();
  }

  async setFault(fault: MemberFault): Promise<void> {
    this.#faults.set(fault);
  }

  async clearFaults(path: string): Promise<void> {
    this.#faults.clear(path);
  }

  faults(): readonly MemberFault[] {
    return this.#faults.list();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    for (const array of [...this.#arrays.values()]) await array.stop();
    await this.peers?.close();
    await this.#pool.close();
  }

  readonly #open: ReadStore = (path) =>
    openStore(this.#ticket(path), "read", { peers: this.peers?.use ?? null });

  #ticket(path: string): MemberTicket {
    return this.#faults.ticket({ path, peer: this.peers?.ticket(path) ?? null });
  }

  #tellStatus(uuid: string, status: ArrayStatus): void {
    for (const listener of this.#statusListeners) listener(uuid, status);
  }

  #tellExpelled(uuid: string, reason: string, isBroken: boolean): void {
    for (const listener of this.#expelledListeners) listener(uuid, reason, isBroken);
  }

  #threadCluster(): ThreadCluster | null {
    const { cluster } = this.#options;
    if (cluster === null) return null;
    const { tcp } = this.#nbd;
    const address = tcp === null ? "" : `${tcp.host}:${tcp.port}`;
    return { ...cluster, seen: this.#seen, address, boot: this.#boot };
  }

  /** Several arrays tell of the one store: the newest counts. */
  #storeSeen(seen: SeenStore): void {
    if (this.#seen?.clusterId === seen.clusterId && this.#seen.revision >= seen.revision) return;
    this.#seen = seen;
    this.#options.onStoreSeen(seen);
  }

  #tellNotDirect(uuid: string, { code, message, remedy, details }: PlainError): void {
    this.#options.logger.warn({ array: uuid, code, message }, "member-not-direct");
    this.#tellHappening(uuid, {
      type: "member.not-direct",
      severity: "warning",
      time: Date.now(),
      message,
      details: { path: String(details["path"]), code, remedy },
    });
  }

  #tellHappening(uuid: string, happening: ArrayHappening): void {
    for (const listener of this.#happeningListeners) listener(uuid, happening);
  }

  /** The same file under two names, or a member of a running array. */
  #refuseTwice(paths: readonly string[]): void {
    const used = new Map<string, string>();
    for (const array of this.#arrays.values()) {
      for (const { path } of array.status.members) if (path !== null) used.set(storeOf(path), path);
    }
    for (const path of paths) {
      const other = used.get(storeOf(path));
      if (other !== undefined) {
        throw new CodedError("RAID_DEVICE_IN_USE", `${path} is in use already (as ${other})`, {
          remedy: "give each device once, and none that is a member of a running array",
          details: { path, other },
        });
      }
      used.set(storeOf(path), path);
    }
  }
}

/** Null of a board that serves no disks. */
const makePeers = (
  { cluster, version, logger }: EngineOptions,
  host: Pick<PeerHostOptions, "boot" | "onStoreSeen" | "faultsOf">,
): PeerHost | null => {
  const exporter = cluster?.exporter ?? null;
  if (cluster === null || exporter === null) return null;
  return new PeerHost({ ...host, cluster, exporter, version, logger });
};

/** Opens all or none. */
const openAll = async (
  request: CreateArrayRequest,
  ticket: (path: string) => MemberTicket,
  peers: PeerUse | null,
): Promise<CreateDevice[]> => {
  const { members: paths, writeMostly, failfast } = request;
  const opened: CreateDevice[] = [];
  try {
    for (const path of paths) {
      if (path === "missing") {
        opened.push("missing");
        continue;
      }
      const device: BlockDevice = await openMember(ticket(path), "write", {
        claim: "alone",
        peers,
      });
      const devFlags =
        (writeMostly.includes(path) ? WRITE_MOSTLY : 0) | (failfast.includes(path) ? FAIL_FAST : 0);
      opened.push({ path, device, deviceUuid: new Uint8Array(randomBytes(16)), devFlags });
    }
    return opened;
  } catch (error) {
    for (const entry of opened) if (entry !== "missing") await entry.device.close();
    throw error;
  }
};

/** The order as planCreate takes it. Errors: RAID_BAD_NAME, RAID_BAD_LAYOUT. */
const createOptions = (
  request: CreateArrayRequest,
  homehost: string,
  uuid: string | undefined,
): CreateOptions => {
  const given = uuid === undefined ? null : parseUuid(uuid);
  const options = createOptionsOf(request, request.members.length, {
    homehost,
    setUuid: given ?? new Uint8Array(randomBytes(16)),
    createdAt: Math.floor(Date.now() / 1000),
  });
  if (options.ok) return options.value;
  const { code, message, remedy } = options.refusal;
  throw new CodedError(code, message, { remedy });
};

/** Opens the engine. Errors: NBD_ADDRESS_*; nothing is left running then. */
export const openEngine = async (options: EngineOptions): Promise<StorageEngine> => {
  // What bin/satsuma sets is for the control thread; the other threads have limits of their own.
  setFlagsFromString("--max-semi-space-size=0");
  const engine = new EngineHost(options);
  try {
    await engine.listen();
  } catch (error) {
    await engine.close();
    throw error;
  }
  return engine;
};

/** The storage engine in this process, with real threads, files and a TCP port, for tests. */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assert } from "../../src/common/assert.ts";
import { ndjsonLogger } from "../../src/common/log.ts";
import type {
  CreateArrayRequest,
  EngineCluster,
  RunningArray,
  StorageEngine,
} from "../../src/control/engine.ts";
import type { ArrayHappening, ArrayStatus } from "../../src/raid/array-status.ts";
import { decodeSuperblock } from "../../src/raid/superblock.ts";
import { openEngine } from "../../src/workers/engine-host.ts";
import { eventually } from "./timeout.ts";

const MIB = 1024 * 1024;
const WAIT_MS = 60_000;
export const EXPORT = "volume";

export class EngineBench {
  readonly engine: StorageEngine;
  readonly folder: string;
  readonly happenings: ArrayHappening[] = [];
  readonly statuses: ArrayStatus[] = [];

  private constructor(engine: StorageEngine, folder: string) {
    this.engine = engine;
    this.folder = folder;
    engine.onHappening((_, happening) => void this.happenings.push(happening));
    engine.onStatus((_, status) => void this.statuses.push(status));
  }

  static async start(
    folder: string,
    options: {
      readonly ioWorkers?: number;
      readonly isDirect?: boolean;
      readonly cluster?: EngineCluster;
      /** Of arrays whose own was not set, bytes a second. */
      readonly syncSpeed?: { readonly min: number; readonly max: number };
    } = {},
  ): Promise<EngineBench> {
    const engine = await openEngine({
      nbdTcp: { host: "127.0.0.1", port: 0 },
      nbdSocketPath: null,
      tls: null,
      comingExports: [],
      ioWorkers: options.ioWorkers ?? 2,
      answerLimitMs: null,
      linkShare: 1,
      syncSpeed: options.syncSpeed ?? { min: 1000 * 1024, max: 16 * 2 ** 30 },
      isDirect: options.isDirect ?? false,
      cluster: options.cluster ?? null,
      onStoreSeen: () => undefined,
      labMode: true,
      version: "0.0.0",
      nodeName: "bench",
      logger: ndjsonLogger({ write: () => undefined, wallTime: () => 0, level: "error" }),
    });
    return new EngineBench(engine, folder);
  }

  get peer(): { readonly host: string; readonly port: number } {
    const { tcp } = this.engine.nbd;
    assert(tcp !== null, "the engine listens on TCP");
    return tcp;
  }

  get uri(): string {
    return `nbd://${this.peer.host}:${this.peer.port}/${EXPORT}`;
  }

  /** New files of random content, so that nothing is equal by accident. */
  files(count: number, sizeMib: number, prefix = "m"): string[] {
    return Array.from({ length: count }, (_, index) => {
      const path = join(this.folder, `${prefix}${index}.img`);
      writeFileSync(path, randomBytes(sizeMib * MIB));
      return path;
    });
  }

  async create(
    members: readonly string[],
    over: Partial<CreateArrayRequest> = {},
  ): Promise<RunningArray> {
    const array = await this.engine.create({
      name: "md0",
      level: "raid1",
      layout: null,
      chunkBytes: null,
      members,
      raidDevices: members.length,
      bitmap: "internal",
      bitmapChunkBytes: MIB,
      metadata: "1.2",
      assumeClean: false,
      force: true,
      sizeBytes: null,
      nodes: 0,
      clusterName: "",
      writeMostly: [],
      failfast: [],
      ...over,
    });
    await this.export(array);
    return array;
  }

  async export(array: RunningArray): Promise<void> {
    await this.engine.openExport({
      name: EXPORT,
      arrayUuid: array.uuid,
      description: "",
      readOnly: false,
      tlsRequired: false,
    });
  }

  async stop(array: RunningArray): Promise<void> {
    await this.engine.closeExport(EXPORT);
    await array.stop();
  }

  fault(
    path: string,
    kind: "read-error" | "write-error" | "flush-error",
    count: number | null,
    range: { readonly offset: number; readonly length: number } | null = null,
  ) {
    return this.engine.setFault({ path, kind, after: 0, count, range, stallMs: 0 });
  }

  /** Waits until every raid slot is in sync and nothing runs. */
  async untilWhole(array: RunningArray): Promise<void> {
    await eventually("the array is whole", WAIT_MS, () => {
      const { health, sync, degraded } = array.status;
      return health === "optimal" && sync === null && degraded === 0;
    });
  }

  async untilStates(array: RunningArray, path: string, states: string): Promise<void> {
    await eventually(`${path} is ${states}`, WAIT_MS, () => {
      const member = array.status.members.find((other) => other.path === path);
      return member?.states.join() === states;
    });
  }

  /** How the last sync action of this kind ended. */
  finished(action: string): ArrayHappening["details"] | null {
    const ends = this.happenings.filter(
      ({ type, details }) => type === "sync.finished" && details["action"] === action,
    );
    return ends.at(-1)?.details ?? null;
  }

  async close(): Promise<void> {
    await this.engine.close();
  }
}

/** A member's part of the array's content, and its superblock. */
export function memberContent(path: string) {
  const bytes = readFileSync(path);
  const decoded = decodeSuperblock(bytes.subarray(4096, 8192), 8);
  assert(decoded.ok, `${path} has a superblock`);
  const { dataOffset, size } = decoded.value;
  const content = bytes.subarray(dataOffset * 512, (dataOffset + size) * 512);
  return { superblock: decoded.value, content };
}

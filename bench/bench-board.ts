/** Satsuma as the benches measure it: `satsuma serve` with arrays of file-backed disks. */
import { writeFileSync } from "node:fs";
import type { ArrayResource } from "../src/api/schemas/array.ts";
import type { DeviceResource } from "../src/api/schemas/device.ts";
import type { EventResource } from "../src/api/schemas/event.ts";
import { ServeProcess } from "../test/helpers/serve-process.ts";
import { waitUntil } from "./wait.ts";

/** A sync of a small array takes a third of a second: its end is to be seen soon. */
const SYNC_LIMIT = { limitMs: 600_000, pauseMs: 20 };
/** From a sync action that was asked for, or is due, until it begins. */
const BEGIN_LIMIT_MS = 30_000;
/** Room for md metadata before the data of each member. */
export const METADATA_BYTES = 256 * 2 ** 20;
/** Above what any disk gives: a sync that nothing holds back. Bytes per second. */
const NO_SPEED_LIMIT = 2 ** 40;
/** The least that the daemon takes: after its first MiB or two a sync all but stands. */
const LEAST_SPEED = 1024;

/** What array to make; `sizeBytes` is its own size, at least. */
export interface ArrayShape {
  readonly level: "raid1" | "raid10";
  readonly devices: number;
  /** Copies of each byte. */
  readonly copies: number;
  readonly bitmapChunkBytes?: number;
}

export const RAID1_X2: ArrayShape = { level: "raid1", devices: 2, copies: 2 };
export const RAID1_X3: ArrayShape = { level: "raid1", devices: 3, copies: 3 };
export const RAID10_N2_X4: ArrayShape = { level: "raid10", devices: 4, copies: 2 };

export interface ArrayOrder {
  /** The copies are taken as equal: no resync. */
  readonly isClean: boolean;
  /** Bytes to use of each member. Default: all. */
  readonly memberBytes?: number;
  /** The last raid slot stays empty. */
  readonly isLastMissing?: boolean;
}

/** Bytes each member needs. */
function memberBytes({ devices, copies }: ArrayShape, sizeBytes: number): number {
  return Math.ceil((sizeBytes * copies) / devices) + METADATA_BYTES;
}

export interface BoardOptions {
  /** With the layer that faults are laid on. */
  readonly isLab?: boolean;
  /** Members are used past the page cache. The folder of `dataDir` must be there. */
  readonly isDirect?: boolean;
  /** Sync actions all but stand until `liftSyncLimits`. */
  readonly isSyncHeld?: boolean;
  /** The program, else the sources. */
  readonly main?: string | undefined;
}

export class BenchBoard {
  readonly serve: ServeProcess;

  /** Writes the settings of the options to `dataDir`.toml. */
  constructor(dataDir: string, options: BoardOptions = {}) {
    const settings = [
      ...(options.isDirect === true ? ["[devices]", "direct = true"] : []),
      ...(options.isSyncHeld === true ? ["[sync]", `speed_max = ${LEAST_SPEED}`] : []),
    ];
    const file = `${dataDir}.toml`;
    if (settings.length > 0) writeFileSync(file, `${settings.join("\n")}\n`);
    const args = [
      ...(options.isLab === true ? ["--lab"] : []),
      ...(settings.length === 0 ? [] : ["--config", file]),
    ];
    this.serve = new ServeProcess(dataDir, args, options.main);
  }

  async start(): Promise<void> {
    await this.serve.start();
  }

  async stop(): Promise<void> {
    await this.serve.shutDown();
  }

  /** Where an export of this name is reached. */
  uri(name: string, transport: "unix" | "tcp"): string {
    return transport === "unix"
      ? `nbd+unix:///${name}?socket=${this.serve.socket}`
      : `nbd://${this.serve.nbdAddress}/${name}`;
  }

  /** Makes a sparse file-backed disk. Returns its path. */
  async makeDisk(name: string, sizeBytes: number): Promise<string> {
    const made = await this.serve.request("POST", "/devices", { name, size: sizeBytes });
    return (made as DeviceResource).status.path;
  }

  /** The disks `NAME-0` ... for an array of this shape, not yet one. Returns their paths. */
  async makeDisks(name: string, shape: ArrayShape, sizeBytes: number): Promise<string[]> {
    const paths: string[] = [];
    for (const disk of diskNames(name, shape)) {
      paths.push(await this.makeDisk(disk, memberBytes(shape, sizeBytes)));
    }
    return paths;
  }

  /** Makes the array of the disks that `makeDisks` made, whatever they hold, and exports it. */
  async makeArray(name: string, shape: ArrayShape, order: ArrayOrder): Promise<void> {
    const disks = diskNames(name, shape);
    await this.serve.request("POST", "/arrays", {
      name,
      level: shape.level,
      device_ids: order.isLastMissing === true ? [...disks.slice(0, -1), "missing"] : disks,
      assume_clean: order.isClean,
      force: true,
      ...(order.memberBytes === undefined ? {} : { size: order.memberBytes }),
      ...(shape.bitmapChunkBytes === undefined
        ? {}
        : { bitmap: "internal", bitmap_chunk_size: shape.bitmapChunkBytes }),
    });
    await this.serve.request("POST", "/exports", { name, array: name });
  }

  /** Stops the array; it stays known and can be assembled. */
  async stopArray(name: string): Promise<void> {
    await this.serve.request("DELETE", `/arrays/${name}`, { confirm: name, force: true });
  }

  /** Stops the array and forgets it and its export; its disks stay. */
  async forgetArray(name: string): Promise<void> {
    // Forced: the board may not have seen yet that the last client has gone.
    const order = { confirm: name, forget: true, force: true };
    await this.serve.request("DELETE", `/arrays/${name}`, order);
  }

  async array(name: string): Promise<ArrayResource> {
    return (await this.serve.request("GET", `/arrays/${name}`)) as ArrayResource;
  }

  /** Waits until the array is whole and no sync action runs. */
  async untilSynced(name: string): Promise<void> {
    await waitUntil(`${name} is in sync`, SYNC_LIMIT, async () => {
      const { status } = await this.array(name);
      return (status.sync === null && status.health === "optimal") || syncText(status);
    });
  }

  /** Waits until a sync action runs. Errors: when none begins, as where it is over already. */
  async untilSyncRuns(name: string): Promise<void> {
    await waitUntil(`a sync action of ${name} runs`, { limitMs: BEGIN_LIMIT_MS }, async () => {
      const { status } = await this.array(name);
      return status.sync !== null || syncText(status);
    });
  }

  /**
   * Waits until a sync action has ended since `before`, the result of `lastSyncEnd`. Errors: when
   * it ends before it is through, and when none runs.
   */
  async untilSyncEnds(name: string, before: number): Promise<void> {
    let ranAt = performance.now();
    await waitUntil(`the sync action of ${name} ends`, SYNC_LIMIT, async () => {
      const { status } = await this.array(name);
      if (status.sync !== null) {
        ranAt = performance.now();
        return syncText(status);
      }
      const end = await this.#lastSync();
      if (end.id > before) {
        if (end.outcome === "done") return true;
        throw new Error(`the sync action of ${name} ended as ${end.outcome}`);
      }
      if (performance.now() - ranAt <= BEGIN_LIMIT_MS) return syncText(status);
      throw new Error(`no sync action of ${name} runs, and none has ended`);
    });
  }

  /** The number of the last sync action that has ended on this board; 0 before the first. */
  async lastSyncEnd(): Promise<number> {
    return (await this.#lastSync()).id;
  }

  async #lastSync(): Promise<{ readonly id: number; readonly outcome: unknown }> {
    const end = await this.#lastEvent("sync.finished");
    return { id: end?.id ?? 0, outcome: end?.data["outcome"] };
  }

  /** AFTER its arrays are up. Errors: when a member goes through the page cache all the same. */
  async expectDirect(): Promise<void> {
    const found = await this.#lastEvent("member.not-direct");
    if (found !== undefined)
      throw new Error(`nothing to measure past the page cache: ${found.message}`);
  }

  async #lastEvent(type: string): Promise<EventResource | undefined> {
    const { items } = (await this.serve.request("GET", `/events?types=${type}&limit=1`)) as {
      readonly items: readonly EventResource[];
    };
    return items[0];
  }

  async setSync(name: string, body: Readonly<Record<string, unknown>>): Promise<void> {
    await this.serve.request("PUT", `/arrays/${name}/sync-action`, body);
  }

  /** Lets sync actions of the array go as fast as they can, also beside clients. */
  async liftSyncLimits(name: string): Promise<void> {
    await this.setSync(name, { sync_speed_min: NO_SPEED_LIMIT, sync_speed_max: NO_SPEED_LIMIT });
  }
}

/** How far an array's sync action is, in a few words. */
function syncText({ health, sync }: ArrayResource["status"]): string {
  if (sync === null) return `no sync action runs, the array is ${health}`;
  return `${sync.action} at ${sync.percent.toFixed(1)} %`;
}

/** Names of the array's disks, which are their ids too. */
export function diskNames(name: string, { devices }: ArrayShape): string[] {
  return Array.from({ length: devices }, (_, index) => `${name}-${index}`);
}

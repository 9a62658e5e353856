/** Satsuma as the benches measure it: `satsuma serve` with arrays of file-backed disks. */
import type { ArrayResource } from "../src/api/schemas/array.ts";
import type { DeviceResource } from "../src/api/schemas/device.ts";
import { ServeProcess } from "../test/helpers/serve-process.ts";
import { eventually } from "../test/helpers/timeout.ts";

const SYNC_LIMIT_MS = 600_000;
/** Room for md metadata before the data of each member. */
export const METADATA_BYTES = 256 * 2 ** 20;
/** Above what any disk gives: a sync that nothing holds back. Bytes per second. */
const NO_SPEED_LIMIT = 2 ** 40;

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

/** Bytes each member needs. */
function memberBytes({ devices, copies }: ArrayShape, sizeBytes: number): number {
  return Math.ceil((sizeBytes * copies) / devices) + METADATA_BYTES;
}

export class BenchBoard {
  readonly serve: ServeProcess;

  /** `isLab`: with the layer that faults are laid on. */
  constructor(dataDir: string, isLab = false) {
    this.serve = new ServeProcess(dataDir, isLab ? ["--lab"] : []);
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

  /** Makes the array of the disks that `makeDisks` made, and exports it under its name. */
  async makeArray(name: string, shape: ArrayShape, isClean: boolean): Promise<void> {
    await this.serve.request("POST", "/arrays", {
      name,
      level: shape.level,
      device_ids: diskNames(name, shape),
      assume_clean: isClean,
      ...(shape.bitmapChunkBytes === undefined
        ? {}
        : { bitmap: "internal", bitmap_chunk_size: shape.bitmapChunkBytes }),
    });
    await this.serve.request("POST", "/exports", { name, array: name });
  }

  async array(name: string): Promise<ArrayResource> {
    return (await this.serve.request("GET", `/arrays/${name}`)) as ArrayResource;
  }

  /** Waits until the array is whole and no sync action runs. */
  async untilSynced(name: string): Promise<void> {
    await eventually(`${name} is in sync`, SYNC_LIMIT_MS, async () => {
      const { status } = await this.array(name);
      return status.sync === null && status.health === "optimal";
    });
  }

  async setSync(name: string, body: Readonly<Record<string, unknown>>): Promise<void> {
    await this.serve.request("PUT", `/arrays/${name}/sync-action`, body);
  }

  /** Lets sync actions of the array go as fast as they can, also beside clients. */
  async liftSyncLimits(name: string): Promise<void> {
    await this.setSync(name, { sync_speed_min: NO_SPEED_LIMIT, sync_speed_max: NO_SPEED_LIMIT });
  }
}

/** Names of the array's disks, which are their ids too. */
export function diskNames(name: string, { devices }: ArrayShape): string[] {
  return Array.from({ length: devices }, (_, index) => `${name}-${index}`);
}

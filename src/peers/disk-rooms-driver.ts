/**
 * The disks that an exporter serves: which there are, and the open devices that the connections to
 * each share. A device is open while somebody uses it.
 */
import type { BlockDevice } from "../hal/block-device.ts";

/** A disk to be served. */
export interface ServedDisk {
  readonly id: string;
  readonly path: string;
  readonly kind: "file" | "block";
  readonly sizeBytes: number;
  readonly logicalBlockSize: number;
  /** Why it holds less than was written to it. */
  readonly lostContent?: string;
  /** The switches of its faults in lab mode. */
  readonly faults?: SharedArrayBuffer | null;
}

/** Opens a disk; a writer keeps others of this machine out. Errors: HAL_*. */
export type OpenDisk = (disk: ServedDisk, mode: "read" | "write") => Promise<BlockDevice>;

/** A device that somebody uses. */
export interface DiskUse {
  readonly device: BlockDevice;
  /** Once. */
  leave(): void;
}

interface Room {
  readonly device: Promise<BlockDevice>;
  users: number;
}

export class DiskRooms {
  readonly #open: OpenDisk;
  #disks: ReadonlyMap<string, ServedDisk> = new Map();
  readonly #rooms = new Map<string, Room>();

  constructor(open: OpenDisk) {
    this.#open = open;
  }

  get disks(): readonly ServedDisk[] {
    return [...this.#disks.values()];
  }

  find(id: string): ServedDisk | null {
    return this.#disks.get(id) ?? null;
  }

  /** Returns the ids of those that are served no more, or lead elsewhere now. */
  setDisks(disks: readonly ServedDisk[]): readonly string[] {
    const before = this.disks;
    this.#disks = new Map(disks.map((disk) => [disk.id, disk]));
    return before.filter(({ id, path }) => this.find(id)?.path !== path).map(({ id }) => id);
  }

  /** Errors: HAL_*. */
  async enter(disk: ServedDisk, mode: "read" | "write"): Promise<DiskUse> {
    const key = `${mode} ${disk.path}`;
    const room = this.#rooms.get(key) ?? { device: this.#open(disk, mode), users: 0 };
    this.#rooms.set(key, room);
    room.users += 1;
    const leave = (): void => {
      room.users -= 1;
      if (room.users > 0) return;
      this.#rooms.delete(key);
      // A device that cannot be closed was not written by that.
      room.device.then((device) => device.close()).catch(() => undefined);
    };
    try {
      const device = await room.device;
      // It may have grown since it was opened.
      await device.measure?.();
      return { device, leave };
    } catch (error) {
      leave();
      throw error;
    }
  }
}

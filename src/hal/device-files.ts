/**
 * Port over the files and block devices a board may use as members: what is there, without reading
 * it. Control watches devices through it; members are opened by the threads that use them.
 */

/** What a path leads to now. Two answers with the same `identity` are the same file or device. */
export interface DeviceFile {
  readonly kind: "file" | "block" | "other";
  /** Device and inode numbers, of the device itself for a block device. */
  readonly identity: string;
  /** Length of a file; 0 for a block device. */
  readonly sizeBytes: number;
  /** Last change of the content, milliseconds since the epoch; 0 for a block device. */
  readonly changedAt: number;
}

export interface DeviceFiles {
  /** What `path` leads to, symbolic links followed; null when nothing is there. */
  identify(path: string): Promise<DeviceFile | null>;
  /** Paths of the files `*.img` in `directory`, sorted; empty when it does not exist. */
  listImages(directory: string): Promise<readonly string[]>;
  /**
   * Makes a sparse file of `sizeBytes` at `path`, and its directory, durable when it resolves.
   * Errors: HAL_FILE_EXISTS, HAL_NO_SPACE, HAL_NOT_WRITABLE.
   */
  createImage(path: string, sizeBytes: number): Promise<void>;
  /** Paths of the disks that other boards serve now; without it there are none. */
  listPeers?(): readonly string[];
  /** What another board tells of its disk at the path: why it lost content; null: it has not. */
  lossOf?(path: string): string | null;
}

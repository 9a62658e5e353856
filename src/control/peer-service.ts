/** The disks of this board, for its peers. */

import { parsePeerPath } from "../hal/peer-path.ts";
import type { DeviceService, DeviceView } from "./device-service.ts";
import type { StorageEngine } from "./engine.ts";
import type { ServedDisk } from "./peer-boards.ts";

/** What the service needs. */
export interface PeerServiceOptions {
  readonly engine: StorageEngine;
  readonly devices: DeviceService;
  /** Serial numbers of certificates that are good for nothing any more. */
  readonly refused: () => readonly string[];
}

/** As boards name disks to each other: a device with another id is not served. */
const DISK_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const served = ({ record, file, probe }: DeviceView): ServedDisk[] => {
  const { id, path, lostContent } = record;
  const kind = file?.kind ?? "other";
  const isOwn = parsePeerPath(path) === null && DISK_ID.test(id);
  if (!isOwn || kind === "other" || probe === null || probe.problem !== null) return [];
  const sizeBytes = file?.kind === "block" ? probe.sizeBytes : (file?.sizeBytes ?? 0);
  const disk = { id, path, kind, sizeBytes, logicalBlockSize: probe.logicalBlockSize };
  return [lostContent === null ? disk : { ...disk, lostContent }];
};

/** Serving. */
export class PeerService {
  readonly #options: PeerServiceOptions;
  #served = "";

  constructor(options: PeerServiceOptions) {
    this.#options = options;
  }

  /** Tells the peers which disks this board has, when that has changed, and who gets none. */
  async tick(): Promise<void> {
    const { engine, devices, refused } = this.#options;
    if (engine.peers === null) return;
    engine.peers.refuse(refused());
    const disks = devices.list().flatMap(served);
    const now = JSON.stringify(disks);
    if (now === this.#served) return;
    this.#served = now;
    engine.peers.serve(disks);
  }
}

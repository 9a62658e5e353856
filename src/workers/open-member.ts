/** Opens a member the way every thread does: the file or device, then the layers over it. */

// Imported: Node looks the global up anew, through a getter, at every use.
import { performance } from "node:perf_hooks";
import type { BlockDevice } from "../hal/block-device.ts";
import { AdaptiveDevice } from "../hal/layers/adaptive-device.ts";
import { FaultDevice, FaultSwitch } from "../hal/layers/fault-device.ts";
import { FileBlockDevice } from "../hal/linux/file-block-device.ts";

/** A member to open: its path, and the switches of its faults in lab mode. */
export interface MemberTicket {
  readonly path: string;
  readonly faults: SharedArrayBuffer | null;
}

const delay = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/**
 * `exclusive`: claim a block device, done by one thread of a member only.
 * Errors: those of FileBlockDevice.open.
 */
export const openMember = async (
  ticket: MemberTicket,
  mode: "read" | "write",
  exclusive: boolean,
): Promise<BlockDevice> => {
  const file = await FileBlockDevice.open(ticket.path, { mode, exclusive });
  const adaptive = new AdaptiveDevice(file, () => performance.now());
  if (ticket.faults === null) return adaptive;
  return new FaultDevice(adaptive, new FaultSwitch(ticket.faults), delay);
};

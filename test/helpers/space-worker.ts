/**
 * Worker thread: zeroes the first half of a member file and says how that went; where it is told
 * to, the addon of the native calls is not to be found in this thread.
 */
import { registerHooks } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { AllocationRun } from "../../src/hal/block-device.ts";

export interface SpaceOrder {
  readonly path: string;
  readonly hasAddon: boolean;
}

export interface SpaceReport {
  readonly punches: boolean;
  readonly runs: readonly AllocationRun[];
  /** The half that was zeroed, then the other one. */
  readonly content: Uint8Array;
}

const { path, hasAddon } = workerData as SpaceOrder;
if (!hasAddon) {
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier === "koffi") throw new Error("no addon here");
      return next(specifier, context);
    },
  });
}
const { FileBlockDevice } = await import("../../src/hal/linux/file-block-device.ts");
const device = await FileBlockDevice.open(path, { mode: "write" });
await device.zero(0, device.sizeBytes / 2, true);
await device.flush();
const content = new Uint8Array(device.sizeBytes);
await device.read(content, 0);
const runs = await device.allocation(0, device.sizeBytes);
const report: SpaceReport = { punches: device.punches, runs, content };
await device.close();
parentPort?.postMessage(report);

/** An array's export keeps the contract of back ends, over raid1 and raid10. */
import { ArrayExport } from "../../src/workers/array-export.ts";
import { startMemoryArray } from "../helpers/memory-array.ts";
import { type BackendFactory, exportBackendSuite } from "./nbd-export-backend.ts";

interface Kind {
  readonly legs: number;
  readonly layout?: string;
  readonly quickness: number;
}

/** Time passes by itself, so that calls complete. */
const exportFactory =
  (kind: Kind): BackendFactory =>
  async () => {
    const { array, device, scheduler } = await startMemoryArray({ ...kind, seed: kind.legs });
    const [io] = array.workers;
    if (io === undefined) throw new Error("an array has I/O paths");
    const backend = new ArrayExport(
      { io, ready: io, hasBitmap: true, submit: (request) => request(io) },
      { readOnly: false },
    );
    let isClosed = false;
    const time = (async () => {
      while (!isClosed) {
        array.tick(1);
        await scheduler.step();
      }
    })();
    return {
      backend,
      close: async () => {
        isClosed = true;
        await time;
        await device.close();
      },
    };
  };

for (const [name, kind] of [
  ["raid1 of 2", { legs: 2, quickness: 0 }],
  ["raid1 of 2, quick", { legs: 2, quickness: 6 }],
  ["raid10 of 4, near 2", { legs: 4, layout: "n2", quickness: 4 }],
  ["raid10 of 3, far 2", { legs: 3, layout: "f2", quickness: 4 }],
] as const)
  exportBackendSuite(name, exportFactory(kind)).run();

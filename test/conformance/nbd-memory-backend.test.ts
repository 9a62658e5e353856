/** The memory back end of the tests keeps the contract of back ends, in both of its paces. */
import { MemoryBackend } from "../helpers/memory-backend.ts";
import { exportBackendSuite } from "./nbd-export-backend.ts";

const SIZE = 2 ** 20 + 4096;

for (const pace of ["at-once", "soon"] as const) {
  const test = exportBackendSuite(`memory, ${pace}`, async () => ({
    backend: new MemoryBackend({ sizeBytes: SIZE, pace }),
    close: async () => undefined,
  }));
  test.run();
}

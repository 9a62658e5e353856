/** A disk served to peers keeps the contract of back ends: in memory, slow, and as a file. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BlockDevice } from "../../src/hal/block-device.ts";
import { FileBlockDevice } from "../../src/hal/linux/file-block-device.ts";
import { MemoryDevice } from "../../src/hal/sim/memory-device.ts";
import { BlockBackend, type RequestPermit } from "../../src/peers/block-backend-driver.ts";
import { exportBackendSuite } from "./nbd-export-backend.ts";

const SIZE = 2 ** 20 + 4096;

/** Every other request waits for a moment. */
const hesitant = (): RequestPermit => {
  let asked = 0;
  return {
    begin: () => {
      asked += 1;
      return asked % 3 === 0 ? "wait" : "go";
    },
    end: () => undefined,
    park: (again) => void setImmediate(again),
  };
};

const suiteOf = (name: string, open: () => Promise<{ device: BlockDevice; end: () => void }>) =>
  exportBackendSuite(`disk of a peer, ${name}`, async () => {
    const { device, end } = await open();
    return {
      backend: new BlockBackend(device, hesitant(), { readOnly: false }),
      close: async () => {
        await device.close();
        end();
      },
    };
  }).run();

for (const isSlow of [false, true])
  suiteOf(isSlow ? "slow" : "in memory", async () => {
    const device = new MemoryDevice("disk1", new Uint8Array(SIZE), { isSlow });
    return { device, end: () => undefined };
  });

suiteOf("a file", async () => {
  const folder = mkdtempSync(join(tmpdir(), "disk-"));
  const path = join(folder, "disk1.img");
  writeFileSync(path, "");
  truncateSync(path, SIZE);
  const device = await FileBlockDevice.open(path, { mode: "write" });
  return { device, end: () => rmSync(folder, { recursive: true }) };
});

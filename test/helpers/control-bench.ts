/**
 * A control plane over a real store and real files in a folder of its own, and the fake engine.
 * `await using` gives everything back.
 */
import { mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "../../src/common/log.ts";
import { issueToken } from "../../src/control/access-token.ts";
import { ControlPlane } from "../../src/control/control-plane.ts";
import type { LifeParts } from "../../src/control/life-service.ts";
import type { Boards } from "../../src/control/node-service.ts";
import type { DeviceFiles } from "../../src/hal/device-files.ts";
import { linuxDeviceFiles } from "../../src/hal/linux/device-files.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import { FakeEngine } from "./fake-engine.ts";

export const MIB = 1024 * 1024;

/** Makes a sparse file. */
export function makeImage(path: string, sizeBytes: number): void {
  writeFileSync(path, "");
  truncateSync(path, sizeBytes);
}

export interface BenchOptions {
  readonly folder: string;
  readonly engine?: FakeEngine;
  /** File-backed devices to make before the start, 8 MiB each. */
  readonly images?: readonly string[];
  readonly devicePaths?: readonly string[];
  /** Takes part in what control asks of the filesystem. */
  readonly files?: DeviceFiles;
  /** Wall time to begin with, milliseconds. */
  readonly now?: number;
  /** How the board leaves its cluster. */
  readonly life?: LifeParts;
  /** What of the boards the test says. */
  readonly boards?: Partial<Boards>;
  /** Called with the store before control starts, to let it fail. */
  readonly onStore?: (store: Store) => void;
}

export interface ControlBench extends AsyncDisposable {
  readonly control: ControlPlane;
  readonly engine: FakeEngine;
  readonly folder: string;
  readonly token: string;
  /** Wall time given to control, milliseconds; tests set it. */
  readonly clock: { now: number };
  /** How often the daemon was to end. */
  readonly ends: { readonly count: number };
  /** Path of a file-backed device. */
  image(name: string): string;
  /** Like kill -9: the store is closed, nothing else is told. */
  kill(): Promise<void>;
}

export async function openBench(options: BenchOptions): Promise<ControlBench> {
  const { folder } = options;
  const engine = options.engine ?? new FakeEngine();
  const disks = join(folder, "disks");
  mkdirSync(disks, { recursive: true });
  for (const name of options.images ?? []) makeImage(join(disks, `${name}.img`), 8 * MIB);
  const store = openStore({ path: join(folder, "satsuma.db") });
  const token = issueToken(store.tokens, "admin", 0);
  options.onStore?.(store);
  const clock = { now: options.now ?? 1_700_000_000_000 };
  const ends = { count: 0 };
  let ids = 0;
  const control = new ControlPlane({
    store,
    engine,
    files: options.files ?? linuxDeviceFiles,
    hostName: "opi-a",
    version: "0.0.0-test",
    isLabMode: true,
    devicesDirectory: disks,
    devicePaths: options.devicePaths ?? [],
    startWaitMs: 30_000,
    boards: {
      here: "opi-a",
      boardOf: () => "opi-a",
      names: () => [],
      quorum: async () => null,
      runners: async () => null,
      ...options.boards,
    },
    ...(options.life === undefined ? {} : { life: options.life }),
    endProcess: () => {
      ends.count += 1;
    },
    now: () => clock.now,
    newId: () => {
      ids += 1;
      return `j${clock.now}-${ids}`;
    },
    logger: silentLogger,
  });
  await control.start();
  // Tests tick the watch and make the rounds themselves.
  await control.monitor.stop();
  await control.rounds.stop();
  return {
    control,
    engine,
    folder,
    token,
    clock,
    ends,
    image: (name) => join(disks, `${name}.img`),
    kill: async () => {
      await control.monitor.stop();
      await control.rounds.stop();
      store.close();
    },
    [Symbol.asyncDispose]: async () => {
      await control.close();
      store.close();
    },
  };
}

// wall-limit: 400 s
/**
 * Overlapping writes from eight connections on four I/O workers, a million of them, while the array
 * is checked, repaired and rebuilt: the legs are equal afterwards, byte for byte.
 *
 * SATSUMA_OVERLAP_REQUESTS=N makes it more (or fewer).
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { RunningArray } from "../../../src/control/engine.ts";
import { loadNativeIo } from "../../../src/hal/linux/native-io.ts";
import { EngineBench, EXPORT, memberContent } from "../../helpers/engine-bench.ts";
import type { OverlapOrder, OverlapTold } from "../../helpers/overlap-writer.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const MIB = 1024 * 1024;
const WORKERS = 4;
const THREADS = 2;
const CONNECTIONS = 8;
const REQUESTS = Number(process.env["SATSUMA_OVERLAP_REQUESTS"] ?? 1_000_000);
/** The drive is slower than the page cache. */
const DIRECT_REQUESTS = Math.ceil(REQUESTS / 100);
/** A million takes about half a minute on two idle cores. */
const LIMIT_MS = Math.max(300_000, REQUESTS / 3);
const WAIT_MS = 30_000;
/** As fast as it goes, beside clients too. */
const FULL_SPEED = { min: 2 ** 40, max: 2 ** 40 };

class Writers {
  readonly #threads: Worker[];
  readonly #ports = new Map<Worker, readonly number[]>();

  constructor() {
    const url = new URL("../../helpers/overlap-writer.ts", import.meta.url);
    this.#threads = Array.from({ length: THREADS }, () => new Worker(url));
  }

  /** Connects until every I/O worker owns a connection: the kernel spreads them as it likes. */
  async attach(bench: EngineBench): Promise<void> {
    const { port } = bench.peer;
    for (const thread of this.#threads)
      await this.#order(thread, { type: "attach", port, exportName: EXPORT });
    for (;;) {
      const owners = await this.#owners(bench);
      if (new Set(owners.values()).size === WORKERS) return;
      const [crowded] = [...owners].filter(
        ([, owner]) => [...owners.values()].filter((other) => other === owner).length > 1,
      );
      const localPort = crowded?.[0] ?? 0;
      const thread = this.#threads.find((one) => this.#ports.get(one)?.includes(localPort));
      if (thread !== undefined) await this.#order(thread, { type: "swap", localPort });
    }
  }

  /** Runs all requests; how many failed. */
  async run(requests: number, seed: number): Promise<number> {
    const told = await Promise.all(
      this.#threads.map((thread, index) =>
        this.#order(thread, {
          type: "go",
          requests: requests / THREADS,
          seed: seed + 1000 * index,
        }),
      ),
    );
    return told.reduce((sum, one) => sum + (one.type === "done" ? one.failed : 0), 0);
  }

  async close(): Promise<void> {
    for (const thread of this.#threads) await thread.terminate();
  }

  /** Which I/O worker owns the connection from a local port. */
  #owners(bench: EngineBench): Promise<Map<number, string>> {
    const wanted = [...this.#ports.values()].flat();
    return eventually("the engine tells its clients", WAIT_MS, () => {
      const clients = bench.engine.clients();
      const owners = new Map(
        clients.map(({ id, peer }) => [
          Number(peer.slice(peer.lastIndexOf(":") + 1)),
          id.slice(0, id.indexOf("-")),
        ]),
      );
      const isCurrent = owners.size === CONNECTIONS && wanted.every((port) => owners.has(port));
      return isCurrent && owners;
    });
  }

  async #order(thread: Worker, order: OverlapOrder): Promise<OverlapTold> {
    thread.postMessage(order);
    const [told] = (await once(thread, "message")) as [OverlapTold];
    if (told.type === "attached") this.#ports.set(thread, told.localPorts);
    return told;
  }
}

/** Checks, repairs, fails and takes back a member, one after the other, while the load lasts. */
const disturb = async (
  bench: EngineBench,
  array: RunningArray,
  path: string,
  isLoaded: () => boolean,
): Promise<number> => {
  let rounds = 0;
  await array.setSyncSpeed(FULL_SPEED);
  await bench.untilWhole(array);
  while (isLoaded()) {
    for (const action of ["check", "repair"] as const) {
      const before = bench.finished(action);
      await array.setSyncAction(action);
      await eventually(`${action} ends`, WAIT_MS, () => bench.finished(action) !== before);
      assert.is(bench.finished(action)?.["mismatch_count"], 0, `${action} beside writes`);
    }
    await array.fail(path);
    await array.remove(path);
    await array.reAdd(path);
    await bench.untilWhole(array);
    rounds += 1;
  }
  return rounds;
};

const test = suite("engine/overlap");

const overlap = (requests: number, isDirect: boolean) =>
  withTimeout(
    LIMIT_MS,
    inFolder(async (folder) => {
      await withSeeds({ fixed: [], more: 1 }, async (_prng, seed) => {
        const bench = await EngineBench.start(folder, { ioWorkers: WORKERS, isDirect });
        const writers = new Writers();
        try {
          const paths = bench.files(2, 24);
          const array = await bench.create(paths, { bitmapChunkBytes: 2 * MIB });
          await writers.attach(bench);
          let isLoaded = true;
          const load = writers.run(requests, seed % 2 ** 31).finally(() => {
            isLoaded = false;
          });
          const rounds = await disturb(bench, array, paths[1] ?? "", () => isLoaded);
          assert.is(await load, 0, "requests that failed");
          assert.ok(rounds > 0, "the array was disturbed");
          await eventually("all are counted", WAIT_MS, () => {
            const { nbdRequests } = bench.engine.counters();
            const zeroes = nbdRequests["write-zeroes:0"] ?? 0;
            return (nbdRequests["write:0"] ?? 0) + zeroes >= requests;
          });
          await bench.stop(array);
          const [first, second] = paths.map((path) => memberContent(path).content);
          assert.is(Buffer.compare(first ?? Buffer.alloc(0), second ?? Buffer.alloc(1)), 0);
        } finally {
          await writers.close();
          await bench.close();
        }
      });
    }),
  );

test(
  `${REQUESTS} overlapping writes on four workers leave the legs equal`,
  overlap(REQUESTS, false),
);

const directTest = skipWhen(
  (await loadNativeIo()) === null ? "the native addon does not load" : undefined,
  test,
);
directTest(
  `${DIRECT_REQUESTS} of them past the page cache, beside copies through it`,
  overlap(DIRECT_REQUESTS, true),
);

test.run();

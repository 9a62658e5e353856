/**
 * An array in an I/O worker that was told to close it: it still answers the array thread, for which
 * other nodes may wait.
 */
import { once } from "node:events";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createSharedArray, type SharedArrayShape } from "../../../src/raid/shared-state.ts";
import type {
  ArrayToWorker,
  LegTicket,
  WorkerToArray,
} from "../../../src/workers/array-messages.ts";
import { WorkerArray } from "../../../src/workers/worker-array.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const LIMIT_MS = 30_000;

const test = suite("workers/worker-array");

const newShape = (): SharedArrayShape => {
  const map = { raidSlots: 2, componentSectors: 128, raid10: null };
  return createSharedArray({ workers: 1, chunks: 1, chunkBytes: 65536, map });
};

/** No such file: a worker that opened it would tell. */
const LEG: LegTicket = { leg: 0, member: { path: "/nowhere/m0", faults: null }, dataOffset: 0 };

/** The array thread's half of the talk. */
class Asking {
  readonly array: WorkerArray;
  readonly #port: MessagePort;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.array = new WorkerArray({
      shape: newShape(),
      worker: 0,
      legs: [],
      readOnly: false,
      hasBitmap: true,
      isGated: false,
      peers: null,
      isDirect: false,
      onNotDirect: () => undefined,
      port: port2,
    });
  }

  ask(message: ArrayToWorker): Promise<WorkerToArray> {
    this.#port.postMessage(message);
    return this.next();
  }

  async next(): Promise<WorkerToArray> {
    const [answer] = await once(this.#port, "message");
    return answer;
  }

  end(): void {
    this.#port.close();
  }
}

const withAsking = (body: (asking: Asking) => Promise<void>) =>
  withTimeout(LIMIT_MS, async () => {
    const asking = new Asking();
    try {
      await body(asking);
    } finally {
      asking.end();
    }
  });

const renew = (): ArrayToWorker => ({
  type: "renew",
  shape: newShape(),
  legs: [LEG],
  hasBitmap: true,
  isGated: false,
  peers: null,
});

test(
  "who has closed the array holds, drains and settles at once, and needs no leg",
  withAsking(async (asking) => {
    await asking.array.close();
    const drained = await asking.ask({ type: "drain", token: 1, from: 0, to: 65536 });
    assert.equal(drained, { type: "drained", token: 1 });
    const settled = await asking.ask({ type: "settle", token: 2, path: null });
    assert.equal(settled, { type: "settled", token: 2, error: null });
    const opened = await asking.ask({ type: "open-leg", token: 3, leg: LEG });
    assert.equal(opened, { type: "leg-opened", token: 3, error: null });
    assert.equal(await asking.ask({ type: "hold" }), { type: "held" });
    assert.equal(await asking.ask(renew()), { type: "attached", errors: [] });
  }),
);

test(
  "legs that it was about to open when it closed have not failed",
  withAsking(async (asking) => {
    const answer = asking.next();
    const attached = asking.array.start([LEG]);
    await asking.array.close();
    await attached;
    assert.equal(await answer, { type: "attached", errors: [] });
  }),
);

test(
  "while it has the array it tells which leg cannot be opened",
  withAsking(async (asking) => {
    const { type, errors = [] } = { errors: [], ...(await asking.ask(renew())) };
    assert.is(type, "attached");
    assert.equal(
      errors.map(({ path }) => path),
      [LEG.member.path],
    );
  }),
);

test.run();

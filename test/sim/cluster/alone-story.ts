/**
 * One board alone, over the store in its memory or over an etcd: a script of everything that an
 * array does, and all that it asks, is told and writes meanwhile.
 */

import { Prng } from "../../../src/common/prng.ts";
import { type AloneStore, ClusterSim } from "./cluster-sim.ts";
import type { NodeLife } from "./node-life.ts";
import { HONEST } from "./planted-faults.ts";
import type { SharedMedium } from "./shared-medium.ts";

const SECTOR = 512;
/** Between the begins of two steps: longer than any step, and than bits stay set. */
const STEP_MS = 30_000;
const WRITES = 12;

type Step = (life: NodeLife, media: readonly SharedMedium[]) => Promise<unknown>;

const write = (life: NodeLife, sector: number, fill: number, fua: boolean): Promise<number> =>
  new Promise((done) =>
    life.workers[0]?.submit((io) =>
      io.write([new Uint8Array(8 * SECTOR).fill(fill)], sector * SECTOR, fua, done),
    ),
  );

const flush = (life: NodeLife): Promise<number> =>
  new Promise((done) => life.workers[0]?.submit((io) => io.flush(done)));

const load =
  (prng: Prng): Step =>
  async (life) => {
    for (let count = 0; count < WRITES; count++)
      await write(life, 8 * prng.below(700), 1 + prng.below(200), prng.below(4) === 0);
    await flush(life);
  };

const stepsOf = (prng: Prng): readonly Step[] => [
  load(prng),
  (life, [first]) => life.command({ type: "fail", path: first?.path ?? "", reason: "the script" }),
  load(prng),
  (life, [first]) => life.command({ type: "remove", path: first?.path ?? "" }),
  (life, [first]) => (first === undefined ? flush(life) : life.join("re-add", first)),
  load(prng),
  (life) => life.command({ type: "sync-action", action: "check" }),
  (life) => life.change({ type: "name", name: "other" }),
  load(prng),
  (life, [, second]) => {
    if (second !== undefined)
      second.faults = [{ kind: "write", node: null, after: 1, left: Number.POSITIVE_INFINITY }];
    return load(prng)(life, []);
  },
  (life) => life.stop(),
];

/** What the array did, and when; what it did at the same time in an order of its own. */
export const aloneTrace = async (store: AloneStore, seed: number): Promise<readonly string[]> => {
  const sim = new ClusterSim(seed, { planted: HONEST, alone: store });
  const lines: string[] = [];
  const tell = (text: string): void => {
    lines.push(`${sim.timeline.now.toFixed(2).padStart(10)} ${text}`);
  };
  sim.onTrace = (line) => {
    if (line.includes(" node 0/")) lines.push(line);
  };
  const [board] = sim.boards;
  if (board === undefined) return [];
  sim.boot(board);
  const { life } = board;
  let at = 0;
  for (const step of stepsOf(new Prng(seed))) {
    at += STEP_MS;
    await sim.timeline.run(() => sim.timeline.now >= at);
    if (life === null) break;
    let outcome: unknown = "waits";
    void step(life, sim.media).then((value) => {
      outcome = value;
    });
    await sim.timeline.run(() => sim.timeline.now >= at + STEP_MS / 2);
    tell(`step: ${JSON.stringify(outcome)}`);
  }
  if (sim.problem !== null) tell(sim.problem);
  return lines.sort();
};

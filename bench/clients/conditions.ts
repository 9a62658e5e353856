/** Makes what goes on beside a job, and ends it again. Only Satsuma is put under conditions. */
import { runCommand } from "../../test/helpers/command.ts";
import type { BenchBoard } from "../bench-board.ts";
import type { Target } from "../target.ts";
import { waitUntil } from "../wait.ts";
import { BENCH_ARRAY } from "./satsuma.ts";
import type { Workload } from "./workloads.ts";

const SLOW_MS = 10;
/** As the slowest disk that is not yet given up. */
const HUNG_MS = 2_000;
const POLL_MS = 100;
/** Bits are cleared within three sweeps, 5 s each, and the flush. */
const CLEAR_LIMIT_MS = 120_000;
const FILL_LIMIT_MS = 120_000;

/** Runs the body under the workload's condition. */
export async function underCondition<T>(
  target: Target,
  { condition }: Workload,
  { sizeBytes }: { readonly sizeBytes: number },
  body: () => Promise<T>,
): Promise<T> {
  const { board } = target;
  if (condition === "quiet") return await body();
  if (board === undefined) throw new Error(`${target.label} knows no ${condition}`);
  switch (condition) {
    case "bits-clear":
      await untilBitsClear(board);
      return await body();
    case "bits-set":
      await writeEverything(target.uri, sizeBytes);
      return await body();
    case "repair":
      return await besideSync(board, BENCH_ARRAY, "repair", body);
    case "slow-member":
      return await withStall(board, SLOW_MS, body);
    case "hung-member":
      return await withStall(board, HUNG_MS, body);
  }
}

async function untilBitsClear(board: BenchBoard): Promise<void> {
  await waitUntil("the bitmap is clear", { limitMs: CLEAR_LIMIT_MS }, async () => {
    const { bitmap } = (await board.array(BENCH_ARRAY)).status;
    return bitmap?.dirty === 0 || `${bitmap?.dirty ?? "no"} bits of ${bitmap?.total ?? 0} are set`;
  });
}

async function writeEverything(uri: string, sizeBytes: number): Promise<void> {
  const where = ["--ioengine=nbd", `--uri=${uri}`, `--size=${sizeBytes}`];
  const how = ["--name=fill", "--thread", "--rw=write", "--bs=1m", "--iodepth=8"];
  await runCommand("fio", [...where, ...how], FILL_LIMIT_MS);
}

const ignoreBegun = (error: unknown): void => {
  if (!String(error).includes("sync-in-progress")) throw error;
};

/** Runs the body while a check or repair goes on, started again whenever it is through. */
export async function besideSync<T>(
  board: BenchBoard,
  array: string,
  action: "check" | "repair",
  body: () => Promise<T>,
): Promise<T> {
  await board.setSync(array, { action });
  const timer = setInterval(() => void restart(), POLL_MS);
  let restarting = Promise.resolve();
  const restart = () => {
    restarting = restarting.then(async () => {
      const { status } = await board.array(array);
      // One that was asked for begins a moment later.
      if (status.sync === null) await board.setSync(array, { action }).catch(ignoreBegun);
    });
  };
  try {
    return await body();
  } finally {
    clearInterval(timer);
    await restarting;
    await board.setSync(array, { action: "idle" });
    await board.untilSynced(array);
  }
}

/** Runs the body while every call of the second member waits first. */
async function withStall<T>(board: BenchBoard, ms: number, body: () => Promise<T>): Promise<T> {
  const fault = { device_id: `${BENCH_ARRAY}-1`, kind: "stall", stall_ms: ms };
  await board.serve.request("POST", "/lab/faults", fault);
  try {
    return await body();
  } finally {
    await board.serve.request("DELETE", "/lab/faults");
    await board.untilSynced(BENCH_ARRAY);
  }
}

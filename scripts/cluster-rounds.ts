/**
 * `npm run cluster-rounds -- --rounds N`: boards that share their disks, under verified writes and
 * reads of clients on all of them, while members fail, return and are replaced, copies are compared
 * and each board in turn is killed. Exit code 1 when a write that was acknowledged is lost, a read
 * is stale, copies differ at rest, or mdadm does not accept a member.
 */
import { ClusterRounds } from "../test/helpers/cluster-rounds.ts";
import { startSharedBoards } from "../test/helpers/shared-boards.ts";
import { scriptOptions } from "./script-options.ts";

const USAGE = "npm run cluster-rounds -- [--rounds N] [--boards N] [--size SIZE] [--seed S]";

const values = scriptOptions(USAGE, {
  rounds: { type: "string", default: "100" },
  boards: { type: "string", default: "3" },
  size: { type: "string", default: "64M" },
  seed: { type: "string", default: "1" },
});

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const boards = await startSharedBoards({ boards: Number(values.boards), size: values.size });
let isFailed = false;
try {
  const rounds = new ClusterRounds(boards, Number(values.seed));
  await rounds.prepare();
  for (let round = 0; round < Number(values.rounds); round++) {
    const { happening, board, seconds, writes, reads } = await rounds.round();
    const what = `${happening} on board ${board + 1}`.padEnd(34);
    print(
      `${String(round + 1).padStart(4)} ${what} ${writes} writes, ${reads} reads, ${seconds.toFixed(1)} s`,
    );
  }
  for (const { board, byRange, byGate, p50Ms, p99Ms, maxMs } of await rounds.held()) {
    const times = `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, max ${maxMs.toFixed(1)} ms`;
    print(`board ${board + 1} held ${byRange} writes by a resync, ${byGate} by the gate: ${times}`);
  }
  print("no acknowledged write was lost, no read was stale, all copies are equal");
} catch (error) {
  isFailed = true;
  print(error instanceof Error ? (error.stack ?? error.message) : String(error));
  print(`the boards' files are left in ${boards.folder}`);
  process.exitCode = 1;
} finally {
  if (isFailed) await boards.shutDown();
  else await boards.stop();
}

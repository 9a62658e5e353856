// wall-limit: 600 s
/**
 * Two rounds of what can happen to boards that share their disks, under verified writes and reads
 * on all of them; `npm run cluster-rounds -- --rounds 100` makes many.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ClusterRounds } from "../../helpers/cluster-rounds.ts";
import { startSharedBoards } from "../../helpers/shared-boards.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const ROUNDS = Number(process.env["SATSUMA_ROUNDS"] ?? 2);

const test = suite("cluster/rounds");
const roundsTest = skipUnless(["etcd", "mdadm", "fio"], test);

roundsTest(
  `no acknowledged write is lost and no read is stale over ${ROUNDS} rounds on three boards`,
  withTimeout(550_000, async () => {
    const boards = await startSharedBoards({ boards: 3, size: "64M" });
    try {
      const rounds = new ClusterRounds(boards, 1);
      await rounds.prepare();
      const seen = new Set<string>();
      for (let round = 0; round < ROUNDS; round++) seen.add((await rounds.round()).happening);
      assert.is(seen.size, Math.min(ROUNDS, 6), "everything happened");
    } finally {
      await boards.stop();
    }
  }),
);

test.run();

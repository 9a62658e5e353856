/**
 * A board meets an etcd that is not the one it knew, or not any more: a real daemon, a real etcd.
 * What it knows lies in its data directory, and goes from one array thread to the next.
 */
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ATTIC_ORDER, makeAtticDisks } from "../../helpers/attic-array.ts";
import { EtcdCluster } from "../../helpers/etcd-process.ts";
import { ServeProcess } from "../../helpers/serve-process.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const TEST_MS = 120_000;

const test = suite("a cluster store that was replaced");
const etcdTest = skipUnless("etcd", test);

const digests = (paths: readonly string[]): readonly string[] =>
  paths.map((path) => createHash("sha256").update(readFileSync(path)).digest("hex"));

const startArray = (board: ServeProcess): Promise<string> =>
  board.request("POST", "/arrays", { assemble: "md0" }).then(
    () => "started",
    (error: Error) => error.message,
  );

etcdTest(
  "is refused by who knew the other one, in the same process and in the next; nothing is written",
  withTimeout(
    TEST_MS,
    inFolder(async (folder) => {
      const etcd = await EtcdCluster.start(1);
      const cluster = ["--cluster", "attic", "--node", "n1", "--etcd", etcd.endpoints.join()];
      const board = new ServeProcess(folder, cluster);
      const disks = makeAtticDisks(folder);
      try {
        await etcd.backUp(0);
        await board.start();
        await board.request("POST", "/arrays", ATTIC_ORDER);
        await board.request("DELETE", "/arrays/md0", { confirm: "md0" });
        const before = digests(disks);

        await etcd.restore(0);
        assert.match(await startArray(board), /: 409 .*CLUSTER_STORE_REPLACED/, "it has gone back");
        await etcd.replace(0);
        assert.match(await startArray(board), /CLUSTER_STORE_REPLACED/, "it is another one");

        await board.shutDown();
        await board.start();
        assert.match(await startArray(board), /CLUSTER_STORE_REPLACED/, "the next process knows");
        assert.equal(digests(disks), before);

        // The user has made sure that it is the right one.
        await board.shutDown();
        rmSync(join(folder, "cluster-store.json"));
        await board.start();
        assert.is(await startArray(board), "started");
        await board.shutDown();
      } finally {
        await board.shutDown();
        await etcd.stop();
      }
    }),
  ),
);

test.run();

// wall-limit: 600 s
/**
 * Boards with their own disks in network namespaces, with addresses and links of their own: one is
 * cut off from all by its link, and what netem does to packets happens to others, under clients
 * that check what they read.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Fault } from "../../helpers/fault-runs/fault-plan.ts";
import { faultRun } from "../../helpers/fault-runs/fault-run.ts";
import { Namespaces, whyNoNamespaces, whyNoNetem } from "../../helpers/fault-runs/namespaces.ts";
import { skipUnless, skipWhen } from "../../helpers/skip.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const test = suite("cluster/namespaces");
const noNamespaces = whyNoNamespaces();
const noNetem = whyNoNetem();
const spaceTest =
  noNamespaces === undefined ? skipUnless(["etcd", "ip"], test) : skipWhen(noNamespaces, test);
const netemTest =
  noNetem === undefined ? skipUnless(["etcd", "ip", "tc"], test) : skipWhen(noNetem, test);
const SECOND = 1000;

const run = async (faults: readonly Fault[]): Promise<void> => {
  const namespaces = new Namespaces(3);
  try {
    namespaces.make();
    const { problems, folder, writes } = await faultRun({
      ...{ seed: 1, kind: "own", boards: 3, etcdMembers: 3, ms: 0, sizeMib: 64, namespaces },
      plan: { seed: 1, steps: faults.map((fault) => ({ faults: [fault], pauseMs: 4 * SECOND })) },
    });
    assert.equal(problems, [], `see ${folder}`);
    assert.ok(writes > 300, `${writes} writes`);
  } finally {
    namespaces.close();
  }
};

spaceTest(
  "a machine that is cut off from all: the others go on, it returns, and all is whole",
  withTimeout(290_000, () => run([{ kind: "cut-all", board: 2, ms: 14 * SECOND }])),
);

netemTest(
  "slow and lossy links (netem): all writes are kept, and no board is left out for good",
  withTimeout(290_000, () =>
    run([
      {
        ...{ kind: "bad-link", board: 1, delayMs: 40, lostPerMille: 20, resetPerMille: 0 },
        ms: 15 * SECOND,
      },
    ]),
  ),
);

test.run();

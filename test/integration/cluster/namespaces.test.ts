// wall-limit: 900 s
/**
 * Boards with their own disks in network namespaces, with addresses and links of their own: one is
 * cut off from all by its link, and what netem does to packets happens to others, under clients
 * that check what they read. A host without netem has a guest kernel do it.
 */
import { realpathSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { whyNoNamespaces, whyNoNetem } from "../../helpers/fault-runs/namespaces.ts";
import { BAD_LINK, runInNamespaces } from "../../helpers/fault-runs/space-run.ts";
import { skipUnless, skipWhen } from "../../helpers/skip.ts";
import { withTimeout } from "../../helpers/timeout.ts";
import { pathInGuest, runInKernel } from "../../lab/kernel.ts";
import { needsKernel } from "../../lab/needs-kernel.ts";

const test = suite("cluster/namespaces");
const noNamespaces = whyNoNamespaces();
const spaceTest =
  noNamespaces === undefined ? skipUnless(["etcd", "ip"], test) : skipWhen(noNamespaces, test);
const isInGuest = whyNoNetem() !== undefined;
const NETEM_TOOLS = ["etcd", "ip", "tc"];
const netemTest = isInGuest
  ? await needsKernel(skipUnless([...NETEM_TOOLS, "linux.uml", "mdadm"], test), test)
  : skipUnless(NETEM_TOOLS, test);
const MINUTE = 60_000;
/** Bridges and links of namespaces, and netem, with what they need. */
const MODULES = [
  ...["lib/crc-ccitt", "net/ipv6/ipv6", "net/llc/llc", "net/802/stp", "net/bridge/bridge"],
  ...["drivers/net/veth", "net/sched/sch_netem"],
];

const runInGuest = async (): Promise<readonly string[]> => {
  const { status, output } = await runInKernel({
    images: [],
    modules: MODULES,
    memoryMiB: 3072,
    timeoutMs: 9 * MINUTE,
    env: { NODE: pathInGuest(realpathSync(process.execPath)) },
    script: 'ip link set lo up; TMPDIR=/tmp "$NODE" "$PROJECT/test/lab/netem-guest.ts"',
  });
  return status === 0 ? [] : [`the guest ended with ${status}:`, output];
};

spaceTest(
  "a machine that is cut off from all: the others go on, it returns, and all is whole",
  withTimeout(5 * MINUTE, async () => {
    assert.equal(await runInNamespaces([{ kind: "cut-all", board: 2, ms: 14_000 }]), []);
  }),
);

netemTest(
  "slow and lossy links (netem): all writes are kept, and no board is left out for good",
  withTimeout(10 * MINUTE, async () => {
    assert.equal(isInGuest ? await runInGuest() : await runInNamespaces([BAD_LINK]), []);
  }),
);

test.run();

/** The thread of an array ends, whatever its start or its goodbye come to. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ArrayHostOptions, ArrayHostThread } from "../../../src/workers/array-host.ts";
import type { MemberTicket } from "../../../src/workers/open-member.ts";
import { EngineBench, EXPORT } from "../../helpers/engine-bench.ts";
import { EtcdCluster } from "../../helpers/etcd-process.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { withTimeout } from "../../helpers/timeout.ts";

const test = suite("engine: the thread of an array");
const LIMIT_MS = 60_000;

const ticket = (path: string): MemberTicket => ({ path, peer: null, faults: null });
const ignore = (): void => undefined;

/** What became of a start whose I/O workers do not take the array; whether its thread has ended. */
const failStart = async (paths: readonly string[]) => {
  let hasEnded = false;
  const pool = {
    size: 1,
    askEach: () => Promise.reject(new Error("the workers do not take it")),
  } as unknown as ArrayHostOptions["pool"];
  const options: ArrayHostOptions = {
    data: {
      members: paths.map(ticket),
      ...{ readOnly: false, workers: 1, syncSpeedMin: 1, syncSpeedMax: 1, answerLimitMs: null },
      ...{ linkShare: 1, run: false, doubt: null, cluster: null, peers: null },
    },
    pool,
    ticket,
    ...{ onStatus: ignore, onHappening: ignore, onStopped: ignore, onExpelled: ignore },
    onStoreSeen: ignore,
    findDevice: async () => null,
    sessions: null,
    distrusted: async () => [],
    onLinks: () => {
      hasEnded = true;
    },
  };
  const failed = await ArrayHostThread.start(options, new AbortController().signal).then(
    () => "it has started",
    (error: Error) => error.message,
  );
  return { failed, hasEnded };
};

test(
  "its thread has ended when that is told, whether it refused or was let down",
  withTimeout(
    LIMIT_MS,
    inFolder(async (folder) => {
      const bench = await EngineBench.start(folder);
      const files = bench.files(2, 8);
      await bench.stop(await bench.create(files, { assumeClean: true }));
      const letDown = await failStart(files);
      assert.equal(letDown, { failed: "the workers do not take it", hasEnded: true });
      const refused = await failStart([`${folder}/none`]);
      assert.match(refused.failed, "none of the members can be opened");
      assert.ok(refused.hasEnded);
      // Nobody has them open: another start takes them.
      const again = await bench.engine.assemble(files, { readOnly: false });
      assert.is(again.status.name, "md0");
      await again.stop();
      await bench.close();
    }),
  ),
);

skipUnless("etcd", test)(
  "a clustered array whose etcd hangs is given up when its time is over, and takes its end with it",
  withTimeout(
    LIMIT_MS,
    inFolder(async (folder) => {
      const etcd = await EtcdCluster.start(1);
      const { endpoints } = etcd;
      const cluster = {
        name: "attic",
        node: "a",
        endpoints,
        tls: null,
        seen: null,
        exporter: null,
      };
      const bench = await EngineBench.start(folder, { cluster });
      try {
        const clustered = { bitmap: "clustered", nodes: 4, clusterName: "attic" } as const;
        const array = await bench.create(bench.files(2, 8), { ...clustered, assumeClean: true });
        await bench.engine.closeExport(EXPORT);
        etcd.signal(0, "SIGSTOP");
        await array.stop(1000);
      } finally {
        await bench.engine.close();
        etcd.signal(0, "SIGCONT");
        await etcd.stop();
      }
    }),
  ),
);

test.run();

/**
 * Keys of the cluster store that somebody has overwritten: a real daemon tells which, in the words
 * that an administrator looks at first, and goes on by itself when they are right again.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ArrayResource } from "../../../src/api/schemas/array.ts";
import type { DlmResource } from "../../../src/api/schemas/dlm.ts";
import { NL } from "../../../src/cluster/dlm/lock-mode.ts";
import { LVB_BYTES } from "../../../src/cluster/dlm/lvb-text.ts";
import { decodeResource } from "../../../src/cluster/dlm/resource-codec.ts";
import { ATTIC_ORDER, makeAtticDisks } from "../../helpers/attic-array.ts";
import { EtcdCluster } from "../../helpers/etcd-process.ts";
import { runSatsuma } from "../../helpers/satsuma-command.ts";
import { ServeProcess } from "../../helpers/serve-process.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const TEST_MS = 240_000;
const WAIT_MS = 60_000;

const test = suite("damaged keys of a cluster store");
const etcdTest = skipUnless("etcd", test);

/** Whether somebody has the lock, or asks for it. */
const isUsed = (value: string): boolean => {
  const { granted, converting, waiting } = decodeResource(value, LVB_BYTES);
  return converting.length + waiting.length > 0 || granted.some((lock) => lock.granted !== NL);
};

/** Writes garbage over the key of a lock that nobody uses just then; what it held. */
const overwriteFree = (etcd: EtcdCluster, key: string): Promise<string> =>
  eventually(`nobody uses ${key}`, WAIT_MS, async () => {
    const { value, revision } = await etcd.find(key);
    if (value === "" || isUsed(value)) return false;
    return (await etcd.swap(key, revision, "garbage")) && value;
  });

/** What the board says of its array, in each place where somebody may look. */
class Told {
  readonly #board: ServeProcess;

  constructor(board: ServeProcess) {
    this.#board = board;
  }

  array(): Promise<ArrayResource> {
    return this.#board.request("GET", "/arrays/md0") as Promise<ArrayResource>;
  }

  dlm(): Promise<DlmResource> {
    return this.#board.request("GET", "/dlm") as Promise<DlmResource>;
  }

  /** Waits until status and locks name exactly these keys. */
  async untilDamaged(...keys: string[]): Promise<ArrayResource["status"]> {
    const isSame = (found: readonly { readonly key: string }[] = []): boolean =>
      found.map(({ key }) => key).join() === keys.join();
    await eventually(`${keys.join(" and ")} are told`, WAIT_MS, async () => {
      const { cluster } = (await this.array()).status;
      const { items } = await this.dlm();
      return cluster !== null && isSame(cluster.damaged) && isSame(items[0]?.damaged ?? []);
    });
    return (await this.array()).status;
  }

  async untilRunning(): Promise<void> {
    await eventually("the array runs", WAIT_MS, async () => {
      const { cluster } = (await this.array()).status;
      return cluster?.phase === "entered";
    });
  }

  locks(...more: string[]): Promise<string> {
    const { url, token } = this.#board;
    const access = ["--api", url, "--token", token];
    return runSatsuma("locks", ...more, ...access).then(({ stdout }) => stdout);
  }
}

etcdTest(
  "are told while an array runs, and by a board that cannot start it; put right, all goes on",
  withTimeout(
    TEST_MS,
    inFolder(async (folder) => {
      const etcd = await EtcdCluster.start(1);
      const cluster = ["--cluster", "attic", "--node", "n1", "--etcd", etcd.endpoints.join()];
      const board = new ServeProcess(folder, cluster);
      const told = new Told(board);
      makeAtticDisks(folder);
      try {
        await board.start();
        await board.request("POST", "/arrays", ATTIC_ORDER);
        const { id } = await told.array();
        const prefix = `/satsuma/attic/arrays/${id}/`;
        await told.untilRunning();

        const lock = await overwriteFree(etcd, `${prefix}lk/resync`);
        const { health_reasons: reasons } = await told.untilDamaged("lk/resync");
        assert.is(reasons[0]?.code, "cluster-store-damaged");
        assert.match(await told.locks(), "lk/resync  damaged: DLM_BAD_RESOURCE");
        await etcd.put(`${prefix}lk/resync`, lock);
        assert.equal((await told.untilDamaged()).health_reasons, []);

        await etcd.put(`${prefix}slot/1`, "garbage");
        await eventually("the board puts its slot right", WAIT_MS, async () =>
          /^live \d+$/.test(await etcd.get(`${prefix}slot/1`)),
        );
        await told.untilDamaged();

        await board.shutDown();
        const channel = await etcd.get(`${prefix}ch`);
        await etcd.put(`${prefix}ch`, "garbage");
        await board.start();
        await eventually("the refusal is told", WAIT_MS, async () => {
          const [absent] = (await told.dlm()).absent;
          return absent?.code === "CLUSTER_BAD_CHANNEL" && absent.tries_again;
        });
        const [reason] = (await told.array()).status.health_reasons;
        assert.match(reason?.message ?? "", "the key ch of the message channel is damaged");
        assert.match(await told.locks("md0"), "md0: cluster attic, does not run here");
        const { items } = (await board.request("GET", "/events")) as {
          readonly items: readonly { readonly type: string; readonly message: string }[];
        };
        const failed = items.filter(({ type }) => type === "array.start-failed");
        assert.match(failed.at(-1)?.message ?? "", "the key ch of the message channel");
        assert.is(await etcd.get(`${prefix}ch`), "garbage", "nothing is overwritten");
        await etcd.put(`${prefix}ch`, channel);
        await told.untilRunning();
      } finally {
        await board.shutDown();
        await etcd.stop();
      }
    }),
  ),
);

test.run();

// wall-limit: 600 s
/**
 * Boards that share their disks, as their users run them: real processes, a real etcd, members that
 * every board opens, clients on several boards at once.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runCommand, tryCommand } from "../../helpers/command.ts";
import { attachLoop, detachLoop, noLoopDevice } from "../../helpers/loop-device.ts";
import { SATSUMA_MAIN, trySatsuma } from "../../helpers/satsuma-command.ts";
import { type SharedBoards, startSharedBoards } from "../../helpers/shared-boards.ts";
import { skipUnless, skipWhen } from "../../helpers/skip.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const MIB = 1024 * 1024;
const TEST_MS = 180_000;

const test = suite<{ boards: SharedBoards }>("cluster/shared-boards");
const etcdTest = skipUnless(["etcd", "mdadm"], test);
const loopTest = skipWhen(noLoopDevice(), test);

test.before(
  withTimeout(TEST_MS, async (context) => {
    context.boards = await startSharedBoards({ boards: 2, size: "64M" });
  }),
);

test.after(
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.stop();
  }),
);

const fill = async (boards: SharedBoards, at: number, offset: number, value: number) => {
  const client = await boards.attach(at);
  await client.write(offset, new Uint8Array(MIB).fill(value), true);
  client.close();
};

/** The byte at the place, which all of its mebibyte holds. */
const valueAt = async (boards: SharedBoards, at: number, offset: number): Promise<number> => {
  const client = await boards.attach(at);
  const bytes = await client.read(offset, MIB);
  client.close();
  assert.ok(bytes.every((byte) => byte === bytes[0]));
  return bytes[0] ?? -1;
};

etcdTest(
  "every board has a slot of its own, and all of them know each other",
  withTimeout(TEST_MS, async ({ boards }) => {
    const views = await Promise.all(boards.numbers.map((at) => boards.dlm(at)));
    assert.equal(
      views.map(({ slot }) => slot),
      [0, 1],
    );
    for (const view of views) {
      assert.equal([view.cluster, view.phase, view.nodes], ["demo", "entered", 4]);
      const names = view.members.map(({ slot, node }) => `${node} ${slot}`);
      assert.equal(names.sort(), ["board1 0", "board2 1"]);
      const own = view.locks.find(({ resource }) => resource === `bitmap000${view.slot}`);
      const held = own?.granted.filter(({ granted }) => granted === "PW");
      assert.equal(
        held?.map(({ slot }) => slot),
        [view.slot],
      );
    }
    // The lock of a slot that nobody has is asked for once, after all have joined.
    for (const at of boards.numbers)
      await eventually(
        "nothing waits",
        30_000,
        async () => (await boards.dlm(at)).awaited === null,
      );
    const { boards: told, etcd } = boards.credentials;
    assert.equal([told.length, etcd?.endpoints.length], [2, 1]);
    assert.ok(existsSync(`/proc/${etcd?.pid}`));
  }),
);

etcdTest(
  "what one board's client wrote, another board's client reads",
  withTimeout(TEST_MS, async ({ boards }) => {
    await fill(boards, 0, 0, 11);
    await fill(boards, 1, 8 * MIB, 22);
    assert.equal([await valueAt(boards, 1, 0), await valueAt(boards, 0, 8 * MIB)], [11, 22]);
    await fill(boards, 1, 0, 33);
    assert.is(await valueAt(boards, 0, 0), 33);
  }),
);

etcdTest(
  "satsuma locks, status and detail tell of nodes, locks and messages",
  withTimeout(TEST_MS, async ({ boards }) => {
    const { data_dir: data } = boards.board(1);
    const locks = await trySatsuma("locks", "md0", "--trace", "5", "--data", data);
    assert.is(locks.ending, "0", locks.stderr);
    assert.match(locks.stdout, /md0: cluster demo, entered, slot 1 of 4, epoch \d+/);
    assert.match(locks.stdout, /bitmap0001 +.*board2:PW/);
    assert.match(locks.stdout, "nothing is waited for");
    assert.match(locks.stdout, "trace:");
    const status = await trySatsuma("status", "--data", data);
    assert.match(status.stdout, /cluster: slot 1 of 4, nodes .*board/);
    const detail = await trySatsuma("detail", "md0", "--data", data);
    assert.match(detail.stdout, /Cluster Slot : 1, entered/);
    const other = await trySatsuma("locks", "md9", "--data", data);
    assert.match(other.stderr, /^satsuma: CLI_NOT_CLUSTERED: /);
  }),
);

etcdTest(
  "locks say that the store is away; an etcd that is killed is started again, and held writes go on",
  withTimeout(TEST_MS, async ({ boards }) => {
    const client = await boards.attach(0);
    await client.write(4 * MIB, new Uint8Array(MIB).fill(91), true);
    const { etcd } = boards.credentials;
    const pid = etcd?.pid ?? 0;
    process.kill(pid, "SIGSTOP");
    const away = /reads and writes wait: the store has not confirmed this node for \d+\.\d s/;
    await eventually("board 1 says why nothing is written", 60_000, async () =>
      away.test((await boards.dlm(0)).awaited ?? ""),
    );
    let isWritten = false;
    const write = client.write(4 * MIB, new Uint8Array(MIB).fill(92), true).then(() => {
      isWritten = true;
    });
    await eventually("the write waits", 30_000, async () => {
      const { held_writes } = await boards.dlm(0);
      return held_writes.held > 0;
    });
    const locks = await trySatsuma("locks", "md0", "--data", boards.board(0).data_dir);
    assert.match(locks.stdout, away);
    assert.not.ok(isWritten);
    process.kill(pid, "SIGKILL");
    await write;
    client.close();
    assert.is(await valueAt(boards, 1, 4 * MIB), 92);
    const now = boards.credentials.etcd;
    assert.is.not(now?.pid, pid);
    assert.equal(now?.endpoints, etcd?.endpoints);
    assert.match(boards.output, /etcd ended \(SIGKILL\), starting it again/);
    for (const at of boards.numbers)
      await eventually(
        "nothing waits",
        60_000,
        async () => (await boards.dlm(at)).awaited === null,
      );
  }),
);

etcdTest(
  "a member that one board fails is faulty on the other before writes go on; it returns",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    await boards.member(0, "fail", "disk2");
    assert.is((await boards.members(1))["disk2"], "faulty");
    await fill(boards, 1, 16 * MIB, 44);
    await boards.member(1, "remove", "disk2");
    assert.is((await boards.members(0))["disk2"], undefined);
    await boards.member(0, "re-add", "disk2");
    await boards.untilWhole();
    await boards.member(1, "fail", "disk1");
    assert.is(await valueAt(boards, 0, 16 * MIB), 44, "the member that returned holds it");
    await boards.member(0, "remove", "disk1");
    await boards.member(1, "re-add", "disk1");
    await boards.untilWhole();
  }),
);

etcdTest(
  "a device that one board adds is found by the other and takes the failed one's place",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    await boards.member(1, "fail", "disk2");
    await boards.member(1, "remove", "disk2");
    await boards.member(1, "add", "spare1");
    await boards.untilWhole();
    for (const at of boards.numbers) {
      assert.equal(await boards.members(at), { disk1: "in_sync", spare1: "in_sync" });
    }
    await boards.member(0, "add", "disk2");
    await eventually("both see the spare", 10_000, async () => {
      const seen = await Promise.all(boards.numbers.map((at) => boards.members(at)));
      return seen.every((members) => members["disk2"] === "spare");
    });
    await boards.member(1, "remove", "disk2");
    assert.is((await boards.members(0))["disk2"], undefined);
  }),
);

etcdTest(
  "mdadm accepts every member while the boards run: clustered, its nodes and the cluster's name",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    const { status } = await boards.array(0);
    for (const { path, slot } of status.members) {
      const examined = await tryCommand("mdadm", ["--examine", path ?? ""]);
      assert.is(examined.ending, "0", examined.stderr);
      assert.match(examined.stdout, /Internal Bitmap : .* sectors/);
      assert.match(examined.stdout, "Checksum");
      assert.match(examined.stdout, new RegExp(`Device Role : Active device ${slot}`));
      assert.match(examined.stdout, "Array State : AA");
    }
  }),
);

loopTest(
  "mdadm reads the bitmap of every node on every member, with the cluster's name",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    const { status } = await boards.array(0);
    for (const { path } of status.members) {
      const loop = attachLoop(path ?? "", ["--read-only"]);
      if (loop === null) throw new Error("no loop device could be made");
      try {
        const { stdout } = await runCommand("mdadm", ["--examine-bitmap", loop]);
        assert.match(stdout, "Version : 5");
        assert.match(stdout, /Cluster nodes : 4\n +Cluster name : demo/);
        for (const slot of [0, 1, 2, 3]) assert.match(stdout, `Node Slot : ${slot}`);
        assert.is(stdout.match(/State : OK/g)?.length, 4, stdout);
      } finally {
        detachLoop(loop);
      }
    }
  }),
);

etcdTest(
  "a board that is killed is recovered by the other, whose clients go on; it comes back",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    const client = await boards.attach(1);
    await client.write(24 * MIB, new Uint8Array(MIB).fill(55), true);
    const { slot } = await boards.dlm(0);
    const killed = await boards.kill(0);
    await client.write(25 * MIB, new Uint8Array(MIB).fill(66), true);
    await boards.untilReturned(0, killed);
    await eventually("the dead node's slot is free or taken again", 60_000, async () => {
      const { slots } = await boards.dlm(1);
      const condition = slots.find((candidate) => candidate.slot === slot)?.condition;
      return condition === "free" || condition === "live";
    });
    await boards.untilWhole();
    await client.write(26 * MIB, new Uint8Array(MIB).fill(77), true);
    client.close();
    assert.equal(
      [await valueAt(boards, 0, 25 * MIB), await valueAt(boards, 0, 26 * MIB)],
      [66, 77],
    );
    const events = await boards.ask<{ readonly items: readonly { readonly type: string }[] }>(
      1,
      "GET",
      "/events?types=cluster.*&limit=100",
    );
    const types = new Set(events.items.map(({ type }) => type));
    for (const type of ["cluster.node-lost", "cluster.recovering", "cluster.recovered"])
      assert.ok(types.has(type), type);
  }),
);

etcdTest(
  "a board that hangs is expelled: its clients' writes fail, others go on, it joins again",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    const { epoch } = await boards.dlm(1);
    const { pid } = boards.board(1);
    const hung = await boards.attach(1);
    await hung.write(40 * MIB, new Uint8Array(MIB).fill(1), true);
    process.kill(pid, "SIGSTOP");
    const late = hung.write(40 * MIB, new Uint8Array(MIB).fill(2)).then(
      () => "answered",
      () => "failed",
    );
    await eventually("the other board is alone", 60_000, async () => {
      const { members } = await boards.dlm(0);
      return members.length === 1;
    });
    await fill(boards, 0, 40 * MIB, 3);
    process.kill(pid, "SIGCONT");
    assert.is(await late, "failed");
    await eventually("it is another node", 60_000, async () => {
      const view = await boards.dlm(1);
      return view.epoch > epoch && view.phase === "entered";
    });
    await boards.untilWhole();
    assert.equal([await valueAt(boards, 0, 40 * MIB), await valueAt(boards, 1, 40 * MIB)], [3, 3]);
    assert.is(boards.board(1).pid, pid, "the daemon is the same");
    const events = await boards.ask<{ readonly items: readonly { readonly type: string }[] }>(
      1,
      "GET",
      "/events?limit=200",
    );
    const types = new Set(events.items.map(({ type }) => type));
    assert.equal([types.has("cluster.expelled"), types.has("array.broken")], [true, false]);
  }),
);

etcdTest(
  "a board that can write no member leaves: it says why, the other goes on, it returns when told to",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    await fill(boards, 0, 48 * MIB, 51);
    const { slot } = await boards.dlm(0);
    for (const device_id of Object.keys(await boards.members(0)))
      await boards.ask(0, "POST", "/lab/faults", { device_id, kind: "write-error" });
    const client = await boards.attach(0);
    const failed = await client
      .write(50 * MIB, new Uint8Array(MIB).fill(52), true)
      .catch((error: unknown) => error);
    client.close();
    assert.instance(failed, Error);
    await eventually("it is out, and says why", 30_000, async () => {
      const { status } = await boards.array(0);
      return status.health_reasons.some(
        ({ code, message }) => code === "not-started" && /broken/.test(message),
      );
    });
    await eventually("its slot is recovered", 30_000, async () => {
      const { slots } = await boards.dlm(1);
      return slots[slot]?.condition === "free";
    });
    assert.is(await valueAt(boards, 1, 48 * MIB), 51);
    await fill(boards, 1, 50 * MIB, 53);
    await boards.ask(0, "DELETE", "/lab/faults");
    const started = await trySatsuma("assemble", "md0", "--data", boards.board(0).data_dir);
    assert.is(started.ending, "0", started.stderr);
    await boards.untilRunning(0);
    await boards.untilWhole();
    assert.is(await valueAt(boards, 0, 50 * MIB), 53);
  }),
);

etcdTest(
  "the demo ends cleanly, leaves no node behind, and resumes with the same folder",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    await fill(boards, 0, 30 * MIB, 88);
    const pids = [...boards.credentials.boards.map(({ pid }) => pid), boards.credentials.etcd?.pid];
    assert.is(await boards.shutDown(), 0, boards.output);
    for (const pid of pids) assert.not.ok(existsSync(`/proc/${pid}`), `process ${pid} is left`);
    const seen = readFileSync(join(boards.folder, "board1", "cluster-store.json"), "utf8");
    assert.ok(JSON.parse(seen).revision > 1, "a board remembers which store it was");
    await boards.start();
    assert.is(await valueAt(boards, 1, 30 * MIB), 88);
    const { slots } = await boards.dlm(0);
    assert.equal(
      slots.filter(({ condition }) => condition === "dead" || condition === "recovering"),
      [],
      "the boards left: nobody had to be recovered",
    );
  }),
);

etcdTest(
  "metrics count nodes and held writes",
  withTimeout(TEST_MS, async ({ boards }) => {
    const { url, token } = boards.board(0);
    const headers = { authorization: `Bearer ${token}` };
    const text = await (await fetch(`${url}/metrics`, { headers })).text();
    assert.match(text, /satsuma_cluster_nodes\{array="md0"\} 2/);
    assert.match(text, /satsuma_cluster_held_writes_total\{array="md0",reason="range"\} \d+/);
    assert.match(text, /satsuma_cluster_held_write_seconds\{array="md0",quantile="0.99"\} /);
  }),
);

test(
  "without etcd the demo says what to install",
  withTimeout(
    TEST_MS,
    inFolder(async (folder) => {
      const flags = ["demo", "--boards", "2", "--shared", "--data", join(folder, "d")];
      const argv = JSON.stringify([process.execPath, SATSUMA_MAIN, ...flags]);
      const script = [
        'process.env.PATH = "/nonexistent"',
        `process.argv = ${argv}`,
        `await import(${JSON.stringify(SATSUMA_MAIN)})`,
      ].join(";\n");
      const run = await tryCommand(process.execPath, ["--input-type=module", "-e", script]);
      assert.is(run.ending, "1");
      assert.match(run.stderr, /^satsuma: CLI_NO_ETCD: .*apt-get install etcd-server/);
    }),
  ),
);

test.run();

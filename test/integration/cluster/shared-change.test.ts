// wall-limit: 420 s
/**
 * An array that two real boards run is changed as a whole while clients of both write, with what
 * they wrote compared. `test/integration/clustermd` has the same changes without such clients.
 */
import { truncateSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { tryCommand } from "../../helpers/command.ts";
import { attachLoop, detachLoop, noLoopDevice } from "../../helpers/loop-device.ts";
import { trySatsuma } from "../../helpers/satsuma-command.ts";
import { type SharedBoards, startSharedBoards } from "../../helpers/shared-boards.ts";
import { skipUnless } from "../../helpers/skip.ts";
import { eventually, withTimeout } from "../../helpers/timeout.ts";

const MIB = 1024 * 1024;
const TEST_MS = 180_000;
const BLOCK = 64 * 1024;

const test = suite<{ boards: SharedBoards }>("cluster/shared-change");
const etcdTest = skipUnless(["etcd", "mdadm"], test);

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

/** Writes blocks of a board's own part, over and over, until it is told to stop. */
class Writer {
  readonly #boards: SharedBoards;
  readonly #at: number;
  readonly #base: number;
  readonly #last = new Map<number, number>();
  #isEnding = false;
  #ended: Promise<void> | null = null;
  #writes = 0;

  constructor(boards: SharedBoards, at: number) {
    this.#boards = boards;
    this.#at = at;
    this.#base = at * 16 * MIB;
  }

  get writes(): number {
    return this.#writes;
  }

  start(): this {
    this.#ended = this.#run();
    return this;
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#ended;
  }

  async #run(): Promise<void> {
    const client = await this.#boards.attach(this.#at);
    while (!this.#isEnding) {
      const place = this.#writes % 128;
      const value = 1 + (this.#writes % 250);
      await client.write(this.#base + place * BLOCK, new Uint8Array(BLOCK).fill(value), true);
      this.#last.set(place, value);
      this.#writes++;
    }
    client.close();
  }

  /** What was acknowledged is what the given board reads. */
  async check(at: number): Promise<void> {
    const client = await this.#boards.attach(at);
    for (const [place, value] of this.#last) {
      const bytes = await client.read(this.#base + place * BLOCK, BLOCK);
      assert.ok(
        bytes.every((byte) => byte === value),
        `board ${at + 1}, block ${place}`,
      );
    }
    client.close();
  }
}

/** Runs it while clients of both boards write; what they wrote is there on both. */
const underWrites = async (boards: SharedBoards, body: () => Promise<void>): Promise<void> => {
  const writers = boards.numbers.map((at) => new Writer(boards, at).start());
  await eventually("both write", 20_000, () => writers.every(({ writes }) => writes > 20));
  try {
    await body();
    const before = writers.map(({ writes }) => writes);
    await eventually("both go on", 20_000, () =>
      writers.every(({ writes }, index) => writes > (before[index] ?? 0) + 20),
    );
  } finally {
    await Promise.all(writers.map((writer) => writer.end()));
  }
  for (const writer of writers) for (const at of boards.numbers) await writer.check(at);
};

/** `satsuma grow` on one board; a board that has no rest for a moment is waited for. */
const grow = async (boards: SharedBoards, at: number, ...flags: string[]): Promise<void> => {
  const { data_dir: data } = boards.board(at);
  const { ending, stderr } = await trySatsuma("grow", "md0", ...flags, "--data", data);
  assert.is(ending, "0", stderr);
};

etcdTest(
  "raid devices from 2 to 3 with a spare, while both boards' clients write",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    await boards.member(0, "add", "spare1");
    await underWrites(boards, () => grow(boards, 1, "--raid-devices", "3"));
    await boards.untilWhole();
    for (const at of boards.numbers) {
      const members = await boards.members(at);
      assert.equal(members, { disk1: "in_sync", disk2: "in_sync", spare1: "in_sync" });
    }
    // The member that came last holds everything.
    await boards.member(0, "fail", "disk1");
    await boards.member(1, "fail", "disk2");
    await underWrites(boards, async () => undefined);
  }),
);

/** Board 2 is stopped and started over and over while board 1 changes the size in steps. */
const stopDuringChanges = async (boards: SharedBoards): Promise<void> => {
  let isOver = false;
  const change = async (): Promise<void> => {
    try {
      for (const size of ["66M", "68M"]) await grow(boards, 0, "--size", size);
    } finally {
      isOver = true;
    }
  };
  const stop = async (): Promise<void> => {
    while (!isOver) {
      await boards.ask(1, "DELETE", "/arrays/md0", { confirm: "md0", force: true });
      await boards.ask(1, "POST", "/arrays", { assemble: "md0" });
      await boards.untilRunning(1);
    }
  };
  await Promise.all([change(), stop()]);
  await boards.untilWhole();
};

etcdTest(
  "the size grows on every board, while both boards' clients write",
  withTimeout(TEST_MS, async ({ boards }) => {
    for (const name of ["disk1", "disk2"]) {
      await boards.member(0, "remove", name);
      await boards.member(1, "re-add", name);
    }
    await boards.untilWhole();
    assert.is(await boards.shutDown(), 0);
    for (const name of ["disk1", "disk2", "spare1"]) truncateSync(boards.disk(name), 96 * MIB);
    await boards.start();
    await boards.untilWhole();
    const before = (await boards.array(0)).config.size;
    await stopDuringChanges(boards);
    await underWrites(boards, () => grow(boards, 0, "--size", "max"));
    await boards.untilWhole();
    const sizes = await Promise.all(boards.numbers.map((at) => boards.array(at)));
    const [first = 0, second = 0] = sizes.map(({ config }) => config.size);
    assert.is(first, second);
    assert.ok(first >= before + 31 * MIB, `${before} to ${first} bytes`);
    const client = await boards.attach(1);
    await client.write(first - BLOCK, new Uint8Array(BLOCK).fill(77), true);
    client.close();
    const other = await boards.attach(0);
    assert.is((await other.read(first - BLOCK, BLOCK))[0], 77);
    other.close();
  }),
);

etcdTest(
  "disks that grow beneath running boards: the size grows on each, and none starts anew",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    const pids = (): number[] => boards.numbers.map((at) => boards.board(at).pid ?? 0);
    const before = pids();
    const { size } = (await boards.array(1)).config;
    for (const name of ["disk1", "disk2", "spare1"]) truncateSync(boards.disk(name), 128 * MIB);
    await underWrites(boards, () => grow(boards, 1, "--size", "max"));
    await boards.untilWhole();
    for (const at of boards.numbers) {
      const array = await boards.array(at);
      assert.ok(
        array.config.size >= size + 31 * MIB,
        `board ${at + 1}: ${array.config.size} bytes`,
      );
    }
    assert.equal(pids(), before);
  }),
);

etcdTest(
  "two boards add one spare at once: its metadata is that of who has it, or of nobody",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    const add = (at: number) =>
      trySatsuma("add", "md0", "spare2", "--force", "--data", boards.board(at).data_dir);
    for (let round = 0; round < 4; round++) {
      const added = await Promise.all(boards.numbers.map(add));
      const states = await eventually("both say the same", 20_000, async () => {
        const [first, second] = await Promise.all(boards.numbers.map((at) => boards.members(at)));
        return JSON.stringify(first) === JSON.stringify(second) && first;
      });
      const isMember = states["spare2"] !== undefined;
      const winners = added.filter(({ ending }) => ending === "0").length;
      assert.is(winners, isMember ? 1 : 0, JSON.stringify(added));
      const { ending } = await tryCommand("mdadm", ["--examine", boards.disk("spare2")]);
      assert.is(ending === "0", isMember, `round ${round}: ${ending}`);
      if (isMember) await boards.member(0, "remove", "spare2");
    }
  }),
);

etcdTest(
  "a smaller size is refused before any other board is asked to rest",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    const asked = async (): Promise<string[]> =>
      (await boards.dlm(1)).trace.flatMap(({ what, text }) =>
        what === "message" && text.startsWith("BITMAP_RESIZE") ? [text] : [],
      );
    const before = (await asked()).at(-1);
    const smaller = await refusal(boards, 0, "grow", "md0", "--size", "16M");
    assert.match(smaller, "RAID_SHRINK_REFUSED");
    assert.is((await asked()).at(-1), before);
  }),
);

/** One command on one board, which must succeed. */
const satsuma = async (boards: SharedBoards, at: number, ...words: string[]): Promise<string> => {
  const { data_dir: data } = boards.board(at);
  const { ending, stdout, stderr } = await trySatsuma(...words, "--data", data);
  assert.is(ending, "0", `${words.join(" ")}: ${stderr}`);
  return stdout;
};

/** What one board's command is refused with. */
const refusal = async (boards: SharedBoards, at: number, ...words: string[]): Promise<string> => {
  const { data_dir: data } = boards.board(at);
  const { ending, stderr } = await trySatsuma(...words, "--data", data);
  assert.is(ending, "1", words.join(" "));
  return stderr;
};

/** mdadm accepts every member, and sees that kind of bitmap. */
const examine = async (boards: SharedBoards, kind: "none" | "internal" | "clustered") => {
  const { status, config } = await boards.array(0);
  assert.is(config.bitmap.type, kind);
  for (const { path } of status.members) {
    const { ending, stdout, stderr } = await tryCommand("mdadm", ["--examine", path ?? ""]);
    assert.is(ending, "0", stderr);
    assert.match(stdout, /Checksum : [0-9a-f]+ - correct/);
    assert.is(/Internal Bitmap/.test(stdout), kind !== "none", stdout);
    if (noLoopDevice() === undefined) await examineBitmap(path ?? "", kind);
  }
};

const examineBitmap = async (path: string, kind: string): Promise<void> => {
  const loop = attachLoop(path, ["--read-only"]);
  if (loop === null) throw new Error("no loop device could be made");
  try {
    const { ending, stdout } = await tryCommand("mdadm", ["--examine-bitmap", loop]);
    assert.is(ending === "0", kind !== "none", stdout);
    assert.is(/Cluster nodes : 4/.test(stdout), kind === "clustered", stdout);
    if (kind === "clustered") assert.match(stdout, "Cluster name : demo");
  } finally {
    detachLoop(loop);
  }
};

/** Board 2 stops; board 1 takes the array out of the cluster, step by step, and into it again. */
const switchBitmap = async (boards: SharedBoards, steps: readonly ("none" | "internal")[]) => {
  const start = ["assemble", "md0"] as const;
  await satsuma(boards, 1, "stop", "md0");
  const writer = new Writer(boards, 0).start();
  try {
    for (const kind of steps) {
      await grow(boards, 0, "--bitmap", kind);
      await examine(boards, kind);
      assert.match(await refusal(boards, 1, ...start), "CONTROL_ARRAY_LEFT_CLUSTER");
    }
    // The members are the other board's alone.
    assert.match(await refusal(boards, 1, ...start, "--run"), "RAID_NO_MEMBERS");
    await grow(boards, 0, "--bitmap", "clustered");
    await examine(boards, "clustered");
    const { writes } = writer;
    await eventually("the client goes on", 20_000, () => writer.writes > writes + 20);
    const { status } = await boards.array(0);
    assert.is(status.cluster?.phase, "entered");
    await satsuma(boards, 1, ...start);
    await boards.untilWhole();
  } finally {
    await writer.end();
  }
  for (const at of boards.numbers) await writer.check(at);
};

/** Sync actions of both boards hardly go on, until the body has ended. */
const slowed = async (boards: SharedBoards, body: () => Promise<void>): Promise<void> => {
  const limits = async (at: number, min: number, max: number): Promise<void> => {
    const patch = { sync_speed_min: min, sync_speed_max: max };
    await boards.ask(at, "PATCH", "/arrays/md0", patch);
  };
  const { sync_speed_min: min, sync_speed_max: max } = (await boards.array(0)).config;
  for (const at of boards.numbers) await limits(at, 1024, 1024);
  try {
    await body();
  } finally {
    for (const at of boards.numbers) await limits(at, min, max);
  }
};

etcdTest(
  "a board that starts knows whom the other one has failed, and lets it go for both",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    await boards.member(0, "fail", "disk2");
    await boards.ask(1, "DELETE", "/arrays/md0", { confirm: "md0", force: true });
    await boards.ask(1, "POST", "/arrays", { assemble: "md0" });
    await boards.untilRunning(1);
    const states = await boards.members(0);
    assert.is(states["disk2"], "faulty");
    assert.equal(await boards.members(1), states);
    await boards.member(1, "remove", "disk2");
    for (const at of boards.numbers)
      await eventually(`board ${at + 1} has let it go`, 60_000, async () => {
        return (await boards.members(at))["disk2"] === undefined;
      });
    // What it lacks takes long; nobody waits for that who is refused anyway.
    const client = await boards.attach(0);
    await client.write(0, new Uint8Array(BLOCK).fill(7), true);
    client.close();
    await slowed(boards, async () => {
      await boards.member(1, "re-add", "disk2");
      await eventually("it is rebuilt", 60_000, async () => {
        const arrays = await Promise.all(boards.numbers.map((at) => boards.array(at)));
        return arrays.some(({ status }) => status.sync !== null);
      });
      const inUse = await refusal(boards, 0, "grow", "md0", "--bitmap", "none");
      assert.match(inUse, /CLUSTER_BITMAP_IN_USE: node \d \(board2\) uses the array as well/);
    });
    await boards.untilWhole();
  }),
);

etcdTest(
  "01r1_Grow_bitmap-switch: clustered to none and internal, and back, under a client's writes",
  withTimeout(TEST_MS, async ({ boards }) => {
    await boards.untilWhole();
    const inUse = await refusal(boards, 0, "grow", "md0", "--bitmap", "none");
    assert.match(inUse, /CLUSTER_BITMAP_IN_USE: node \d \(board2\) uses the array as well/);
    await boards.untilWhole();
    await switchBitmap(boards, ["none", "internal"]);
    await underWrites(boards, async () => undefined);
  }),
);

test.run();

/** A board's lives in the store: taken, confirmed, kept right, over. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BoardKeys } from "../../../../src/cluster/store/board-keys.ts";
import {
  type BoardRecord,
  decodeBoard,
  encodeBoard,
} from "../../../../src/cluster/store/board-record.ts";
import { BoardSession } from "../../../../src/cluster/store/board-session-driver.ts";
import { ViewDriver } from "../../../../src/cluster/store/view-driver.ts";
import { Prng } from "../../../../src/common/prng.ts";
import { FakeEtcd, NO_FAULTS } from "../../../helpers/fake-etcd.ts";
import { ManualClock } from "../../../helpers/manual-clock.ts";
import { withSeeds } from "../../../helpers/seed.ts";
import { settle } from "../../../sim/scheduler.ts";

const test = suite("board session");
const random = (): number => 0.5;
const keys = new BoardKeys("attic");

const recordOf = (boot: string, reaches: readonly string[] = []): BoardRecord => ({
  name: "board2",
  boot,
  address: "10.0.0.2:10810",
  api: "",
  version: "1",
  disks: [],
  reaches,
});

class Bench {
  readonly etcd: FakeEtcd;
  readonly clock = new ManualClock();
  readonly log: string[] = [];
  readonly view: ViewDriver;
  readonly #store: ReturnType<FakeEtcd["client"]>;

  constructor(seed: number) {
    this.etcd = new FakeEtcd(new Prng(seed), settle);
    this.#store = this.etcd.client();
    const { clock } = this;
    this.view = new ViewDriver({ store: this.#store, prefix: keys.prefix, clock, random });
  }

  /** Begins a life while time passes, of the lease as well. */
  async take(boot: string): Promise<BoardSession> {
    const taking = BoardSession.take({
      store: this.#store,
      view: this.view,
      keys,
      clock: this.clock,
      random,
      record: recordOf(boot),
      listener: {
        confirmed: (sentAt) => this.log.push(`confirmed ${sentAt}`),
        expelled: () => this.log.push("expelled"),
      },
    });
    let isDone = false;
    taking.finally(() => {
      isDone = true;
    });
    for (let tries = 0; !isDone && tries < 400; tries += 1) await this.pass(100);
    return taking;
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      this.etcd.passTime(Math.min(left, 100));
      await this.clock.pass(Math.min(left, 100));
    }
  }

  get key() {
    return this.etcd.memory.map.get(keys.board("board2"));
  }
}

test("a life begins with the board's key, and is confirmed each second, from when it was sent", async () => {
  const bench = new Bench(1);
  await bench.view.start();
  const session = await bench.take("boot1");
  assert.is(bench.key?.createRevision, session.life.epoch);
  assert.equal(decodeBoard(bench.key?.value ?? ""), recordOf("boot1"));
  const start = bench.clock.now();
  await bench.pass(20_000);
  const sent = bench.log.map((line) => Number(line.replace("confirmed ", "")));
  assert.ok(sent.length >= 20 && (sent.at(-1) ?? 0) >= start + 19_000);
  for (const [at, ms] of sent.entries()) assert.is(ms, (sent[0] ?? 0) + 1000 * at);
  assert.is(bench.key?.createRevision, session.life.epoch, "the lease is kept");
  session.stop();
  bench.view.close();
});

test("a life of an earlier start is ended; one of the same start is waited for", async () => {
  const bench = new Bench(2);
  await bench.view.start();
  const first = await bench.take("boot1");
  first.stop();
  const before = bench.clock.now();
  const second = await bench.take("boot2");
  assert.ok(bench.clock.now() - before < 2000, "not waited for");
  second.stop();
  const since = bench.clock.now();
  const third = await bench.take("boot2");
  assert.ok(bench.clock.now() - since > 5000, "waited for its lease");
  assert.ok(first.life.epoch < second.life.epoch && second.life.epoch < third.life.epoch);
  third.stop();
  bench.view.close();
});

test("a key that something else wrote without a lease does not keep the board out", async () => {
  const bench = new Bench(3);
  await bench.view.start();
  const put = { type: "put", key: keys.board("board2"), value: "?", lease: null } as const;
  bench.etcd.memory.txn({ compares: [], success: [put], failure: [] });
  const session = await bench.take("boot1");
  assert.is(bench.key?.createRevision, session.life.epoch);
  session.stop();
  bench.view.close();
});

test("what the board tells is kept in its key, whatever else is written there", async () => {
  const bench = new Bench(4);
  await bench.view.start();
  const session = await bench.take("boot1");
  session.update(recordOf("boot1", ["board1"]));
  await bench.pass(100);
  assert.equal(decodeBoard(bench.key?.value ?? "").reaches, ["board1"]);
  const put = { type: "put", key: keys.board("board2"), value: "?", lease: null } as const;
  bench.etcd.memory.txn({ compares: [], success: [put], failure: [] });
  await bench.pass(2000);
  assert.is(bench.key?.value, encodeBoard(recordOf("boot1", ["board1"])));
  assert.is(bench.key?.lease, session.lease, "and goes with the board again");
  assert.is(bench.key?.createRevision, session.life.epoch);
  session.stop();
  bench.view.close();
});

test("an update that the store lost is made by a later confirmation", async () => {
  const bench = new Bench(5);
  await bench.view.start();
  const session = await bench.take("boot1");
  bench.etcd.isAway = true;
  session.update(recordOf("boot1", ["board3"]));
  await bench.pass(3000);
  bench.etcd.isAway = false;
  await bench.pass(2000);
  assert.equal(decodeBoard(bench.key?.value ?? "").reaches, ["board3"]);
  session.stop();
  bench.view.close();
});

test("the lease is kept at once when the store answers again", async () => {
  const bench = new Bench(6);
  await bench.view.start();
  const session = await bench.take("boot1");
  await bench.pass(2500);
  // Away for nearly as long as the lease lasts; the next keepalive would come too late.
  for (let turn = 0; turn < 4; turn += 1) {
    bench.etcd.isAway = true;
    await bench.pass(7400);
    bench.etcd.isAway = false;
    await bench.pass(1100);
    assert.is(bench.key?.createRevision, session.life.epoch);
  }
  assert.is(session.isOver, false);
  session.stop();
  bench.view.close();
});

test("a life is over when its key is gone, though keepalives are answered", async () => {
  const bench = new Bench(7);
  await bench.view.start();
  const session = await bench.take("boot1");
  bench.etcd.faults = { ...NO_FAULTS, deadKeepAlive: 1, brokenWatch: 1 };
  bench.etcd.memory.end(session.lease);
  bench.log.length = 0;
  await bench.pass(3000);
  assert.equal(bench.log, ["expelled"]);
  assert.is(session.isOver, true);
  bench.view.close();
});

test("a board that leaves has no key", async () => {
  const bench = new Bench(8);
  await bench.view.start();
  const session = await bench.take("boot1");
  const leaving = session.leave();
  await bench.pass(500);
  await leaving;
  assert.is(bench.key, null);
  assert.is(bench.log.includes("expelled"), false);
  bench.view.close();
});

test("whatever the store does, a committed life is the one that its epoch tells", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 10 }, async (_prng, seed) => {
    const bench = new Bench(seed);
    await bench.view.start();
    bench.etcd.faults = { ...NO_FAULTS, lostTxn: 3, oldList: 3, brokenWatch: 5, coalesced: 3 };
    const session = await bench.take("boot1");
    for (let turn = 0; turn < 20 && !session.isOver; turn += 1) {
      assert.is(bench.key?.createRevision, session.life.epoch);
      session.update(recordOf("boot1", [`board${turn}`]));
      await bench.pass(700);
    }
    const last = session.isOver ? null : encodeBoard(recordOf("boot1", ["board19"]));
    bench.etcd.faults = NO_FAULTS;
    await bench.pass(40_000);
    if (last !== null) assert.is(bench.key?.value, last);
    session.stop();
    bench.view.close();
  });
});

test.run();

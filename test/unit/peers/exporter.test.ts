/** An exporter over a store that lies as etcd may: whom it serves, and what it acknowledges. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { BoardKeys, clusterPrefix } from "../../../src/cluster/store/board-keys.ts";
import type { StoreOp } from "../../../src/cluster/store/cluster-store.ts";
import { encodeMember } from "../../../src/cluster/store/member-records.ts";
import { StoreKeys } from "../../../src/cluster/store/store-keys.ts";
import { silentLogger } from "../../../src/common/log.ts";
import { Prng } from "../../../src/common/prng.ts";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";
import type { ConnectionDirectory } from "../../../src/nbd/export-backend.ts";
import { Exporter } from "../../../src/peers/exporter-driver.ts";
import type { ExporterState } from "../../../src/peers/exporter-view.ts";
import { encodeMemberName, type PeerSession } from "../../../src/peers/member-name.ts";
import { FakeEtcd, NO_FAULTS } from "../../helpers/fake-etcd.ts";
import { ManualClock } from "../../helpers/manual-clock.ts";
import { withSeeds } from "../../helpers/seed.ts";
import { settle } from "../../sim/scheduler.ts";

const test = suite("exporter");
const UUID = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
const keys = new StoreKeys(`${clusterPrefix("attic")}arrays/${UUID}/`);
const boards = new BoardKeys("attic");

class Bench {
  readonly etcd: FakeEtcd;
  readonly clock = new ManualClock();
  readonly exporter: Exporter;
  state: ExporterState | null = null;
  #handles = 0;

  /** `isBlind`: its sight stays as it is now. */
  constructor(
    seed: number,
    { etcd, isBlind = false }: { etcd?: FakeEtcd; isBlind?: boolean } = {},
  ) {
    this.etcd = etcd ?? new FakeEtcd(new Prng(seed), settle);
    const store = this.etcd.client();
    const prefix = clusterPrefix("attic");
    const { revision } = this.etcd.memory.map;
    const sight = { revision, found: this.etcd.memory.map.list(prefix) };
    if (isBlind)
      Object.assign(store, { list: async () => sight, watch: () => ({ close: () => undefined }) });
    const prng = new Prng(seed + 1);
    this.exporter = new Exporter({
      cluster: "attic",
      board: { name: "board2", boot: "boot", address: "10.0.0.2:10810", api: "", version: "1" },
      store,
      clock: this.clock,
      random: () => prng.below(1000) / 1000,
      openDisk: async () => new MemoryDevice("disk1", new Uint8Array(65_536)),
      listener: {
        boards: () => undefined,
        ownFenced: (uuid, slot, epoch) => this.exporter.ownDrained(uuid, slot, epoch),
        state: (state) => {
          this.state = state;
        },
      },
      onAnswered: () => undefined,
      logger: silentLogger,
    });
    this.exporter.setDisks([
      { id: "disk1", path: "/disk1", kind: "file", sizeBytes: 65_536, logicalBlockSize: 512 },
    ]);
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      this.etcd.passTime(Math.min(left, 100));
      await this.clock.pass(Math.min(left, 100));
    }
  }

  write(success: readonly StoreOp[]): number {
    return this.etcd.memory.txn({ compares: [], success, failure: [] }).revision;
  }

  join(slot: number, node: string): PeerSession {
    const member = encodeMember({ node, boot: "b", life: "l", address: "", protocol: 1 });
    const put = (key: string, value: string): StoreOp => ({ type: "put", key, value, lease: null });
    const epoch = this.write([put(keys.member(slot), member), put(keys.slot(slot), "live")]);
    return { kind: "node", uuid: UUID, slot, epoch };
  }

  vanish(slot: number): number {
    return this.write([{ type: "delete", key: keys.member(slot) }]);
  }

  get life(): number {
    return this.etcd.memory.map.get(boards.board("board2"))?.createRevision ?? 0;
  }

  fence(slot: number): number {
    return Number(this.etcd.memory.map.get(keys.fence("board2", slot))?.value ?? 0);
  }

  /** A connection of `peer` asks; what comes of it in some seconds. */
  async ask(session: PeerSession, peer: string): Promise<ConnectionDirectory & { name: string }> {
    this.#handles += 1;
    const handle = `${peer}.boot.main.${this.#handles}`;
    const fields = { disk: "disk1", mode: "write", session, life: this.life, handle } as const;
    const name = encodeMemberName({ ...fields, connection: 0 });
    const directory = this.exporter.makeDirectory();
    directory.secured({ name: peer, serial: `${peer}-1` });
    directory.find(name);
    for (let tries = 0; tries < 80 && directory.isComing(name); tries += 1) await this.pass(100);
    return Object.assign(directory, { name });
  }
}

const errnoOf = (directory: ConnectionDirectory & { name: string }): Promise<number> =>
  new Promise((resolve) => {
    const entry = directory.find(directory.name);
    if (entry === null) throw new Error(directory.refusal?.(directory.name)?.text);
    entry.backend.write([new Uint8Array(512)], 0, false, resolve);
  });

test("a session that was fenced before the board lived is not served, however old its sight is", async () => {
  const before = new Bench(1);
  const session = before.join(1, "board1");
  const bench = new Bench(1, { etcd: before.etcd, isBlind: true });
  bench.vanish(1);
  bench.exporter.start();
  await bench.pass(3000);
  assert.is(bench.state?.isOpen, true);
  const asked = await bench.ask(session, "board1");
  assert.is(asked.refusal?.(asked.name)?.text, "fenced: the session is over");
  assert.ok(bench.fence(1) >= session.epoch);
  await bench.exporter.close();
});

test("who watches the boards has seen all of before when one says that a session is over", async () => {
  const bench = new Bench(1);
  const session = bench.join(1, "board1");
  bench.exporter.start();
  await bench.pass(2000);
  bench.vanish(1);
  for (let tries = 0; tries < 30 && bench.fence(1) < session.epoch; tries += 1)
    await bench.pass(20);
  const revisionOf = (key: string) => bench.etcd.memory.map.get(key)?.modRevision ?? 0;
  const said = revisionOf(keys.fence("board2", 1));
  assert.ok(said > session.epoch);
  assert.is(revisionOf(boards.heartbeat("board2")), said, "it beats with the same transaction");
  await bench.exporter.close();
});

test("a session that the watch does not tell of is read of", async () => {
  const bench = new Bench(2);
  bench.exporter.start();
  await bench.pass(2000);
  bench.etcd.faults = { ...NO_FAULTS, oldList: 1, brokenWatch: 1 };
  const asked = await bench.ask(bench.join(1, "board1"), "board1");
  assert.is(await errnoOf(asked), 0);
  await bench.exporter.close();
});

test("while the store is away requests wait, and nobody who was served is let go", async () => {
  const bench = new Bench(3);
  bench.exporter.start();
  await bench.pass(2000);
  const asked = await bench.ask(bench.join(1, "board1"), "board1");
  bench.etcd.isAway = true;
  await bench.pass(4000);
  assert.is(await errnoOf(asked), 0);
  await bench.pass(2200);
  let errno: number | null = null;
  void errnoOf(asked).then((told) => {
    errno = told;
  });
  await bench.pass(100);
  assert.is(errno, null);
  assert.is(bench.state?.isOpen, false);
  bench.etcd.isAway = false;
  await bench.pass(2000);
  assert.is(errno, 0);
  await bench.exporter.close();
});

test("whatever the store does, who vanishes is acknowledged, and never served again", async () => {
  await withSeeds({ fixed: [1, 2, 3], more: 12 }, async (prng, seed) => {
    const bench = new Bench(seed);
    bench.exporter.start();
    const faults = {
      ...NO_FAULTS,
      lostTxn: 4,
      oldList: 3,
      brokenWatch: 6,
      coalesced: 3,
      repeated: 4,
    };
    bench.etcd.faults = { ...faults, endedLease: prng.chance(1, 2) ? 40 : 0 };
    for (let round = 0; round < 4; round += 1) {
      const session = bench.join(1, "board1");
      const asked = await bench.ask(session, "board1");
      bench.vanish(1);
      await bench.pass(500);
      const again = await bench.ask(session, "board1");
      if (bench.fence(1) >= session.epoch) {
        assert.is(again.find(again.name), null, "asked for after its end was acknowledged");
        assert.is(asked.find(asked.name), null, "served after its end was acknowledged");
      }
      for (const one of [asked, again]) one.ended();
    }
    bench.etcd.faults = NO_FAULTS;
    await bench.pass(60_000);
    assert.ok(bench.fence(1) > 0 && bench.state?.isOpen === true);
    assert.equal(bench.state?.unacknowledged, []);
    await bench.exporter.close();
  });
});

test.run();

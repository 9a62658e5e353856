/** Disks of this board that were away, and their array's peers: what comes back by itself. */
import { truncateSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isLeftAlone } from "../../../src/control/member-returns.ts";
import { FAILED_BEFORE } from "../../../src/raid/fault-reason-status.ts";
import { createOrder } from "../../helpers/array-values.ts";
import { clusterView } from "../../helpers/cluster-values.ts";
import { type ControlBench, MIB, openBench } from "../../helpers/control-bench.ts";
import type { FakeArray } from "../../helpers/fake-array.ts";
import { FakeEngine } from "../../helpers/fake-engine.ts";
import { fakeMember } from "../../helpers/fake-status.ts";
import { FakePeers } from "../../helpers/peer-values.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("control/member-returns");

const DEVICE = "00112233-4455-6677-8899-aabbccddeeff";

test("a member that an administrator put aside is left alone", () => {
  const aside = [DEVICE.replaceAll("-", "")];
  assert.ok(isLeftAlone({ deviceUuid: DEVICE, events: 5 }, { aside, forced: null }));
  assert.not(isLeftAlone({ deviceUuid: DEVICE, events: 5 }, { aside: [], forced: null }));
  assert.ok(isLeftAlone({ deviceUuid: "?", events: 5 }, { aside: [], forced: null }));
});

test("so is a copy that went on before the array was started by force without it", () => {
  const forced = { from: 10, to: 20 };
  const isLeft = (events: number): boolean =>
    isLeftAlone({ deviceUuid: DEVICE, events }, { aside: [], forced });
  assert.equal([10, 11, 19, 20].map(isLeft), [false, true, true, false]);
});

/** The clustered array md0 runs on disk1, disk2 failed before this board joined. */
const openBoard = async (
  folder: string,
  faultReason: string | null = FAILED_BEFORE,
): Promise<ControlBench & { readonly array: FakeArray; readonly disk2: string }> => {
  const engine = new FakeEngine();
  engine.peers = new FakePeers();
  const bench = await openBench({ folder, engine, images: ["disk1", "disk2"] });
  const job = await bench.control.arrayCommands.create(
    createOrder({ bitmap: "clustered", nodes: 4 }),
    "test",
  );
  await bench.control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
  const { uuid } = bench.control.arrays.find("md0").record;
  const array = bench.engine.arrays.get(uuid);
  assert.ok(array !== undefined);
  const [first, second] = [bench.image("disk1"), bench.image("disk2")];
  array.view = clusterView();
  const peers = { phase: "entered", nodes: [], awaited: null, damaged: [] } as const;
  const lost = { ...fakeMember(second, 1, ["faulty"]), faultReason };
  const members = [fakeMember(first, 0, ["in_sync"]), lost];
  array.show({ members, peers });
  engine.hold(second, { md: engine.superblock(array.status, second) });
  await bench.control.devices.read(second);
  return Object.assign(bench, { array, disk2: second });
};

/** A round, and the array's states after it. */
const look = async ({ control, clock, array }: ControlBench & { readonly array: FakeArray }) => {
  clock.now += 1000;
  await control.returns.tick();
  return array.status.members.map(({ states }) => states.join("+"));
};

const told = ({ control }: ControlBench): readonly string[] =>
  control.events
    .page({ order: "asc", from: null, limit: 9, types: ["member.returned"], subject: null })
    .map(({ message }) => message);

test(
  "a disk that was away is re-added, and its return is told with what was copied",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    assert.equal(await look(bench), ["in_sync", "faulty", "in_sync"]);
    const details = {
      action: "recover",
      outcome: "done",
      copied_bytes: 2 ** 20,
      skipped_bytes: 2 ** 30,
    };
    bench.array.happen({ type: "sync.finished", details });
    const message = `${bench.disk2} is back in array md0: 1.0 MiB copied, 1024.0 MiB skipped`;
    assert.equal(told(bench), [message]);
  }),
);

test(
  "a rebuild that another board has made is told with what the bitmaps marked",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    await look(bench);
    const details = { path: bench.disk2, marked_bytes: 3 * 2 ** 20, member_bytes: 8 * 2 ** 20 };
    bench.array.happen({ type: "member.readded", details });
    const [first, second] = bench.array.status.members;
    assert.ok(first !== undefined && second !== undefined);
    bench.array.show({ members: [first, { ...second, states: ["in_sync"] }] });
    await look(bench);
    const bytes = "about 3.0 MiB copied, 5.0 MiB skipped";
    assert.equal(told(bench), [
      `${bench.disk2} is back in array md0: another board has rebuilt it, ${bytes}`,
    ]);
  }),
);

test(
  "a disk whose bitmaps do not tell enough is copied whole, and its return says why",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    bench.array.refusesReAdd = "bits were cleared since it left";
    await look(bench);
    const details = { action: "recover", outcome: "done", copied_bytes: 2 ** 23, skipped_bytes: 0 };
    bench.array.happen({ type: "sync.finished", details });
    assert.equal(told(bench), [
      `${bench.disk2} is back in array md0: 8.0 MiB copied, 0.0 MiB skipped (bits were cleared since it left)`,
    ]);
  }),
);

test(
  "a disk that was cut comes back by itself with its size, and is copied whole",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder, null);
    const { control, array, disk2, engine } = bench;
    const [first, second] = array.status.members;
    assert.ok(first !== undefined && second !== undefined);
    array.show({ members: [first, { ...second, states: ["in_sync"] }] });
    const held = engine.contents.get(disk2);
    assert.ok(held !== undefined);
    truncateSync(disk2, MIB);
    await control.monitor.tick();
    // What does not hold all of the member tells of none.
    engine.hold(disk2, { signatures: ["damaged md superblock"] });
    assert.equal(await look(bench), ["in_sync", "faulty"]);
    truncateSync(disk2, 8 * MIB);
    engine.hold(disk2, held);
    await control.monitor.tick();
    bench.clock.now += 1000;
    assert.equal(await look(bench), ["in_sync", "faulty", "spare+rebuilding"]);
    const details = { action: "recover", outcome: "done", copied_bytes: 2 ** 23, skipped_bytes: 0 };
    array.happen({ type: "sync.finished", details });
    assert.equal(told(bench), [
      `${disk2} is back in array md0: 8.0 MiB copied, 0.0 MiB skipped (it was cut from ${8 * MIB} to ${MIB} bytes)`,
    ]);
  }),
);

test(
  "a disk that fails requests, or was put aside, is left to people; so is all without peers",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder, "write error at 4096");
    assert.equal(await look(bench), ["in_sync", "faulty"]);
    const [first, second] = bench.array.status.members;
    assert.ok(first !== undefined && second !== undefined);
    bench.array.show({ members: [first, { ...second, faultReason: FAILED_BEFORE }] });
    const deviceUuid = bench.engine.superblock(bench.array.status, bench.disk2).deviceUuid;
    bench.array.view = clusterView({ aside: [deviceUuid.replaceAll(/[-:]/g, "")] });
    assert.equal(await look(bench), ["in_sync", "faulty"]);
    bench.array.view = clusterView();
    bench.engine.peers = null;
    bench.clock.now += 60_000;
    assert.equal(await look(bench), ["in_sync", "faulty"]);
  }),
);

test(
  "requests of a connection that ended may still reach the disk: it waits for them",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const peers = bench.engine.peers as FakePeers;
    peers.open = { ...peers.open, draining: ["disk2"] };
    assert.equal(await look(bench), ["in_sync", "faulty"]);
    peers.open = { ...peers.open, draining: [] };
    assert.equal(await look(bench), ["in_sync", "faulty", "in_sync"]);
  }),
);

test(
  "a disk that fails again each time it is back is left alone for a while",
  inFolder(async (folder) => {
    await using bench = await openBoard(folder);
    const lost = bench.array.status.members;
    for (let times = 0; times < 3; times++) {
      await look(bench);
      assert.is(bench.array.status.members.length, 3);
      bench.array.show({ members: lost });
      await look(bench);
      bench.clock.now += 30_000;
    }
    assert.equal(await look(bench), ["in_sync", "faulty"]);
    bench.clock.now += 600_000;
    assert.equal(await look(bench), ["in_sync", "faulty", "in_sync"]);
  }),
);

test.run();

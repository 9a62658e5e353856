/** A disk that lost content: which member may not be trusted, on its board and on the others. */
import { truncateSync, utimesSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decodeBoard, encodeBoard } from "../../../src/cluster/store/board-record.ts";
import { withMember, withSize } from "../../../src/control/lost-content.ts";
import { withPeers } from "../../../src/control/peer-device-files.ts";
import { PeerService } from "../../../src/control/peer-service.ts";
import { linuxDeviceFiles } from "../../../src/hal/linux/device-files.ts";
import { createOrder } from "../../helpers/array-values.ts";
import { type ControlBench, MIB, openBench } from "../../helpers/control-bench.ts";
import { FakeEngine } from "../../helpers/fake-engine.ts";
import { fakeMember } from "../../helpers/fake-status.ts";
import { DISK, FakePeers, peerBoard } from "../../helpers/peer-values.ts";
import { inFolder } from "../../helpers/temporary-folder.ts";

const test = suite("control/lost-content");

const OLD = "00000000-0000-0000-0000-000000000001";
const NEW = "00000000-0000-0000-0000-0000000000bb";
const CUT = `it was cut from ${8 * MIB} to ${MIB} bytes`;
const PEER = "peer:board2/disk1";

test("a loss is of one member, however its UUID is written, and over when another one is there", () => {
  const whole = { lostContent: null, lostMember: null, file: { identity: "f", sizeBytes: 9 } };
  assert.is(withSize(whole, { identity: "f", sizeBytes: 9 }, OLD), null);
  const cut = withSize(
    whole,
    { identity: "f", sizeBytes: 5 },
    "00000000:00000000:00000000:00000001",
  );
  assert.is(cut?.lostContent, "it was cut from 9 to 5 bytes");
  assert.ok(cut !== null);
  const back = withSize(cut, { identity: "f", sizeBytes: 9 }, OLD);
  assert.is(back?.lostContent, cut.lostContent, "its size tells nothing of what it holds");
  assert.equal(
    [withMember(cut, OLD), withMember(cut, null), withMember(cut, "")],
    [null, null, null],
  );
  assert.is(withMember(cut, NEW)?.lostContent, null);
});

test("where nobody could tell which member was cut, it is the first one that is read", () => {
  const known = { lostContent: CUT, lostMember: null, file: null };
  const read = withMember(known, OLD);
  assert.is(read?.lostContent, CUT);
  assert.ok(read !== null);
  assert.is(withMember(read, OLD), null);
  assert.is(withMember(read, NEW)?.lostContent, null);
});

/** Cuts the disk while a running array has it open, and gives it its size back. */
const cutAndBack = async ({ control, image }: ControlBench): Promise<void> => {
  truncateSync(image("disk2"), MIB);
  await control.monitor.tick();
  truncateSync(image("disk2"), 8 * MIB);
  await control.monitor.tick();
};

const openArray = async (folder: string): Promise<ControlBench> => {
  const engine = new FakeEngine();
  const peers = new FakePeers();
  engine.peers = peers;
  const bench = await openBench({ folder, engine, images: ["disk1", "disk2"] });
  const job = await bench.control.arrayCommands.create(
    createOrder({ bitmap: "clustered", nodes: 4 }),
    "test",
  );
  await bench.control.jobs.waitFor(job.id, AbortSignal.timeout(5000));
  return bench;
};

const lossOf = ({ control }: ControlBench): string | null =>
  control.devices.find("disk2").record.lostContent;

test(
  "a board tells the others of its disk's loss, until the disk was added by whichever board",
  inFolder(async (folder) => {
    await using bench = await openArray(folder);
    const { control, engine } = bench;
    await cutAndBack(bench);
    const { devices } = control;
    await new PeerService({ engine, devices, refused: () => [] }).tick();
    const told = (engine.peers as FakePeers).served.find(({ id }) => id === "disk2");
    assert.is(told?.lostContent, CUT);
    const array = engine.array("md0");
    const [first] = array.status.members;
    assert.ok(first !== undefined);
    array.show({ members: [first] });
    assert.is(lossOf(bench), CUT, "that it was removed has copied nothing");
    const added = { ...fakeMember(bench.image("disk2"), 1, ["spare", "rebuilding"]) };
    array.show({ members: [first, { ...added, deviceUuid: NEW }] });
    assert.is(lossOf(bench), null);
    assert.is(bench.control.devices.find("disk2").record.lostMember, null);
  }),
);

test(
  "a member that comes back as the one that was cut is never trusted, over restarts",
  inFolder(async (folder) => {
    const bench = await openArray(folder);
    await cutAndBack(bench);
    const array = bench.engine.array("md0");
    const [first, second] = array.status.members;
    assert.ok(first !== undefined && second !== undefined);
    array.show({ members: [first, { ...second, states: ["in_sync"] }] });
    assert.is(lossOf(bench), CUT);
    await bench.kill();
    const { engine } = bench;
    const md = engine.superblock(array.status, bench.image("disk2"));
    await using again = await openBench({ folder, engine });
    assert.is(lossOf(again), CUT);
    engine.hold(again.image("disk2"), { md: { ...md, deviceUuid: NEW } });
    utimesSync(again.image("disk2"), 1, 1);
    await again.control.devices.read(again.image("disk2"));
    assert.is(lossOf(again), null, "another board has added it while no array ran here");
  }),
);

test(
  "of a peer's disk a board knows what its board tells, and keeps nothing itself",
  inFolder(async (folder) => {
    const engine = new FakeEngine();
    const peers = new FakePeers();
    engine.peers = peers;
    const tell = (disk: Partial<typeof DISK & { lostContent: string }>): void => {
      const board = peerBoard("board2", {
        disks: [{ ...DISK, sizeBytes: 8 * MIB, ...disk } as never],
      });
      peers.live = [JSON.parse(JSON.stringify(board))];
    };
    tell({});
    const files = withPeers(linuxDeviceFiles, peers);
    await using bench = await openBench({ folder, engine, files });
    const loss = () => bench.control.devices.find(PEER).record.lostContent;
    tell({ sizeBytes: MIB as never });
    await bench.control.monitor.tick();
    tell({});
    await bench.control.monitor.tick();
    assert.is(loss(), null, "its board has seen no loss");
    tell({ lostContent: CUT });
    assert.is(loss(), CUT);
    const { reasons } = bench.control.devices.find(PEER);
    assert.ok(reasons.some(({ code }) => code === "content-lost"));
    tell({});
    assert.is(loss(), null);
  }),
);

test("a board's record carries what its disks lost, and nothing odd", () => {
  const disk = { ...DISK, lostContent: CUT };
  const record = {
    ...{ name: "a", boot: "b", address: "c", api: "", version: "1", reaches: [] },
    disks: [{ ...disk, path: "/secret" }, DISK],
  };
  assert.equal(decodeBoard(encodeBoard(record)).disks, [disk, DISK]);
  const odd = JSON.stringify({ ...record, disks: [{ ...DISK, lostContent: 7 }] });
  assert.throws(() => decodeBoard(odd), /no board of a cluster/);
});

test.run();

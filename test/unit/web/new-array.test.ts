import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceResource, DeviceStateWord } from "../../../src/api/schemas/device.ts";
import { type Board, boardOf } from "../../../web/src/board/board.ts";
import {
  freeName,
  proposedDevices,
  sharingOf,
  usableDevices,
} from "../../../web/src/board/new-array.ts";
import { arraySample, deviceSample, systemSample } from "../../helpers/panel-samples.ts";

const test = suite("new-array");

const GIB = 2 ** 30;

const device = (
  id: string,
  node = "board",
  size = GIB,
  state: DeviceStateWord = "free",
): DeviceResource => {
  const sample = deviceSample(id, state);
  return { ...sample, status: { ...sample.status, node, size } };
};

const boardWith = (...devices: DeviceResource[]): Board =>
  boardOf({ system: systemSample(), arrays: [], devices, exports: [], jobs: [], events: [] });

test("a shared array gets a copy on two boards, this one's first", () => {
  const board = boardWith(
    device("board2.disk1", "board2"),
    device("board2.disk2", "board2", 4 * GIB),
    device("disk1"),
    device("disk2", "board", 2 * GIB),
  );
  assert.equal(proposedDevices(board, true), ["disk2", "board2.disk2"]);
  assert.equal(sharingOf(board, true), { bitmap: "clustered" });
});

test("where this board has nothing free, two others' devices are proposed", () => {
  const used = device("disk1", "board", GIB, "in-use");
  const others = [device("board2.disk1", "board2"), device("board3.disk1", "board3")];
  const board = boardWith(used, ...others);
  assert.equal(proposedDevices(board, true), ["board2.disk1", "board3.disk1"]);
  assert.equal(proposedDevices(boardWith(used, device("disk2"), device("disk3")), true), [
    "disk2",
    "disk3",
  ]);
});

test("two devices of one board are no proposal where boards have their own", () => {
  const board = boardWith(
    device("disk1"),
    device("disk2"),
    device("board2.disk1", "board2", GIB, "in-use"),
  );
  assert.equal(proposedDevices(board, true), []);
});

test("an array for this board alone has none of other boards' devices", () => {
  const board = boardWith(device("board2.spare1", "board2"), device("disk1"), device("spare1"));
  const idsOf = (isShared: boolean): string[] => usableDevices(board, isShared).map(({ id }) => id);
  assert.equal(idsOf(false), ["disk1", "spare1"]);
  assert.equal(idsOf(true), ["disk1", "spare1", "board2.spare1"]);
  assert.equal(proposedDevices(board, false), ["disk1", "spare1"]);
  assert.equal(sharingOf(board, false), {});
});

test("a shared array has a bitmap for each of many boards", () => {
  const others = [1, 2, 3, 4, 5].map((number) => device(`b${number}.disk1`, `b${number}`));
  assert.equal(sharingOf(boardWith(device("disk1"), ...others), true), {
    bitmap: "clustered",
    nodes: 6,
  });
});

test("a name that an array on another board has is not proposed", () => {
  const board = boardWith(deviceSample("board2.disk1", "foreign", "a"));
  assert.is(freeName({ ...board, arrays: new Map([["b", arraySample("md1")]]) }), "md2");
});

test.run();

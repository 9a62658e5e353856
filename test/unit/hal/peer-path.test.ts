/** Disks of other boards as device paths. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parsePeerPath, peerDeviceId, peerPath } from "../../../src/hal/peer-path.ts";

const test = suite("hal/peer-path");

test("a path names the board and the disk, and is read back", () => {
  const disk = { board: "board-2.lan", disk: "disk_1.a" };
  assert.is(peerPath(disk), "peer:board-2.lan/disk_1.a");
  assert.equal(parsePeerPath(peerPath(disk)), disk);
  assert.is(peerDeviceId(disk), "board-2.lan.disk_1.a");
});

test("paths of files, and what no board could be named, are none", () => {
  const others = ["/dev/sda", "peer:b", "peer:/d", "peer:b/d/e", "peer:b/../d", "peer:-b/d", "b/d"];
  for (const path of others) assert.is(parsePeerPath(path), null, path);
});

test.run();

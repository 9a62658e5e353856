/** Superblocks that the kernel and mdadm wrote, byte for byte through the codec and back. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  decodeBitmapSuperblock,
  encodeBitmapSuperblock,
} from "../../../src/raid/bitmap-superblock.ts";
import { decodeSuperblock, encodeSuperblock } from "../../../src/raid/superblock.ts";
import { uuidToMdadmText } from "../../../src/raid/uuid.ts";
import { goldenNames, goldenPath, readHexRows } from "../../helpers/golden-bytes.ts";

const test = suite("golden md superblocks");

for (const name of goldenNames("md-superblock", ".hex")) {
  test(`${name} decodes, and encodes to the same bytes`, () => {
    const bytes = readHexRows(goldenPath("md-superblock", name), 512);
    const decoded = decodeSuperblock(bytes, 8);
    assert.ok(decoded.ok, JSON.stringify(decoded));
    if (decoded.ok) assert.equal(encodeSuperblock(decoded.value), bytes);
  });
}

for (const name of goldenNames("md-bitmap", ".hex")) {
  test(`${name} decodes, and encodes to the same bytes`, () => {
    const bytes = readHexRows(goldenPath("md-bitmap", name), 256);
    const decoded = decodeBitmapSuperblock(bytes);
    assert.ok(decoded.ok, JSON.stringify(decoded));
    if (decoded.ok) assert.equal(encodeBitmapSuperblock(decoded.value), bytes);
  });
}

test("a superblock of a stopped array has the fields that mdadm shows of it", () => {
  const path = goldenPath("md-superblock", "r1-internal-stopped.hex");
  const decoded = decodeSuperblock(readHexRows(path, 512), 8);
  assert.ok(decoded.ok);
  if (!decoded.ok) return;
  const sb = decoded.value;
  assert.is(uuidToMdadmText(sb.setUuid), "00112233:44556677:8899aabb:ccddeeff");
  assert.is(uuidToMdadmText(sb.deviceUuid), "3fe2a46b:883c95e3:05585443:f07d0e50");
  assert.is(sb.size, 612352);
  assert.is(sb.dataOffset, 2048);
  assert.is(sb.events, 40);
  assert.is(sb.resyncOffset, "none");
  assert.equal([sb.bblogSize, sb.bblogOffset, sb.bitmapOffset], [8, 16, 8]);
  assert.equal([...sb.devRoles.slice(0, 3)], [0, 1, 0xffff]);
});

test("a superblock of a new clustered array is dirty and has no bad-block log", () => {
  const path = goldenPath("md-superblock", "r1-clustered-created.hex");
  const decoded = decodeSuperblock(readHexRows(path, 512), 8);
  assert.ok(decoded.ok);
  if (!decoded.ok) return;
  assert.is(decoded.value.featureMap, 0x101);
  assert.is(decoded.value.resyncOffset, 0);
  assert.equal([decoded.value.bblogSize, decoded.value.bblogOffset], [0, 0]);
  assert.is(decoded.value.devNumber, 1);
});

test.run();

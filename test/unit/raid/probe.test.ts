import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  bitmapPosition,
  memberProbeRanges,
  type ProbedMember,
  probeMember,
} from "../../../src/raid/probe.ts";
import { encodeSuperblock } from "../../../src/raid/superblock.ts";
import { memberWith, SparseMember, sampleSuperblock } from "../../helpers/md-samples.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("raid/probe");

const DEVICE_BYTES = 131072 * 512;

function probe(member: SparseMember): ProbedMember {
  return probeMember(member.read, member.sizeBytes);
}

const at10 = (ctime: number) =>
  sampleSuperblock({
    superOffset: 131056,
    dataOffset: 0,
    bitmapOffset: -16,
    ctime: { seconds: ctime, microseconds: 0 },
  });

test("finds 1.0, 1.1 and 1.2 at their positions", () => {
  const positions = [
    [0, at10(1)],
    [1, sampleSuperblock({ superOffset: 0 })],
    [2, sampleSuperblock()],
  ] as const;
  for (const [minor, sb] of positions) {
    const { superblock } = probe(memberWith(sb));
    assert.is(superblock?.minor, minor);
    assert.is(superblock?.problem, null);
    assert.equal(superblock?.parsed?.value, sb);
  }
});

test("of several superblocks the one created last counts", () => {
  const older = sampleSuperblock({ ctime: { seconds: 5, microseconds: 0 } });
  const member = memberWith(older).write(131056 * 512, encodeSuperblock(at10(6)));
  assert.is(probe(member).superblock?.minor, 0);
  assert.is(probe(member).allSuperblocks.length, 2);
  const newer = memberWith(older).write(131056 * 512, encodeSuperblock(at10(4)));
  assert.is(probe(newer).superblock?.minor, 2);
});

test("a good superblock counts before a damaged one that is newer", () => {
  const damaged = encodeSuperblock(at10(2_000_000_000));
  damaged[40] = 0x41;
  const member = memberWith(sampleSuperblock()).write(131056 * 512, damaged);
  assert.is(probe(member).superblock?.minor, 2);
  assert.is(probe(member).allSuperblocks[0]?.problem, "checksum");
});

test("a damaged superblock alone is reported, not overlooked", () => {
  const bytes = encodeSuperblock(sampleSuperblock());
  bytes[200] = 0xff;
  const found = probe(new SparseMember(DEVICE_BYTES).write(4096, bytes)).superblock;
  assert.is(found?.problem, "checksum");
  assert.ok(found?.parsed);
});

test("a superblock for more data than the member has is told as such", () => {
  const { superblock } = probe(memberWith(sampleSuperblock(), 100_000));
  assert.is(superblock?.problem, "device-too-small");
});

test("a member without anything has nothing", () => {
  const found = probe(new SparseMember(DEVICE_BYTES));
  assert.equal([found.superblock, found.superblock090, found.foreign], [null, null, []]);
  assert.is(found.unreadable, false);
});

test("unreadable ranges are told apart from absent superblocks", () => {
  const found = probeMember((offset) => (offset === 4096 ? null : new Uint8Array(4096)), 1 << 26);
  assert.is(found.superblock, null);
  assert.is(found.unreadable, true);
});

test("members of any size are probed within their bounds", () => {
  for (const sizeBytes of [0, 1, 511, 512, 4096, 24 * 512 - 1, 24 * 512, 65536, 131072, 2 ** 44]) {
    const outside: string[] = [];
    const read = (offset: number, length: number): Uint8Array => {
      if (offset < 0 || length < 0 || offset + length > sizeBytes) outside.push(`${offset}`);
      return new Uint8Array(Math.max(0, length));
    };
    probeMember(read, sizeBytes);
    assert.equal(outside, [], `${sizeBytes} bytes`);
  }
});

test("reads only the ranges it announces", () => {
  const announced = new Set(memberProbeRanges(DEVICE_BYTES).map((r) => `${r.offset}:${r.length}`));
  probeMember((offset, length) => {
    assert.ok(announced.has(`${offset}:${length}`), `${offset}:${length}`);
    return new Uint8Array(length);
  }, DEVICE_BYTES);
});

test("DDF and Intel metadata at the end are named", () => {
  const ddf = new SparseMember(DEVICE_BYTES);
  ddf.write(DEVICE_BYTES - 512, Uint8Array.from([0xde, 0x11, 0xde, 0x11]));
  assert.equal(probe(ddf).foreign, ["ddf"]);
  const imsm = new SparseMember(DEVICE_BYTES);
  imsm.write(DEVICE_BYTES - 1024, new TextEncoder().encode("Intel Raid ISM Cfg Sig. 1.3.00"));
  assert.equal(probe(imsm).foreign, ["imsm"]);
});

test("the bitmap lies where the superblock says, if it says", () => {
  assert.is(bitmapPosition(sampleSuperblock()), 8192);
  assert.is(bitmapPosition(at10(1)), 131040 * 512);
  assert.is(bitmapPosition(sampleSuperblock({ featureMap: 0 })), null);
  assert.is(bitmapPosition(sampleSuperblock({ bitmapOffset: 0 })), null);
  assert.is(bitmapPosition(sampleSuperblock({ bitmapOffset: -9 })), null);
});

test("random members never throw", async () => {
  await withSeeds({ fixed: [1], more: 1 }, (prng) => {
    for (let round = 0; round < 100; round += 1) {
      const sizeBytes = prng.below(1 << 20);
      probeMember((_, length) => {
        if (prng.chance(1, 10)) return null;
        const bytes = prng.bytes(prng.chance(1, 10) ? prng.below(length + 1) : length);
        if (bytes.length >= 8) bytes.set([0xfc, 0x4e, 0x2b, 0xa9, prng.below(2), 0, 0, 0]);
        return bytes;
      }, sizeBytes);
    }
  });
});

test.run();

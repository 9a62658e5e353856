import { suite } from "uvu";
import * as assert from "uvu/assert";
import { detectSignatures, signatureRanges } from "../../../src/raid/signatures.ts";
import { SparseMember } from "../../helpers/md-samples.ts";
import { withSeeds } from "../../helpers/seed.ts";

const test = suite("raid/signatures");

const SIZE = 8 * 1024 * 1024;

function namesOf(...pieces: readonly (readonly [number, string | readonly number[]])[]): string {
  const member = new SparseMember(SIZE);
  for (const [offset, piece] of pieces) {
    const bytes = typeof piece === "string" ? Buffer.from(piece, "latin1") : Uint8Array.from(piece);
    member.write(offset, bytes);
  }
  return detectSignatures(member.read, SIZE)
    .map(({ name }) => name)
    .join(" ");
}

const KIB = 1024;
const EXT: readonly (readonly [string, readonly [number, readonly number[]][]])[] = [
  ["ext2", [[KIB + 0x38, [0x53, 0xef]]]],
  [
    "ext3",
    [
      [KIB + 0x38, [0x53, 0xef]],
      [KIB + 0x5c, [0x3c]],
    ],
  ],
  [
    "ext4",
    [
      [KIB + 0x38, [0x53, 0xef]],
      [KIB + 0x5c, [0x3c]],
      [KIB + 0x60, [0xc2, 0x02]],
    ],
  ],
];

for (const [name, pieces] of EXT) {
  test(`finds ${name}`, () => assert.is(namesOf(...pieces), name));
}

const FOUND: readonly (readonly [string, number, string])[] = [
  ["xfs", 0, "XFSB"],
  ["btrfs", 64 * KIB + 64, "_BHRfS_M"],
  ["f2fs", KIB, "\x10\x20\xf5\xf2"],
  ["ntfs", 3, "NTFS    "],
  ["exfat", 3, "EXFAT   "],
  ["vfat", 82, "FAT32   "],
  ["gfs2", 64 * KIB, "\x01\x16\x19\x70"],
  ["ocfs2", 8 * KIB, "OCFSV2"],
  ["lvm2", 512 + 24, "LVM2 001"],
  ["luks", 0, "LUKS\xba\xbe"],
  ["swap", 4 * KIB - 10, "SWAPSPACE2"],
  ["gpt", 512, "EFI PART"],
  ["gpt", SIZE - 512, "EFI PART"],
  ["drbd", SIZE - 4 * KIB + 60, "\x83\x74\x02\x6b"],
  ["drbd", SIZE - 4 * KIB + 60, "\x83\x74\x02\x6c"],
  ["drbd", SIZE - 4 * KIB + 60, "\x83\x74\x02\x6d"],
  ["zfs_member", 128 * KIB + 4 * KIB, "\x0c\xb1\xba\x00"],
  ["iso9660", 32 * KIB + 1, "CD001"],
];

for (const [name, offset, magic] of FOUND) {
  test(`finds ${name} at ${offset}`, () => assert.is(namesOf([offset, magic]), name));
}

const ENTRY = [0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0];

test("finds a DOS partition table by an entry that makes sense", () => {
  const label = [510, [0x55, 0xaa]] as const;
  assert.is(namesOf(label, [446, ENTRY]), "dos");
  assert.is(namesOf(label), "");
  assert.is(namesOf([446, ENTRY]), "");
  assert.is(namesOf(label, [446, [0x33, ...ENTRY.slice(1)]]), "");
});

test("a FAT boot sector is no partition table", () => {
  assert.is(namesOf([510, [0x55, 0xaa]], [446, ENTRY], [82, "FAT32   "]), "vfat");
});

test("a protective label beside a GPT is not told twice", () => {
  assert.is(namesOf([510, [0x55, 0xaa]], [446, ENTRY], [512, "EFI PART"]), "gpt");
});

test("an empty member holds nothing", () => assert.is(namesOf(), ""));

test("members of any size are looked at within their bounds", () => {
  for (const size of [0, 1, 511, 4095, 4096, 72 * KIB, 256 * KIB - 1, 256 * KIB, 2 ** 44]) {
    for (const { offset, length } of signatureRanges(size)) {
      assert.ok(offset >= 0 && length > 0 && offset + length <= size, `${size}: ${offset}`);
    }
    detectSignatures((_, length) => new Uint8Array(length), size);
  }
});

test("random and short contents never throw", async () => {
  await withSeeds({ fixed: [1], more: 1 }, (prng) => {
    for (let round = 0; round < 20; round += 1) {
      detectSignatures(
        (_, length) => (prng.chance(1, 5) ? null : prng.bytes(prng.below(length + 1))),
        prng.below(SIZE),
      );
    }
  });
});

test.run();

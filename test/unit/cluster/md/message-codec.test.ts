/**
 * Messages in the value block: the kernel's bytes, what we add, and hostile bytes. Titles in
 * quotes are sentences of the MD Cluster document, with its section.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ClusterMessage } from "../../../../src/cluster/md/md-message.ts";
import { decodeMessage, encodeMessage } from "../../../../src/cluster/md/message-codec.ts";
import { ALL_MESSAGES, blockOf, DEVICE_UUID } from "../../../helpers/md-messages.ts";
import { withSeeds } from "../../../helpers/seed.ts";

const test = suite("cluster/md/message-codec");

/** As the kernel sends it: neither number nor epoch. */
const fromKernel = (slot: number, message: ClusterMessage): Uint8Array =>
  encodeMessage({ seq: 0, origin: { slot, epoch: 0 }, message });

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Bitmap slot, message and bytes; values as real nodes sent them. */
const KERNEL_BLOCKS: readonly (readonly [string, number, ClusterMessage, string])[] = [
  [
    "3.1.1 METADATA_UPDATED: 'informs other nodes that the metadata has been updated'",
    1,
    { type: "metadata-updated", deviceNumber: 0, events: 0 },
    "00000000 01000000",
  ],
  [
    "3.1.2 RESYNCING: 'Each RESYNCING message identifies a range of the devices'",
    0,
    { type: "resyncing", lo: 65_408, hi: 130_944 },
    "01000000 00000000 80ff000000000000 80ff010000000000",
  ],
  [
    "3.1.2 RESYNCING: 'a resync is initiated or ended'; the end is an empty range",
    2,
    { type: "resyncing", lo: 0, hi: 0 },
    "01000000 02000000",
  ],
  [
    "3.1.3 NEWDISK: 'Message contains an identifier for that device'",
    0,
    { type: "newdisk", uuid: DEVICE_UUID, deviceNumber: 2 },
    `02000000 00000000 ${"00".repeat(16)} ${DEVICE_UUID} 02000000`,
  ],
  [
    "3.1.4 REMOVE: 'The slot-number of the device is included in the message' (its number)",
    1,
    { type: "remove", deviceNumber: 1 },
    `03000000 01000000 ${"00".repeat(32)} 01000000`,
  ],
  [
    "3.1.5 RE_ADD: 'A failed device is being re-activated'",
    2,
    { type: "re-add", deviceNumber: 1 },
    `04000000 02000000 ${"00".repeat(32)} 01000000`,
  ],
  [
    "3.1.6 BITMAP_NEEDS_SYNC: 'another node is informed to take the ownership of resync'",
    0,
    { type: "bitmap-needs-sync" },
    "05000000 00000000",
  ],
  ["CHANGE_CAPACITY, which the document does not have", 0, { type: "change-capacity" }, "06000000"],
  [
    "BITMAP_RESIZE, which the document does not have",
    0,
    { type: "bitmap-resize", sectors: 0x95800 },
    "07000000 00000000 0000000000000000 0058090000000000",
  ],
];

for (const [name, bitmapSlot, message, hex] of KERNEL_BLOCKS) {
  test(`${name}: the kernel's bytes`, () => {
    const bytes = fromKernel(bitmapSlot + 1, message);
    assert.is(toHex(bytes), toHex(blockOf(hex)));
    const origin = { slot: bitmapSlot + 1, epoch: 0 };
    assert.equal(decodeMessage(blockOf(hex)), { seq: 0, origin, message });
  });
}

test("sequence number and epoch lie behind the kernel's 48 bytes", () => {
  for (const message of ALL_MESSAGES) {
    const envelope = { seq: 2 ** 40 + 7, origin: { slot: 64, epoch: 4_711 }, message };
    const bytes = encodeMessage(envelope);
    assert.is(bytes.length, 64);
    assert.is(toHex(bytes.subarray(8, 48)), toHex(fromKernel(64, message).subarray(8, 48)));
    assert.is(toHex(bytes.subarray(48)), "07000000000100006712000000000000");
    assert.equal(decodeMessage(bytes), envelope);
  }
});

test("an unknown type is unknown, with its code and its sender", () => {
  for (const code of [8, 9, 0xffff_ffff]) {
    const bytes = encodeMessage({
      seq: 3,
      origin: { slot: 2, epoch: 9 },
      message: { type: "change-capacity" },
    });
    new DataView(bytes.buffer).setUint32(0, code, true);
    const message = { type: "unknown", code };
    assert.equal(decodeMessage(bytes), { seq: 3, origin: { slot: 2, epoch: 9 }, message });
  }
});

/** What nobody can have sent; each would be acted on wrongly if it were believed. */
const MALFORMED: readonly (readonly [string, Uint8Array])[] = [
  ["63 bytes", new Uint8Array(63)],
  ["no bytes", new Uint8Array(0)],
  ["a bitmap slot of 64", blockOf("00000000 40000000")],
  ["a bitmap slot of -1", blockOf("00000000 ffffffff")],
  ["a range that ends before it begins", blockOf("01000000 00000000 0200000000000000 01")],
  ["an empty range elsewhere than at 0", blockOf("01000000 00000000 0200000000000000 02")],
  ["sectors beyond 2^53", blockOf("07000000 00000000 0000000000000000 0000000000002000")],
  ["a number beyond 2^53", blockOf(`${"00".repeat(48)} ffffffffffffffff`)],
  ["an epoch beyond 2^53", blockOf(`${"00".repeat(56)} 0000000000002000`)],
];

for (const [name, bytes] of MALFORMED) {
  test(`malformed: ${name}`, () => {
    const decoded = decodeMessage(bytes);
    assert.ok("type" in decoded && decoded.type === "malformed", JSON.stringify(decoded));
  });
}

test("hostile bytes never throw, and what is a message is the same message once more", async () => {
  let messages = 0;
  await withSeeds({ fixed: [1, 2], more: 1 }, (prng) => {
    for (let round = 0; round < 5000; round += 1) {
      const bytes = prng.bytes(prng.below(80));
      // Mostly zero, so that many get through.
      for (let at = 0; at < bytes.length; at += 1) if (prng.chance(9, 10)) bytes[at] = 0;
      if (bytes.length > 0) bytes[0] = prng.below(10);
      const decoded = decodeMessage(bytes);
      if ("type" in decoded || decoded.message.type === "unknown") continue;
      messages += 1;
      assert.equal(decodeMessage(encodeMessage(decoded)), decoded);
    }
  });
  assert.ok(messages > 100, `${messages} messages`);
});

test.run();

/** Compared with what mdadm 4.2 prints. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { humanChunk, humanSize } from "../../../src/raid/human-size.ts";

const test = suite("raid/human-size");

const SIZES: readonly (readonly [number, string])[] = [
  [0, ""],
  [5000 * 1024 - 512, ""],
  [5000 * 1024, " (4.88 MiB 5.12 MB)"],
  [66060288, " (63.00 MiB 66.06 MB)"],
  [67043328, " (63.94 MiB 67.04 MB)"],
  [2 ** 31, " (2.00 GiB 2.15 GB)"],
  [1099376361472, " (1023.87 GiB 1099.38 GB)"],
];

test("sizes for people", () => {
  for (const [bytes, text] of SIZES) assert.is(humanSize(bytes), text);
});

test("bitmap chunks for people", () => {
  const chunks = [512, 4096, 65536, 67108864, 2 ** 30, 1536];
  assert.equal(chunks.map(humanChunk), ["512 B", "4 KB", "64 KB", "64 MB", "1 GB", "1 KB"]);
});

test.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type TypedCreateOptions, toCreateOptions } from "../../../src/cli/create-options.ts";
import { parseCount, parseSize } from "../../../src/cli/size-syntax.ts";
import { CodedError } from "../../../src/common/errors.ts";

const test = suite("cli/create-options");

function typed(overrides: Partial<TypedCreateOptions> = {}): TypedCreateOptions {
  return {
    level: "raid1",
    raidDevices: "2",
    spareDevices: "0",
    bitmap: "internal",
    metadata: "1.2",
    name: "md0",
    homehost: "lab",
    ...overrides,
  };
}

function codeOf(action: () => unknown): string {
  try {
    action();
    return "fine";
  } catch (error) {
    if (error instanceof CodedError) return error.code;
    throw error;
  }
}

test("sizes have binary suffixes", () => {
  const texts = ["64", "64K", "64k", "1M", "2G", "3T"];
  const bytes = [65536, 65536, 65536, 2 ** 20, 2 ** 31, 3 * 2 ** 40];
  assert.equal(
    texts.map((text) => parseSize(text, "--chunk", 1024)),
    bytes,
  );
  assert.is(parseSize("64", "--offset", 1), 64);
});

test("what is no size is bad usage", () => {
  for (const text of ["", "K", "-1", "1.5M", "64KB", "0x10", "1e3", "9999999999999T"]) {
    assert.is(
      codeOf(() => parseSize(text, "--chunk", 1024)),
      "CLI_BAD_USAGE",
      text,
    );
  }
});

test("counts stay in their bounds", () => {
  assert.is(parseCount("7", "--nodes", 2, 64), 7);
  for (const text of ["1", "65", "", "two", "3.0", "99999999999"]) {
    assert.is(
      codeOf(() => parseCount(text, "--nodes", 2, 64)),
      "CLI_BAD_USAGE",
      text,
    );
  }
});

test("raid10 has mdadm's defaults", () => {
  const options = toCreateOptions(typed({ level: "10", raidDevices: "4" }), 5);
  assert.equal([options.level, options.layout, options.chunkSectors], [10, 0x102, 1024]);
  assert.equal([options.minor, options.createdAt, options.size], [2, 5, null]);
});

test("a UUID may be given, else it is random", () => {
  const uuid = "00112233:44556677:8899aabb:ccddeeff";
  assert.is(toCreateOptions(typed({ uuid }), 0).setUuid[15], 0xff);
  const [a, b] = [toCreateOptions(typed(), 0).setUuid, toCreateOptions(typed(), 0).setUuid];
  assert.not.equal(a, b);
});

const BAD: readonly Partial<TypedCreateOptions>[] = [
  { level: "raid5" },
  { level: "" },
  { metadata: "0.90" },
  { bitmap: "/some/file" },
  { raidDevices: "0" },
  { raidDevices: "two" },
  { spareDevices: "-1" },
  { level: "raid10", layout: "left-symmetric" },
  { layout: "n2" },
  { chunk: "64K" },
  { level: "raid10", chunk: "big" },
  { bitmap: "none", bitmapChunk: "64K" },
  { bitmapChunk: "3K" },
  { bitmapChunk: "5000K" },
  { bitmapChunk: "4G" },
  { nodes: "4" },
  { bitmap: "clustered", nodes: "1" },
  { bitmap: "clustered", nodes: "65" },
  { homeCluster: "lab" },
  { name: "" },
  { name: "x".repeat(32) },
  { uuid: "1234" },
  { size: "0" },
];

for (const bad of BAD) {
  test(`${JSON.stringify(bad)} is bad usage`, () => {
    assert.is(
      codeOf(() => toCreateOptions(typed(bad), 0)),
      "CLI_BAD_USAGE",
    );
  });
}

test.run();

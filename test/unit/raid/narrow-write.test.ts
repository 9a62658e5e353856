/** The second try of a write that failed: page by page, what failed again is told. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MemoryDevice } from "../../../src/hal/sim/memory-device.ts";
import { narrowWrite } from "../../../src/raid/narrow-write-driver.ts";

const KIB = 1024;
const PAGE = 4 * KIB;
const DATA_AT = 512;

/** A device that refuses writes which touch these pages behind its data offset. */
const setUp = (bad: readonly number[], size = 512 * KIB) => {
  const bytes = new Uint8Array(DATA_AT + size);
  const memory = new MemoryDevice("m", bytes);
  const sizes: number[] = [];
  let open = true;
  const device = Object.create(memory, {
    write: {
      value: (source: readonly Uint8Array[], offset: number) => {
        const length = source.reduce((sum, piece) => sum + piece.length, 0);
        const from = offset - DATA_AT;
        sizes.push(length);
        if (bad.some((page) => from < (page + 1) * PAGE && page * PAGE < from + length))
          return Promise.reject(new Error("EIO"));
        return memory.write(source, offset);
      },
    },
  }) as MemoryDevice;
  const write = (position: number, length: number) => {
    const data = Uint8Array.from({ length }, (_, at) => (position + at) % 251);
    return narrowWrite({
      device: () => (open ? device : null),
      dataOffset: DATA_AT,
      position,
      length,
      pieces: [data.subarray(0, 1000), data.subarray(1000)],
    });
  };
  const close = (): void => {
    open = false;
  };
  return { bytes, sizes, write, close };
};

const test = suite("raid/narrow-write");

test("only the pages that fail again are told; neighbours as one range, others apart", async () => {
  const bench = setUp([1, 2, 5]);
  assert.equal(await bench.write(0, 8 * PAGE), [
    [PAGE, 3 * PAGE],
    [5 * PAGE, 6 * PAGE],
  ]);
  for (let at = 0; at < 8 * PAGE; at++) {
    const isBad = [1, 2, 5].includes(Math.floor(at / PAGE));
    if (bench.bytes[DATA_AT + at] !== (isBad ? 0 : at % 251)) assert.unreachable(`byte ${at}`);
  }
});

test("pieces end at the pages of the member, not of the write", async () => {
  const bench = setUp([0, 3]);
  assert.equal(await bench.write(PAGE - 512, 2 * PAGE + 1024), [
    [PAGE - 512, PAGE],
    [3 * PAGE, 3 * PAGE + 512],
  ]);
  assert.equal(bench.sizes, [512, PAGE, PAGE, 512]);
});

test("nothing is told when the second try stores everything", async () => {
  const bench = setUp([]);
  assert.equal(await bench.write(0, PAGE), []);
});

test("a member that refuses 64 pages is damaged, one more and it is gone", async () => {
  const pages = Array.from({ length: 65 }, (_, page) => page);
  assert.equal(await setUp(pages).write(0, 64 * PAGE), [[0, 64 * PAGE]]);
  assert.is(await setUp(pages).write(0, 65 * PAGE), null);
});

test("a member whose handle is closed meanwhile is gone", async () => {
  const bench = setUp([]);
  const result = bench.write(0, 4 * PAGE);
  bench.close();
  assert.is(await result, null);
});

test.run();

import { suite } from "uvu";
import * as assert from "uvu/assert";
import { IoStatistics, LATENCY_BOUNDS } from "../../../src/nbd/io-statistics.ts";

const test = suite("nbd/io-statistics");

const sum = (counts: readonly number[]): number => counts.reduce((total, one) => total + one, 0);

test("counts requests per command and error", () => {
  const statistics = new IoStatistics();
  statistics.record(0, 0, 4096, 1);
  statistics.record(0, 0, 4096, 1);
  statistics.record(1, 5, 4096, 1);
  statistics.record(6, 95, 4096, 1);
  statistics.record(77, 22, 0, 1);
  statistics.record(0, 12345, 4096, 1);
  assert.equal(statistics.snapshot().nbdRequests, {
    "read:0": 2,
    "read:5": 1,
    "write:5": 1,
    "write-zeroes:95": 1,
    "unknown:22": 1,
  });
});

test("counts payload bytes of requests that succeeded", () => {
  const statistics = new IoStatistics();
  statistics.record(0, 0, 1000, 1);
  statistics.record(0, 5, 1000, 1);
  statistics.record(1, 0, 300, 1);
  statistics.record(1, 28, 300, 1);
  statistics.record(3, 0, 0, 1);
  const { readBytes, writtenBytes, readOps, writeOps, flushOps } = statistics.snapshot();
  assert.equal([readBytes, writtenBytes, readOps, writeOps, flushOps], [1000, 300, 2, 2, 1]);
});

test("puts each latency in the bucket of the first bound that is not below it", () => {
  for (const [index, bound] of LATENCY_BOUNDS.entries()) {
    const statistics = new IoStatistics();
    statistics.record(0, 0, 1, bound * 1000);
    statistics.record(0, 0, 1, bound * 1000 * 1.001);
    const { counts } = statistics.snapshot().latency.read;
    assert.is(counts.length, LATENCY_BOUNDS.length + 1);
    assert.is(counts[index], 1, `bound ${bound}`);
    assert.is(counts[index + 1], 1, `above ${bound}`);
    assert.is(sum(counts), 2);
  }
});

test("sums latencies in seconds, of reads, writes and flushes apart", () => {
  const statistics = new IoStatistics();
  statistics.record(0, 0, 1, 2);
  statistics.record(0, 0, 1, 3);
  statistics.record(1, 0, 1, 40);
  statistics.record(3, 0, 0, 500);
  statistics.record(4, 0, 1, 9000);
  const { read, write, flush } = statistics.snapshot().latency;
  assert.equal([read.sum, write.sum, flush.sum], [0.005, 0.04, 0.5]);
});

test.run();

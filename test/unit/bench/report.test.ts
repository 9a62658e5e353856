import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { JobResult } from "../../../bench/fio-job.ts";
import { formatTable, medianOf, summarize } from "../../../bench/report.ts";
import type { Workload } from "../../../bench/workload.ts";

const test = suite("bench/report");

const READS: Workload = {
  name: "rr1",
  description: "random read",
  fio: [],
  cache: "hot",
  unit: "IOPS",
  bar: { peer: 2 },
};

function result(target: string, iops: number): JobResult {
  const others = { round: 0, mibPerSecond: 0, p50Us: 0, p99Us: 0, cpuUsPerRequest: 0 };
  return { target, workload: "rr1", iops, ...others };
}

test("the median is the middle value, or the mean of the two middle ones", () => {
  assert.is(medianOf([3, 1, 2]), 2);
  assert.is(medianOf([4, 1, 2, 3]), 2.5);
  assert.is(medianOf([7]), 7);
  assert.ok(Number.isNaN(medianOf([])));
});

test("a summary covers one target's results of one workload", () => {
  const results = [result("peer", 100), result("satsuma", 250), result("peer", 300)];
  assert.equal(summarize(results, READS, "peer"), { median: 200, min: 100, max: 300 });
  assert.is(summarize(results, READS, "absent"), undefined);
});

test("the table gives our ratio to each peer and whether it meets the bar", () => {
  const results = [result("satsuma", 2500), result("peer", 1000)];
  const [, , row] = formatTable(results, [READS], ["satsuma", "peer"]).split("\n");
  assert.is(
    row,
    "| random read | IOPS | 2 500 (2 500-2 500) | 1 000 (1 000-1 000) | 2.50x (bar 2: met) |",
  );
  const slower = formatTable(
    [result("satsuma", 1000), ...results.slice(1)],
    [READS],
    ["satsuma", "peer"],
  );
  assert.match(slower, "1.00x (bar 2: missed)");
});

test("a table of peers alone has no ratios", () => {
  const table = formatTable([result("peer", 1000)], [READS], ["peer"]);
  assert.not.match(table, "vs peer");
});

test.run();

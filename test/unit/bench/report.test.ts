import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  type Figure,
  formatTable,
  medianOf,
  quantileOf,
  type Row,
  summarize,
} from "../../../bench/report.ts";

const test = suite("bench/report");

const READS: Row = { name: "rr1", description: "random read", unit: "IOPS", bar: { peer: 2 } };

function figure(subject: string, value: number, row = "rr1"): Figure {
  return { row, subject, round: 0, value };
}

const PEER = { name: "peer", ours: "satsuma" };

function rowsOf(table: string): string[] {
  return table.split("\n").slice(2);
}

test("the median is the middle value, or the mean of the two middle ones", () => {
  assert.is(medianOf([3, 1, 2]), 2);
  assert.is(medianOf([4, 1, 2, 3]), 2.5);
  assert.is(medianOf([7]), 7);
  assert.ok(Number.isNaN(medianOf([])));
});

test("a quantile is a value that so many do not exceed", () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.is(quantileOf(hundred, 0.99), 99);
  assert.is(quantileOf(hundred, 0.5), 50);
  assert.is(quantileOf(hundred, 1), 100);
  assert.is(quantileOf([5], 0.01), 5);
  assert.ok(Number.isNaN(quantileOf([], 0.5)));
});

test("a summary covers one subject's figures of one row", () => {
  const figures = [figure("peer", 100), figure("satsuma", 250), figure("peer", 300)];
  assert.equal(summarize(figures, "rr1", "peer"), { median: 200, min: 100, max: 300 });
  assert.is(summarize(figures, "rr1", "absent"), undefined);
  assert.is(summarize(figures, "rr2", "peer"), undefined);
});

test("the table gives our ratio to each peer and whether it meets the bar", () => {
  const subjects = ["satsuma", "peer"];
  const table = formatTable([figure("satsuma", 2500), figure("peer", 1000)], [READS], subjects, [
    PEER,
  ]);
  assert.equal(rowsOf(table), [
    "| random read | IOPS | 2 500 (2 500-2 500) | 1 000 (1 000-1 000) | 2.50x (bar 2: met) |",
  ]);
  const slower = formatTable([figure("satsuma", 1000), figure("peer", 1000)], [READS], subjects, [
    PEER,
  ]);
  assert.match(slower, "1.00x (bar 2: missed)");
});

test("where lower is better the bar is not to be exceeded", () => {
  const delay: Row = { ...READS, better: "lower", bar: { peer: 1.2 } };
  const of = (ours: number) =>
    formatTable(
      [figure("satsuma", ours), figure("peer", 100)],
      [delay],
      ["satsuma", "peer"],
      [PEER],
    );
  assert.match(of(110), "1.10x (bar 1.2: met)");
  assert.match(of(130), "1.30x (bar 1.2: missed)");
});

test("a limit in the row's own unit is met or missed", () => {
  const start: Row = { name: "up", description: "start", unit: "ms", better: "lower", limit: 1000 };
  const of = (value: number) =>
    rowsOf(formatTable([figure("satsuma", value, "up")], [start], ["satsuma"], []));
  assert.equal(of(400), ["| start | ms | 400 (400-400) | ≤ 1 000: met |"]);
  assert.match(of(1400)[0] ?? "", "≤ 1 000: missed");
});

test("a row may be compared with another of our own", () => {
  const slow: Row = { ...READS, name: "rr1.slow", bar: {}, than: { row: "rr1", bar: 0.8 } };
  const figures = [figure("satsuma", 100), figure("satsuma", 90, "rr1.slow")];
  const [, second] = rowsOf(formatTable(figures, [READS, slow], ["satsuma"], []));
  assert.match(second ?? "", "0.90x of rr1 (100) (bar 0.8: met)");
  const [alone] = rowsOf(formatTable(figures.slice(1), [slow], ["satsuma"], []));
  assert.match(alone ?? "", /\| - \|$/);
});

test("with several runs each ratio is of one run, and the bar says how many met it", () => {
  const of = (run: number, ours: number) => [
    { ...figure("satsuma", ours), run },
    { ...figure("peer", 100), run },
  ];
  const table = (...runs: number[]) =>
    formatTable(
      runs.flatMap((ours, run) => of(run, ours)),
      [READS],
      ["satsuma", "peer"],
      [PEER],
    );
  assert.match(table(250, 190, 210), "2.50, 1.90, 2.10x (bar 2: met in 2 of 3)");
  assert.match(table(250, 200, 210), "2.50, 2.00, 2.10x (bar 2: met)");
  assert.match(table(150, 190, 110), "(bar 2: missed)");
});

test("peers without a figure, and ratios without ours, are left out", () => {
  assert.not.match(formatTable([figure("peer", 1)], [READS], ["satsuma", "peer"], [PEER]), "vs");
  const alone = formatTable([figure("satsuma", 1)], [READS], ["satsuma", "peer"], [PEER]);
  assert.not.match(alone, "peer");
});

test.run();
